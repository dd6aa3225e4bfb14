"""Disturbances: their names and severities, and the environments that have them."""

import numpy as np
import pytest
from siftrl.agents import SAC
from siftrl.envs import CorruptFeatures, make_ene
from siftrl.training.disturbance import (
    DISTURBANCES,
    OTHER_NOISE,
    Disturbance,
    ObservedMoments,
    disturbed_env,
    parse_disturbances,
)
from siftrl.training.environments import make_vec_env
from siftrl.training.evaluation import evaluate

pytestmark = pytest.mark.usefixtures("short_tables")

PENDULUM = {"env_id": "Pendulum-v1", "noise_fraction": 0.5, "noise_distribution": "normal", "noise_std": 1.0}
CLEAN = {**PENDULUM, "noise_fraction": 0.0}
N_FEATURES = 6


@pytest.fixture(scope="module")
def agent():
    return SAC("SparseMlpPolicy", make_ene("Pendulum-v1", 0.5), policy_kwargs={"recipe": "static"}, seed=0, buffer_size=10)


@pytest.fixture(scope="module")
def moments(agent):
    observed = ObservedMoments(N_FEATURES)
    evaluate(agent, make_vec_env(PENDULUM, n_envs=2, seed=0), episodes=2, seed=0, callback=observed)
    return observed


def test_moments_are_those_of_what_was_acted_upon(agent, moments):
    env, observations = make_vec_env(PENDULUM, seed=0), []
    for rank in range(2):  # as two environments beside each other, which are seeded one apart
        evaluate(agent, env, episodes=1, seed=rank, callback=lambda local, _: observations.append(local["observations"][0]))
    assert len(observations) == 400
    np.testing.assert_allclose(moments.mean, np.mean(observations, 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moments.std, np.std(observations, 0), rtol=1e-4)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_every_disturbance_can_be_had_and_changes_what_is_seen(name, agent, moments):
    def observed(severity):
        env = disturbed_env(PENDULUM, [Disturbance(name, severity)], agent=agent, moments=moments, seed=1, n_envs=2)
        env.seed(1)
        seen = [env.reset()]
        for _ in range(30):
            seen.append(env.step(np.zeros((2, 1), np.float32))[0])
        return np.array(seen)

    env = make_vec_env(PENDULUM, n_envs=2, seed=1)
    clean = np.array([env.reset(), *(env.step(np.zeros((2, 1), np.float32))[0] for _ in range(30))])
    strong = observed(5)
    np.testing.assert_array_equal(strong, observed(5))
    assert (strong != clean).any()
    errors = strong - clean
    assert (errors[:, 0] != errors[:, 1]).any()  # environments beside each other fail each in its own way
    if name in OTHER_NOISE:
        np.testing.assert_array_equal(strong[..., :3], clean[..., :3])
        ratio = strong[..., 3:].std() / clean[..., 3:].std()
        assert ratio == pytest.approx(DISTURBANCES[name].levels[4], rel=0.2)


def test_several_are_applied_in_their_order(agent, moments):
    env = disturbed_env(PENDULUM, parse_disturbances("delay:2,fgsm:1,bias:4"), agent=agent, moments=moments, seed=0)
    (monitor,) = env.unwrapped.envs
    assert isinstance(monitor.env, CorruptFeatures)
    assert (monitor.env.level, monitor.env.env.level) == (0.4, 2)
    assert type(env).__name__ == "FastGradientSign"


@pytest.mark.parametrize("name", ["gaussian", "fgsm"])
@pytest.mark.parametrize("features", ["real", "noise"])
def test_real_features_or_noise_alone(name, features, agent, moments):
    permuted = {**PENDULUM, "permute_every": 10**9}
    disturbances = [Disturbance(name, 5)]
    env = disturbed_env(
        permuted, disturbances, agent=agent, moments=moments, seed=0, features=features, permutation=3, n_envs=4
    )
    env.seed(0)
    seen = env.reset()
    plain = make_vec_env(permuted, n_envs=4, seed=0)
    plain.env_method("set_permutation", 3)
    is_changed = (seen != plain.reset()).any(0)
    is_real = np.isin(np.arange(N_FEATURES), plain.get_attr("relevant_features")[0])
    assert not is_real[:3].all()
    assert not is_changed[~is_real if features == "real" else is_real].any()
    assert is_changed.sum() >= 2


def test_other_noise_takes_the_other_distribution(agent, moments):
    for own, other in (("normal", "uniform"), ("uniform", "normal")):
        kwargs = {**PENDULUM, "noise_distribution": own}
        env = disturbed_env(kwargs, parse_disturbances("noise-distribution:1"), agent=agent, moments=moments, seed=0)
        assert env.get_attr("noise_source")[0].distribution == other


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gausian:1", "not 'gausian'. Did you mean gaussian?"),
        ("gaussian", "corrupt gaussian must have a severity from 1 to 5, as in gaussian:3, not 'gaussian'"),
        ("gaussian:6", "corrupt gaussian must have a severity from 1 to 5, not 6"),
        ("gaussian:1,", "not ''"),
        ("delay:1.5", "not 'delay:1.5'"),
    ],
)
def test_bad_texts_get_one_sentence(text, message):
    with pytest.raises(ValueError, match=r"^corrupt ") as caught:
        parse_disturbances(text)
    assert message in str(caught.value)


def test_a_task_without_noise_has_none_to_disturb(agent, moments):
    with pytest.raises(ValueError, match="corrupt noise-std:2 needs noise features, and Pendulum-v1 has none here"):
        disturbed_env(CLEAN, parse_disturbances("noise-std:2"), agent=agent, moments=moments, seed=0)
    with pytest.raises(ValueError, match="corrupt-features must be all, not real: Pendulum-v1 has no noise features here"):
        disturbed_env(CLEAN, parse_disturbances("bias:2"), agent=agent, moments=moments, seed=0, features="real")
