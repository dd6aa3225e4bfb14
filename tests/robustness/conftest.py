"""Saved agents that nobody has trained: enough to be tried, and quick to have."""

import pytest
import torch as th
from siftrl.training.agent import agent_arguments, new_agent
from siftrl.training.archive import Provenance, save_model
from siftrl.training.config import RunConfig
from siftrl.training.environments import make_vec_env


def _save_agent(folder, is_calm=True, **options):
    """An untrained agent in a folder such as a run has, and its zip's path.

    One that is calm hardly acts, and so lets the pendulum stand for longer than random actions do.
    """
    config = RunConfig(**{"env": "InvertedPendulum-v5", "noise": 0.0, "width": 8, "n_timesteps": 1_000, **options})
    env = make_vec_env(config.ene_kwargs(), seed=0)
    policy_kwargs, algorithm_kwargs = agent_arguments(config, env, config.n_timesteps)
    agent = new_agent(config, env, "cpu", policy_kwargs, {**algorithm_kwargs, "buffer_size": 1})
    if is_calm:
        with th.no_grad():
            for parameter in agent.actor.mu.parameters():
                parameter *= 0.05
    run = folder / f"{config.algo}-{config.recipe}" / f"{config.env}_{config.noise:g}_s{config.seed}_{config.width}"
    run.mkdir(parents=True)
    save_model(agent, run / "model.zip", Provenance(config, num_timesteps=1_000))
    return run / "model.zip"


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder of three agents of two methods."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        _save_agent(folder, recipe="dense", seed=seed)
    _save_agent(folder, recipe="set", density=0.5)
    return folder


@pytest.fixture(scope="session")
def noisy(tmp_path_factory):
    """The zip of an agent among noise."""
    return _save_agent(tmp_path_factory.mktemp("noisy"), is_calm=False, recipe="anf", noise=0.5)


@pytest.fixture(scope="session")
def save_agent():
    """What saves an untrained agent in a folder such as a run has, and gives its zip's path."""
    return _save_agent
