"""Attention: the derivative of the action, by what the feature moves."""

import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.agents import SparseSACPolicy, SparseTD3Policy, attention
from siftrl.agents.attention import attention as attend
from siftrl.envs import make_ene
from torch import nn

# Tanh: at a kink of ReLU, differences are not the derivative.
SMOOTH = {"net_arch": [12], "activation_fn": nn.Tanh}
SPARSE = {"recipe": "set", "density": 0.3, **SMOOTH}
MODELS = {
    "sparse SAC": lambda env: sb3.SAC(SparseSACPolicy, env, policy_kwargs={**SPARSE}, buffer_size=1, seed=0, device="cpu"),
    "dense SAC": lambda env: sb3.SAC("MlpPolicy", env, policy_kwargs={**SMOOTH}, buffer_size=1, seed=0, device="cpu"),
    "sparse TD3": lambda env: sb3.TD3(SparseTD3Policy, env, policy_kwargs={**SPARSE}, buffer_size=1, seed=0, device="cpu"),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param](make_ene("Reacher-v5", 0.5))  # 20 features, two actions


@pytest.fixture
def observations():
    observations = np.random.default_rng(0).standard_normal((6, 20), np.float32)
    observations[:, 4] = 0.5
    return observations


def test_it_is_how_far_the_actions_move(model, observations):
    found = attend(model, observations)
    assert found.shape == (6, 20)
    step = 1e-2
    for feature in range(20):
        sides = []
        for sign in (-1, 1):
            moved = observations.copy()
            moved[:, feature] += sign * step
            sides.append(model.policy.scale_action(model.predict(moved, deterministic=True)[0]))
        slope = np.abs(sides[1] - sides[0]).mean(axis=1) / (2 * step)
        np.testing.assert_allclose(found[:, feature], slope * observations[:, feature].std(), atol=2e-3)
    assert found.max() > 0.01


def test_what_is_not_linked_or_never_moves_gets_none(model, observations):
    found = attend(model, observations)
    assert (found[:, 4] == 0).all()
    first = getattr(model.actor, "latent_pi", model.actor.mu)[0]
    if hasattr(first, "topology"):
        unlinked = np.flatnonzero(first.topology.fan_out() == 0)
        assert (found[:, unlinked] == 0).all()


def test_batches_change_nothing_and_weights_get_no_gradient(model, observations, monkeypatch):
    whole = attend(model, observations)
    monkeypatch.setattr(attention, "_NUMBERS", 40)
    in_batches = attend(model, observations.astype(np.float64))
    assert in_batches.dtype == np.float32
    np.testing.assert_allclose(in_batches, whole, rtol=1e-5, atol=1e-7)
    assert all(parameter.grad is None for parameter in model.actor.parameters())


def test_other_algorithms_are_refused():
    with pytest.raises(ValueError, match="SAC and TD3, not of PPO"):
        attend(sb3.PPO("MlpPolicy", "Pendulum-v1", device="cpu"), np.zeros((1, 3), np.float32))
