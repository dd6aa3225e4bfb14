"""An actor as arrays: which features are read, what the layers hold, and what cannot be taken."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.export.actor import actor_of
from siftrl.sparse.diagnostics import linear_layers
from siftrl.sparse.linear import SparseLinear
from torch import nn


def test_layers_hold_the_links_and_the_features_that_have_some(model):
    actor = actor_of(model)
    modules = list(linear_layers(model.actor).values())[: len(actor.layers)]  # behind these: SAC's log_std
    for number, (layer, module) in enumerate(zip(actor.layers, modules, strict=True)):
        dense = module.to_dense() if isinstance(module, SparseLinear) else module.weight
        expected = dense.detach().numpy()
        assert np.array_equal(layer.dense(), expected[:, actor.reads] if number == 0 else expected)
        assert np.array_equal(layer.bias, module.bias.detach().numpy())
        assert layer.weight.size == module.weight.numel()
        assert layer.n_in == layer.dense().shape[1]
    if isinstance(modules[0], SparseLinear):
        assert np.array_equal(actor.reads, np.flatnonzero(modules[0].topology.fan_out()))
    assert [layer.activation for layer in actor.layers][-1] == "tanh"
    assert actor.n_features == 200


def test_a_layer_with_all_places_taken_has_no_list_of_links(sifted_model):
    actor = actor_of(sifted_model)
    assert actor.reads.tolist() == [3, 50, 199]
    assert actor.layers[0].indptr is None
    assert actor.layers[0].weight.shape == (24, 3)


def test_actors_that_are_no_chain_are_refused():
    with pytest.raises(ValueError, match="SAC and TD3, not those of PPO"):
        actor_of(sb3.PPO("MlpPolicy", "Pendulum-v1", device="cpu"))
    elu = sb3.SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"activation_fn": nn.ELU}, buffer_size=1, device="cpu")
    with pytest.raises(ValueError, match="ReLU or Tanh behind a linear layer, not ELU"):
        actor_of(elu)
    clipped = sb3.SAC("MlpPolicy", "Pendulum-v1", use_sde=True, buffer_size=1, device="cpu")
    with pytest.raises(ValueError, match="not Hardtanh, Tanh"):
        actor_of(clipped)
    no_hidden = sb3.SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": []}, buffer_size=1, device="cpu")
    assert len(actor_of(no_hidden).layers) == 1


def test_observations_that_are_no_vector_are_refused():
    class Dictionaries(gym.Env):
        observation_space = gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (2,))})
        action_space = gym.spaces.Box(-1, 1, (1,))

    model = sb3.SAC("MultiInputPolicy", Dictionaries(), buffer_size=1, device="cpu")
    with pytest.raises(ValueError, match="reads one vector"):
        actor_of(model)
