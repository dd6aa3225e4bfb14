"""The newest transitions of a replay, beside the impulses behind their actions."""

import numpy as np
import pytest
import stable_baselines3 as sb3
from hypothesis import given, settings
from hypothesis import strategies as st
from siftrl.agents.recent_experience import RecentExperience
from stable_baselines3.common.env_util import make_vec_env

N_ACTIONS = 1  # of Pendulum-v1


def recorded(n_rows, n_envs, n_steps, buffer_rows=10_000):
    """A model whose replay holds ``n_rows`` rows in which everything tells its row and environment, as do the impulses."""
    env = make_vec_env("Pendulum-v1", n_envs)
    model = sb3.SAC("MlpPolicy", env, buffer_size=buffer_rows * n_envs, policy_kwargs={"net_arch": [2]})
    recent = RecentExperience(model, n_steps)
    for row in range(n_rows):
        marks = row + np.arange(n_envs)[:, None] / 10
        here, actions = np.repeat(marks, 3, axis=1), np.repeat(marks, N_ACTIONS, axis=1)
        recent.record(actions)
        dones = np.full(n_envs, row % 4 == 3)
        model.replay_buffer.add(here, here + 1, actions, marks[:, 0], dones, [{}] * n_envs)
    return recent


@settings(max_examples=25, deadline=None)
@given(
    n_rows=st.integers(1, 40),
    n_envs=st.integers(1, 3),
    n_steps=st.integers(1, 60),
    buffer_rows=st.sampled_from([25, 10_000]),
)
def test_impulses_stand_beside_the_transitions_that_they_brought_about(n_rows, n_envs, n_steps, buffer_rows):
    recent = recorded(n_rows, n_envs, n_steps, buffer_rows)
    experience = recent.experience(n_steps)
    n_shown = min(-(-n_steps // n_envs), n_rows, buffer_rows)
    expected = (np.arange(n_rows - n_shown, n_rows)[:, None] + np.arange(n_envs) / 10).reshape(-1).astype(np.float32)
    np.testing.assert_array_equal(experience.impulses[:, 0], expected)
    np.testing.assert_array_equal(experience.rewards, expected)
    np.testing.assert_array_equal(experience.observations[:, 2], expected)
    here, there, actions = recent.transitions(n_steps)
    np.testing.assert_array_equal(actions[:, 0], expected)
    np.testing.assert_array_equal(here, experience.observations)
    np.testing.assert_array_equal(there, experience.next_observations)


@pytest.mark.parametrize("n_envs", [1, 2])
def test_an_episode_has_a_number_of_its_own_in_each_environment(n_envs):
    experience = recorded(10, n_envs, 10 * n_envs).experience(10 * n_envs)
    rows = experience.observations[:, 0].astype(int)
    groups = {number: set(rows[experience.episodes == number]) for number in set(experience.episodes)}
    assert len(groups) == 3 * n_envs
    assert sorted(map(sorted, groups.values())) == sorted([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * n_envs)


def test_nothing_is_shown_from_before_the_beginning():
    recent = recorded(20, 2, 40)
    recent.begin_with(6)
    assert recent.rows(40).tolist() == [17, 18, 19]
    assert recent.rows(4).tolist() == [18, 19]
    other = RecentExperience(recent.model, 40)
    other.set_state(recent.get_state())
    np.testing.assert_array_equal(other.experience(40).impulses, recent.experience(40).impulses)
    assert len(other.experience(40).rewards) == 6


def test_a_replay_that_cannot_be_looked_into_is_refused():
    model = sb3.SAC(
        "MlpPolicy", "Pendulum-v1", optimize_memory_usage=True, replay_buffer_kwargs={"handle_timeout_termination": False}
    )
    with pytest.raises(ValueError, match="must hold both observations"):
        RecentExperience(model, 100)
