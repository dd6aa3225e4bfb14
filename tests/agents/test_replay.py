"""The noise replay: what it gives back is what SB3's own buffers would have stored."""

import io
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.agents.replay import NoiseReplayBuffer, replay_nbytes
from siftrl.agents.replay_choice import noise_replay_kwargs
from siftrl.envs import NoiseFeatures, PermuteFeatures, make_ene
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.save_util import load_from_pkl, save_to_pkl
from stable_baselines3.common.vec_env import VecNormalize

pytestmark = pytest.mark.usefixtures("short_tables")


def ene_vec(n_envs=1, seed=0, **kwargs):
    kwargs = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.8, "permute_every": 15, **kwargs}
    return make_vec_env(make_ene, n_envs, seed=seed, env_kwargs=kwargs)


def noise_buffer(env, buffer_size, **kwargs):
    kwargs = {**noise_replay_kwargs(env), **kwargs}
    return NoiseReplayBuffer(buffer_size, env.observation_space, env.action_space, "cpu", env.num_envs, **kwargs)


def feed(env, steps, *buffers, each_step=lambda: None):
    """Play random actions, and store transitions as SB3's off-policy algorithms do."""
    env.action_space.seed(1)
    obs = env.reset()
    for _ in range(steps):
        actions = np.array([env.action_space.sample() for _ in range(env.num_envs)])
        new_obs, rewards, dones, infos = env.step(actions)
        next_obs = new_obs.copy()
        for i in np.flatnonzero(dones):
            next_obs[i] = infos[i]["terminal_observation"]
        for buffer in buffers:
            buffer.add(obs, next_obs, actions, rewards, dones, infos)
        obs = new_obs
        each_step()


def sample(buffer, batch_size=64, seed=0):
    np.random.seed(seed)
    batch = buffer.sample(batch_size)
    return batch, np.random.randint(2**31)


def assert_same_samples(buffer, reference, batch_size=64, seed=0):
    (batch, follows), (expected, expected_follows) = sample(buffer, batch_size, seed), sample(reference, batch_size, seed)
    assert follows == expected_follows, "as many draws from NumPy's global generator"
    for name, ours, theirs in zip(batch._fields, batch, expected, strict=True):
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            assert ours.dtype == theirs.dtype, name
            assert torch.equal(ours, theirs), name


@settings(max_examples=100, deadline=None)
@given(
    n_envs=st.integers(1, 3),
    n_steps=st.integers(1, 4),
    rows=st.integers(1, 40),
    steps=st.integers(1, 90),
    horizon=st.sampled_from([7, 1000]),
    timeouts=st.booleans(),
    kind=st.sampled_from(
        [
            {},
            {"permute_every": None},
            {"permute_every": None, "permute": True},
            {"noise_fraction": 0.99, "noise_distribution": "uniform"},
            {"noise_fraction": 0.99, "noise_distribution": "autoregressive", "noise_std": 16},
            {"noise_distribution": "brownian"},
            {"noise_distribution": "shadow"},
            {"noise_distribution": "copies"},
            {"noise_distribution": "copies", "live_noise": 7, "permute_every": None},
            {"noise_fraction": 0},
        ]
    ),
)
def test_samples_are_sb3s_bit_for_bit(n_envs, n_steps, rows, steps, horizon, timeouts, kind):
    env = ene_vec(n_envs, max_episode_steps=horizon, **kind)
    arguments = (rows * n_envs, env.observation_space, env.action_space, "cpu", n_envs)
    if n_steps == 1:
        reference = ReplayBuffer(*arguments, handle_timeout_termination=timeouts)
    else:
        reference = NStepReplayBuffer(*arguments, handle_timeout_termination=timeouts, n_steps=n_steps, gamma=0.9)
    buffer = noise_buffer(env, rows * n_envs, handle_timeout_termination=timeouts, n_steps=n_steps, gamma=0.9)
    feed(env, steps, buffer, reference)
    assert (buffer.pos, buffer.full) == (reference.pos, reference.full)
    for seed in range(3):
        assert_same_samples(buffer, reference, seed=seed)


