"""The order of the features: a bijection, never a repeat, shared by all who share its seed."""

import itertools
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.envs import NoiseFeatures, Permutations, PermuteFeatures, make_ene


def run(env, steps, seed=None):
    """Take random steps, resetting as needed; yield each observation and info."""
    observation, info = env.reset(seed=seed)
    yield observation, info
    for _ in range(steps):
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        yield observation, info
        if terminated or truncated:
            yield env.reset()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), n=st.integers(2, 60), k=st.integers(0, 10**6), identity_first=st.booleans())
def test_orders_are_bijections_and_pure(seed, n, k, identity_first):
    permutations = Permutations(seed, n, identity_first)
    order, positions = permutations.order(k), permutations.positions(k)
    assert order.dtype == positions.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order[positions], np.arange(n))
    np.testing.assert_array_equal(Permutations(seed, n, identity_first).order(k), order)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**40), n=st.integers(2, 30), identity_first=st.booleans())
def test_orders_never_repeat(seed, n, identity_first):
    permutations = Permutations(seed, n, identity_first)
    orders = [tuple(permutations.order(k)) for k in range(150)]
    lasting = orders[: math.factorial(min(n, 6))]
    assert len(set(lasting)) == len(lasting)
    assert all(a != b for a, b in itertools.pairwise(orders))
    if identity_first:
        assert orders[0] == tuple(range(n))


def test_orders_are_uniform():
    first = [Permutations(seed, 4, False).order(0) for seed in range(3_000)]
    later = [Permutations(seed, 40, True).order(3) for seed in range(3_000)]
    for orders, n in ((first, 4), (later, 40)):
        stands = np.stack([np.bincount(column, minlength=n) for column in np.array(orders).T]) / 3_000
        assert np.abs(stands - 1 / n).max() < 5 * np.sqrt(1 / n / 3_000)


def test_one_fixed_order_permutes_observation_and_marks_the_real_features():
    plain = NoiseFeatures(gym.make("Pendulum-v1"), 0.9)
    permuted = make_ene("Pendulum-v1", 0.9, permute=True, permutation_seed=3)
    order = permuted.permutations.order(0)
    assert (order != np.arange(30)).any()
    plain.action_space.seed(0), permuted.action_space.seed(0)
    for (expected, _), (observation, info) in zip(run(plain, 250, seed=1), run(permuted, 250, seed=1), strict=True):
        np.testing.assert_array_equal(observation, expected[order])
        np.testing.assert_array_equal(observation[permuted.relevant_features], expected[:3])
        assert info["permutation"] == 0
        assert observation.dtype == np.float32


def test_a_new_order_stands_at_the_reset_after_every_n_steps():
    env = PermuteFeatures(gym.make("Pendulum-v1", max_episode_steps=50), permutation_seed=1, permute_every=120)
    env.action_space.seed(0)
    np.testing.assert_array_equal(env.permutations.order(0), np.arange(3))
    seen = [info["permutation"] for _, info in run(env, 500, seed=0)]
    expected = [(51 * (i // 51) - i // 51) // 120 for i in range(len(seen))]
    assert seen == expected
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]


def test_a_chosen_order_waits_for_the_reset_and_ends_the_own_count():
    env = PermuteFeatures(gym.make("Pendulum-v1", max_episode_steps=10), permute_every=5)
    env.reset(seed=0)
    env.set_permutation(7)
    assert env.step(env.action_space.sample())[-1]["permutation"] == env.permutation == 0
    env.reset()
    assert env.permutation == 7
    for _ in range(2):
        assert {info["permutation"] for _, info in run(env, 30)} == {7}
    assert gym.wrappers.RecordEpisodeStatistics(env).set_wrapper_attr("permutation", 2)
    env.reset()
    assert env.permutation == 2


def test_a_space_of_unequal_bounds_is_widened():
    env = PermuteFeatures(gym.make("Pendulum-v1"))
    assert (env.observation_space.low == -8).all()
    assert (env.observation_space.high == 8).all()
    assert PermuteFeatures(gym.make("Hopper-v5")).observation_space == gym.make("Hopper-v5").observation_space


def test_permutations_travel():
    permutations = Permutations(3, 1000, True)
    permutations.order(4)
    assert pickle.loads(pickle.dumps(permutations)) == permutations
    assert len(pickle.dumps(permutations)) < 300


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda env: PermuteFeatures(env, permutation_seed=-1), "permutation_seed must not be negative, got -1"),
        (lambda env: PermuteFeatures(env, permute_every=0), "permute_every must be at least 1 environment step, got 0"),
        (lambda env: PermuteFeatures(env).set_permutation(-1), "permutation must not be negative, got -1"),
        (lambda env: PermuteFeatures(PermuteFeatures(env)), "env must not be permuted yet"),
        (lambda env: Permutations(0, 1, False), "permuting needs at least 2 features, got 1"),
        (lambda env: Permutations(0, 5, False).order(-2), "permutation must not be negative, got -2"),
    ],
)
def test_bad_arguments_get_one_sentence(build, message):
    with pytest.raises(ValueError, match=message):
        build(gym.make("Pendulum-v1"))
