"""Models to export: small, with actions whose bounds differ, sparse in several ways and dense."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.agents import SparseSACPolicy, SparseTD3Policy
from siftrl.sparse.feature_links import link_features
from torch import nn

N_FEATURES = 200


class Task(gym.Env):
    """Two actions with bounds that are neither alike nor around 0."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (N_FEATURES,), np.float32)
    action_space = gym.spaces.Box(np.float32([-1, -2]), np.float32([3, 0.5]))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(N_FEATURES, np.float32), {}


def sac(policy="MlpPolicy", **policy_kwargs):
    return sb3.SAC(
        policy, Task(), policy_kwargs={"net_arch": [24, 16], **policy_kwargs}, buffer_size=1, seed=0, device="cpu"
    )


def sifted():
    model = sac(SparseSACPolicy, recipe="anf", input_density=0.05)
    link_features(model.actor.latent_pi[0], np.array([3, 50, 199]))
    return model


MODELS = {
    "sparse input": lambda: sac(SparseSACPolicy, recipe="anf", input_density=0.1),
    "few links": lambda: sac(SparseSACPolicy, recipe="set", density=0.035, distribution="uniform"),
    "sifted": sifted,
    "dense": sac,
    "dense with tanh": lambda: sac(activation_fn=nn.Tanh),
    "sparse TD3": lambda: sb3.TD3(SparseTD3Policy, Task(), policy_kwargs={"net_arch": [24], "density": 0.2}, buffer_size=1),
    "dense TD3": lambda: sb3.TD3("MlpPolicy", Task(), policy_kwargs={"net_arch": [24, 16]}, buffer_size=1, device="cpu"),
}


@pytest.fixture(params=MODELS)
def model(request):
    """A model of each kind."""
    return MODELS[request.param]()


@pytest.fixture
def sifted_model():
    """One that reads features 3, 50 and 199."""
    return sifted()