def test_a_return_does_not_reach_over_a_reset_in_mid_episode():
    env = ene_vec(env_id="Pendulum-v1", permute_every=None)
    buffer = noise_buffer(env, 100, n_steps=3, gamma=0.5)
    for n_steps in (4, 5):
        feed(env, n_steps, buffer)
    assert not buffer.dones[:9].any()
    last, returns, dones, discounts = buffer._returns(np.arange(9), np.zeros(9, int))
    assert last.tolist() == [2, 3, 3, 3, 6, 7, 8, 8, 8]
    np.testing.assert_allclose(discounts[:, 0], 0.5 ** (last - np.arange(9) + 1))
    assert returns[3] == buffer.rewards[3]
    assert not dones.any()


def test_sb3_learns_the_same_with_either_buffer():
    plain, ours = _learn(None), _learn(NoiseReplayBuffer)
    for (name, weight), (_, expected) in zip(
        ours.policy.state_dict().items(), plain.policy.state_dict().items(), strict=True
    ):
        assert torch.equal(weight, expected), name


def _learn(replay_buffer_class):
    env = ene_vec(2, permute_every=60)
    kwargs = noise_replay_kwargs(env) if replay_buffer_class else None
    model = SAC(
        "MlpPolicy",
        env,
        learning_starts=50,
        buffer_size=300,
        seed=0,
        device="cpu",
        replay_buffer_class=replay_buffer_class,
        replay_buffer_kwargs=kwargs,
    )
    return model.learn(400)


def test_fresh_noise_is_new_in_each_batch_and_leaves_the_rest():
    env = ene_vec(2, permute_every=None)
    fresh, same_seed = (noise_buffer(env, 100, replay_noise="fresh", seed=3) for _ in range(2))
    exact = noise_buffer(env, 100)
    feed(env, 40, fresh, same_seed, exact)
    n_real = fresh.noise_source.n_real
    first, second, other = sample(fresh)[0], sample(fresh)[0], sample(same_seed)[0]
    expected = sample(exact)[0]
    assert torch.equal(first.observations, other.observations), "the buffer's own generator decides"
    for ours, again, stored in (
        (first.observations, second.observations, expected.observations),
        (first.next_observations, second.next_observations, expected.next_observations),
    ):
        assert torch.equal(ours[:, :n_real], stored[:, :n_real])
        assert (ours[:, n_real:] != again[:, n_real:]).float().mean() > 0.99
        assert (ours[:, n_real:] != stored[:, n_real:]).float().mean() > 0.99
    assert (first.observations[:, n_real:] != first.next_observations[:, n_real:]).float().mean() > 0.99
    for part in ("actions", "rewards", "dones"):
        assert torch.equal(getattr(first, part), getattr(expected, part))


def test_remap_expresses_everything_in_the_newest_order():
    env = ene_vec(2, env_id="Pendulum-v1", max_episode_steps=10)
    keep, remap = noise_buffer(env, 200), noise_buffer(env, 200, on_permute="remap")
    feed(env, 50, keep, remap)
    assert set(keep.orders[: keep.pos].flat) == {0, 1, 2}
    assert remap.newest_order == 2
    np.random.seed(0)
    rows, envs = np.random.randint(0, keep.pos, 64), np.random.randint(0, 2, 64)
    kept, remapped = sample(keep)[0], sample(remap)[0]
    for k in range(3):
        stood = keep.orders[rows, envs] == k
        assert stood.any()
        in_task_order = kept.observations[stood][:, keep.permutations.positions(k).copy()]
        assert torch.equal(remapped.observations[stood][:, keep.permutations.positions(2).copy()], in_task_order)


def test_clear_empties_the_buffer_when_a_new_order_arrives():
    env = ene_vec(1, env_id="Pendulum-v1", max_episode_steps=10)
    buffer, sizes = noise_buffer(env, 200, on_permute="clear"), []
    feed(env, 45, buffer, each_step=lambda: sizes.append(buffer.size()))
    assert sizes == [*range(1, 21), *range(1, 11), *range(1, 16)]
    assert set(buffer.orders[: buffer.pos].flat) == {2}


