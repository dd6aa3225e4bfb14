"""Transitions from before a move, shown in the new order."""

import numpy as np
import pytest
from siftrl.agents import SAC
from siftrl.agents.old_transitions import show_in_new_places
from siftrl.agents.recent_experience import RecentExperience
from siftrl.agents.recognition import Match
from siftrl.agents.replay_rows import observed
from siftrl.envs import make_ene
from stable_baselines3.common.env_util import make_vec_env

N_REAL, N_FEATURES, MOVED, N_STEPS = 11, 55, 400, 700


@pytest.mark.parametrize(("n_envs", "period", "found_at"), [(1, 100, 0), (2, 100, 0), (1, 400, 200)])
def test_sensors_stand_where_they_are_now_in_all_that_was_seen_before(n_envs, period, found_at):
    kwargs = {"env_id": "Hopper-v5", "noise_fraction": 0.8, "permute_every": MOVED, "permutation_seed": 1}
    env = make_vec_env(make_ene, n_envs, seed=0, env_kwargs=kwargs)
    model = SAC("SparseMlpPolicy", env, learning_starts=10**9, seed=0).learn(N_STEPS * n_envs)
    recent = RecentExperience(model, N_STEPS * n_envs)
    for _ in range(N_STEPS):
        recent.record(np.zeros((n_envs, 3), np.float32))
    buffer = model.replay_buffer
    seen = observed(buffer, np.arange(N_STEPS))
    orders = buffer.orders[:N_STEPS].reshape(-1)
    assert set(orders) == {0, 1}
    moved_at = (buffer.orders[:N_STEPS] == 1).argmax(axis=0)
    old, new = (buffer.permutations.positions(number)[:N_REAL] for number in (0, 1))
    read = np.isin(np.arange(N_FEATURES), [*old, *new])
    match, n_after = Match(old, new, np.ones(N_REAL)), (N_STEPS - moved_at.max() - 20) * n_envs
    show_in_new_places(recent, match, read, n_after, N_STEPS - found_at, period * n_envs)
    for before, after in zip(seen, observed(buffer, np.arange(N_STEPS)), strict=True):
        np.testing.assert_array_equal(after[orders == 1], before[orders == 1])
        np.testing.assert_array_equal(after[orders == 0][:, new], before[orders == 0][:, old])
        np.testing.assert_array_equal(np.sort(after, axis=1), np.sort(before, axis=1))  # nothing is lost
