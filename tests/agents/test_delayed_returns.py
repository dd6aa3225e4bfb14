"""Delayed returns: one step long until the count is reached, then the agent's own."""

import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SAC, TD3
from siftrl.agents.delayed_returns import DelayedReturns
from siftrl.envs import make_ene
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env

AGENTS = {"SAC": SAC, "TD3": TD3, "SB3's SAC": sb3.SAC, "SB3's TD3": sb3.TD3}


def make(algorithm=SAC, n_envs=1, **kwargs):
    env = make_vec_env(make_ene, n_envs, seed=0, env_kwargs={"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5})
    kwargs = {"n_steps": 3, "learning_starts": 10, "batch_size": 8, "policy_kwargs": {"net_arch": [8]}, **kwargs}
    return algorithm("MlpPolicy", env, buffer_size=90, seed=0, device="cpu", **kwargs)


def lengths(model, callback, steps=40):
    """The n_steps with which each update's batch was sampled, by environment steps done."""
    seen, train = {}, model.train

    def spy(*args, **kwargs):
        seen[model.num_timesteps] = model.replay_buffer.n_steps
        return train(*args, **kwargs)

    model.train = spy
    model.learn(steps, callback=callback)
    return seen


@pytest.mark.parametrize("algorithm", AGENTS.values(), ids=AGENTS)
def test_returns_grow_at_the_stated_step(algorithm):
    assert lengths(make(algorithm), DelayedReturns(25)) == {t: 1 if t < 25 else 3 for t in range(11, 41)}


def test_steps_of_all_environments_count():
    assert lengths(make(n_envs=4), DelayedReturns(25)) == {t: 1 if t < 25 else 3 for t in range(12, 41, 4)}


def test_the_ends_of_the_delay_are_the_agents_without_it():
    def weights(n_steps, *callbacks):
        return make(n_steps=n_steps).learn(40, callback=list(callbacks)).policy.state_dict()

    def equal(ours, theirs):
        return all(torch.equal(ours[name], theirs[name]) for name in theirs)

    one, three = weights(1), weights(3)
    assert equal(weights(3, DelayedReturns(99)), one)
    assert equal(weights(3, DelayedReturns(0)), three)
    halfway = weights(3, DelayedReturns(25))
    assert not equal(halfway, one)
    assert not equal(halfway, three)


def test_a_later_start_knows_what_is_due():
    model = make().learn(30, callback=DelayedReturns(25))
    model.replay_buffer.n_steps = 1
    model.learn(1, callback=DelayedReturns(25), reset_num_timesteps=False)
    assert model.replay_buffer.n_steps == 3


def test_a_negative_delay_is_refused():
    with pytest.raises(ValueError, match="after_steps=-1 must be 0 or more environment steps"):
        DelayedReturns(-1)


@pytest.mark.parametrize("kwargs", [{"n_steps": 1}, {"replay_buffer_class": ReplayBuffer}])
@pytest.mark.filterwarnings("ignore:.*n_steps=3.* is ignored")
def test_without_longer_returns_there_is_nothing_to_delay(kwargs):
    with pytest.raises(ValueError, match=r"n_steps=[13] of the agent must be above 1 to be delayed, and its replay"):
        make(**kwargs).learn(1, callback=DelayedReturns(5))