@pytest.mark.parametrize("replay_noise", ["exact", "fresh"])
def test_a_saved_buffer_goes_on_as_it_would_have(tmp_path, replay_noise):
    env = ene_vec(2)
    buffer = noise_buffer(env, 100, replay_noise=replay_noise, n_steps=3, seed=1)
    feed(env, 40, buffer)
    buffer.sample(5)
    save_to_pkl(tmp_path / "replay.pkl", buffer)
    assert (tmp_path / "replay.pkl").stat().st_size < 20_000, "no noise, no table"
    loaded = load_from_pkl(tmp_path / "replay.pkl")
    assert loaded.nbytes == buffer.nbytes
    assert_same_samples(loaded, buffer)


@pytest.mark.parametrize(("n_envs", "buffer_size"), [(1, 100), (3, 100), (3, 2)])
def test_bytes_are_counted_before_and_after(n_envs, buffer_size):
    env = ene_vec(n_envs)
    buffer = noise_buffer(env, buffer_size)
    stored = sum(array.nbytes for array in vars(buffer).values() if isinstance(array, np.ndarray))
    assert buffer.nbytes == stored
    assert stored == replay_nbytes(buffer_size, 4, env.action_space, n_envs)


def test_a_million_transitions_fit():
    for env_id, limit in (("Humanoid-v5", 4e9), ("HalfCheetah-v5", 0.3e9)):
        env = gym.make(env_id)
        assert replay_nbytes(1_000_000, env.observation_space.shape[0], env.action_space) < limit


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"replay_noise": "none"}, "replay_noise must be one of exact, fresh, got 'none'"),
        ({"on_permute": "drop"}, "on_permute must be one of keep, remap, clear, got 'drop'"),
        ({"n_steps": 0}, "n_steps must be at least 1 environment step, got 0"),
        ({"optimize_memory_usage": True}, "optimize_memory_usage must be False"),
        ({"noise_source": make_ene("Pendulum-v1", 0.5).noise_source}, "observation_space must be float32 of shape"),
        (
            {"permutations": make_ene("Pendulum-v1", 0.5, permute=True).permutations},
            "permutations must be of all 20 features",
        ),
    ],
)
def test_bad_arguments_get_one_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        noise_buffer(ene_vec(), 10, **kwargs)


def test_bad_environments_get_one_sentence():
    env = ene_vec()
    buffer = noise_buffer(env, 10)
    feed(env, 3, buffer)
    with pytest.raises(ValueError, match="VecNormalize must not wrap"):
        buffer.sample(2, env=VecNormalize(env))

    louder = ene_vec(noise_std=2.0)
    buffer = noise_buffer(env, 10)
    with pytest.raises(ValueError, match="obs must be what noise_source gives"):
        feed(louder, 1, buffer)
    buffer = noise_buffer(env, 10)
    feed(env, 3, buffer)
    with pytest.raises(ValueError, match="obs must be what noise_source gives"):  # another one from the second episode on
        feed(louder, 1, buffer)
    plain = make_vec_env("InvertedPendulum-v5")
    with pytest.raises(ValueError, match="infos must hold a 'noise_key'"):
        feed(plain, 1, buffer)


def test_pickles_are_light_before_the_first_transition():
    buffer = noise_buffer(ene_vec(), 1)
    assert len(pickle.dumps(buffer)) < 10_000
    assert isinstance(pickle.load(io.BytesIO(pickle.dumps(buffer))), NoiseReplayBuffer)


def test_features_permuted_below_the_noise_are_stored_as_they_come():
    below = make_vec_env(lambda: NoiseFeatures(PermuteFeatures(gym.make("Pendulum-v1")), 0.5))
    buffer = noise_buffer(below, 10)
    feed(below, 3, buffer)
    assert buffer.size() == 3
