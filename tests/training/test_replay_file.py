"""Replay files: rows, position and generators come back to the bit; empty rows take no room; nothing is pickled."""

import io
import zipfile

import numpy as np
import pytest
from gymnasium import spaces
from siftrl.agents.replay import NoiseReplayBuffer
from siftrl.agents.replay_rows import n_filled
from siftrl.envs import NoiseSource, Permutations, make_ene
from siftrl.training.replay_file import filled_nbytes, read_replay, write_replay
from siftrl.training.sealed import SealedWriter
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

SPACE, ACTIONS = spaces.Box(-1, 1, (6,)), spaces.Box(-1, 1, (2,))


def plain(rows, kind=ReplayBuffer, **options):
    return kind(rows, SPACE, ACTIONS, device="cpu", n_envs=2, **options)


def fill(buffer, steps):
    rng = np.random.default_rng(steps)
    for _ in range(steps):
        observation, following, action = rng.normal(size=(3, 2, 6)).astype(np.float32)
        reward, done = rng.normal(size=2), rng.random(2) < 0.2
        infos = [{"TimeLimit.truncated": bool(rng.random() < 0.5 and ended)} for ended in done]
        buffer.add(observation, following, action[:, :2], reward, done, infos)
    return buffer


def noisy(rows, **options):
    source = NoiseSource(3, 27)
    permutations = Permutations(0, 30, identity_first=True)
    space = spaces.Box(-np.inf, np.inf, (30,), np.float32)
    return NoiseReplayBuffer(rows, space, ACTIONS, "cpu", noise_source=source, permutations=permutations, seed=3, **options)


def fill_noisy(buffer, steps):
    env = make_ene("Pendulum-v1", 0.9, permute_every=5, permutation_seed=0)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(steps):
        action = env.action_space.sample()
        following, reward, *_, info = env.step(action)
        buffer.add(
            observation[None], following[None], np.tile(action, (1, 2)), np.array([reward]), np.array([False]), [info]
        )
        observation = following
    return buffer


def there_and_back(buffer, new):
    file = io.BytesIO()
    with SealedWriter(file, 0) as archive:
        write_replay(archive, buffer)
    with zipfile.ZipFile(file) as archive:
        read_replay(archive, new)
    return file


def assert_same_batches(buffer, other):
    for _ in range(3):
        state = np.random.get_state()
        batch = buffer.sample(16)
        np.random.set_state(state)
        for ours, theirs in zip(batch, other.sample(16), strict=True):
            assert (ours is None and theirs is None) or (ours == theirs).all()


CASES = {
    "plain": (lambda: plain(20), fill),
    "n-step": (lambda: plain(20, NStepReplayBuffer, n_steps=3, gamma=0.9), fill),
    "noise": (lambda: noisy(10), fill_noisy),
    "fresh noise, n-step": (lambda: noisy(10, replay_noise="fresh", n_steps=3), fill_noisy),
    "remapped": (lambda: noisy(10, on_permute="remap"), fill_noisy),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [6, 10, 23], ids=["young", "just full", "overwritten"])
def test_a_buffer_goes_on_as_it_was(case, steps):
    make, add = CASES[case]
    buffer, new = add(make(), steps), make()
    if hasattr(buffer, "_rng"):
        buffer.sample(4)  # moves the generator of fresh noise
    there_and_back(buffer, new)
    assert (new.pos, new.full, n_filled(new)) == (buffer.pos, buffer.full, n_filled(buffer))
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(new, name), value, err_msg=name)
    assert_same_batches(buffer, new)
    assert_same_batches(add(buffer, 4), add(new, 4))


def test_empty_rows_take_no_room_and_nothing_is_pickled():
    buffer = fill(plain(200_000), 20)
    file = there_and_back(buffer, plain(200_000))
    assert filled_nbytes(buffer) < file.seek(0, io.SEEK_END) < filled_nbytes(buffer) + 5_000
    with zipfile.ZipFile(file) as archive:
        assert {name.partition(".")[2] for name in archive.namelist()} == {"json", "npy"}


def test_a_buffer_of_another_size_is_refused():
    with pytest.raises(ValueError, match="its buffer_size is 10, and 4 in the run that goes on"):
        there_and_back(fill(plain(20), 10), plain(8))
    with pytest.raises(ValueError, match="the replay holds no noise_keys"):
        there_and_back(fill(ReplayBuffer(20, spaces.Box(-1, 1, (3,)), ACTIONS, "cpu"), 0), noisy(20))


def reordered():
    buffer, rng, rows = fill_noisy(noisy(10), 9), np.random.default_rng(0), np.arange(10)[:, None]
    for where in (rows < 3, (rows >= 3) & (rows < 6)):
        buffer.reorder(where, rng.permutation(30))
    assert len(buffer.own_orders) == 2
    return buffer


def test_orders_of_the_agents_own_come_back():
    buffer, other = reordered(), noisy(10)
    there_and_back(buffer, other)
    assert np.array_equal(buffer.own_orders, other.own_orders)
    assert_same_batches(buffer, other)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (np.zeros((2, 29), np.int64), "of shape"),
        (np.zeros((2, 30), np.int64), "not those of its rows"),
        (np.arange(30)[None], "not those of its rows"),
    ],
    ids=["too narrow", "no orders", "too few"],
)
def test_orders_that_cannot_be_are_refused(orders, message):
    buffer = reordered()
    buffer.own_orders = orders
    with pytest.raises(ValueError, match=message):
        there_and_back(buffer, noisy(10))
