"""The adversary: how far it goes, that it is worse than chance, and that it leaves everything else alone."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch as th
from siftrl.agents import SAC, TD3
from siftrl.agents.fgsm import FastGradientSign
from siftrl.envs import make_ene
from stable_baselines3.common.env_util import make_vec_env

SPARSE, DENSE = {"recipe": "set", "density": 0.3}, {"recipe": None, "density": 1}
STD = np.array([0.5, 1.0, 2.0, 0.0, 1.0, 1.0])


def environments(n=8):
    return make_vec_env(lambda: make_ene("Pendulum-v1", 0.5), n_envs=n, seed=0)


AGENTS = {
    "sparse SAC": lambda env: SAC("SparseMlpPolicy", env, policy_kwargs=SPARSE, seed=0, buffer_size=10),
    "dense TD3": lambda env: TD3("SparseMlpPolicy", env, policy_kwargs=DENSE, seed=0, buffer_size=10),
    "foreign PPO": lambda env: sb3.PPO("MlpPolicy", env, seed=0, n_steps=64, device="cpu"),
}


@pytest.mark.parametrize("name", AGENTS)
def test_it_changes_the_action_more_than_chance_does_by_shifts_of_one_size(name):
    agent = AGENTS[name](environments(1))
    weights = [parameter.clone() for parameter in agent.policy.parameters()]
    clean, attacked = environments(64), FastGradientSign(environments(64), agent.policy, 0.3, STD)
    observations, seen = clean.reset(), attacked.reset()
    shifts = np.abs(seen - observations)
    sizes = np.broadcast_to(0.3 * STD, shifts.shape).astype(np.float32)
    # A feature that no link reads has no gradient, and stays.
    assert np.where(shifts == 0, 0, np.abs(shifts - sizes)).max() < 1e-5
    assert (shifts > 0).mean() > 0.5
    action, wrong = agent.predict(observations, deterministic=True)[0], agent.predict(seen, deterministic=True)[0]
    at_random = observations + (sizes * np.random.default_rng(0).choice((-1, 1), sizes.shape)).astype(np.float32)
    by_chance = agent.predict(at_random, deterministic=True)[0]
    assert np.square(wrong - action).mean() > 1.5 * np.square(by_chance - action).mean()
    assert all(th.equal(before, after) for before, after in zip(weights, agent.policy.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in agent.policy.parameters())


def test_within_an_episode_it_pushes_an_action_to_one_side_and_in_the_next_maybe_to_the_other():
    agent = AGENTS["dense TD3"](environments(1))
    clean, attacked = environments(32), FastGradientSign(environments(32), agent.policy, 0.1, STD)
    observations, seen, sides = clean.reset(), attacked.reset(), []
    for _ in range(220):  # an episode has 200 steps
        action, wrong = (agent.predict(each, deterministic=True)[0] for each in (observations, seen))
        sides.append(np.sign(wrong - action)[:, 0])
        observations, seen = clean.step(action)[0], attacked.step(action)[0]
    sides = np.array(sides)
    same = sides[1:] == sides[:-1]
    assert same[:199].mean() > 0.95
    assert 0.2 < same[199].mean() < 0.8
    assert 0.2 < (sides[0] > 0).mean() < 0.8


def test_task_and_rewards_go_on_and_the_seed_decides():
    agent = AGENTS["sparse SAC"](environments(1))
    clean, attacked = environments(2), FastGradientSign(environments(2), agent.policy, 0.2, STD)
    runs = []
    for env in (clean, attacked, attacked):
        env.seed(3)
        observations, rewards = [env.reset()], []
        for _ in range(5):
            observation, reward, _, _ = env.step(np.full((2, 1), 0.3, np.float32))
            observations.append(observation)
            rewards.append(reward)
        runs.append((np.array(observations), np.array(rewards)))
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    np.testing.assert_array_equal(runs[1][0], runs[2][0])
    assert (runs[0][0] != runs[1][0]).any()
    np.testing.assert_array_equal(FastGradientSign(environments(2), agent.policy, 0, STD).reset(), environments(2).reset())


def test_what_does_not_fit_gets_one_sentence():
    policy = AGENTS["sparse SAC"](environments(1)).policy
    with pytest.raises(ValueError, match="epsilon must be 0 or more, not -1"):
        FastGradientSign(environments(1), policy, -1, STD)
    with pytest.raises(ValueError, match=r"std must be numbers of 0 or more, of shape \(6,\)"):
        FastGradientSign(environments(1), policy, 1, STD[:3])
    discrete = sb3.PPO("MlpPolicy", gym.make("CartPole-v1"), device="cpu").policy
    with pytest.raises(ValueError, match="fgsm needs continuous actions"):
        FastGradientSign(make_vec_env("CartPole-v1"), discrete, 1, np.ones(4))
