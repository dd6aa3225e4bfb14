"""What is logged and tabulated: the promised keys, and numbers counted by hand."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SparseSACPolicy, SparseTD3Policy
from siftrl.agents.callbacks import FilterRow, LayerRow, SparsityMetrics, filter_report, layer_table, networks
from siftrl.envs import make_ene
from siftrl.sparse import SparseLinear, Topology
from stable_baselines3.common.logger import KVWriter, Logger

POLICIES = {"sac": (sb3.SAC, SparseSACPolicy), "td3": (sb3.TD3, SparseTD3Policy)}
NETWORKS = ("actor", "qf0", "qf1")


class Memory(KVWriter):
    """Keeps what SB3's logger writes."""

    def __init__(self):
        self.entries = []

    def write(self, key_values, key_excluded, step=0):
        self.entries.append((step, dict(key_values)))

    def close(self):
        pass


def make(algo="sac", env="Pendulum-v1", policy=None, **policy_kwargs):
    algorithm, sparse_policy = POLICIES[algo]
    policy_kwargs = {"net_arch": [16, 16], **policy_kwargs}
    settings = {"learning_starts": 10, "batch_size": 8, "buffer_size": 100, "seed": 0, "device": "cpu"}
    model = algorithm(policy or sparse_policy, env, policy_kwargs=policy_kwargs, **settings)
    model.set_logger(Logger(folder=None, output_formats=[Memory()]))
    return model


def learn(model, n_steps=30, **kwargs):
    """What the logger holds after learning."""
    model.learn(n_steps, callback=SparsityMetrics(**kwargs), log_interval=None)
    return dict(model.logger.name_to_value)


def ours(values):
    return {key for key in values if key.partition("/")[0] in ("sparsity", "topology", "filter", "ene")}


def layers_of(model):
    return {f"sparsity/{network}/{layer}" for network, layer, *_ in layer_table(model)}


@pytest.mark.parametrize("algo", POLICIES)
def test_the_promised_keys_are_logged_in_a_noisy_environment(algo):
    model = make(algo, make_ene("Pendulum-v1", 0.9, permute=True), recipe="set", recipe_kwargs={"period_updates": 5})
    filters = {"links_per_real_feature", "links_per_noise_feature", "strength_ratio"}
    assert ours(learn(model)) == {
        *layers_of(model),
        *(f"topology/{network}/{key}" for network in ("actor", "critic") for key in ("dropped", "grown", "overlap")),
        *(f"filter/{network}/{key}" for network in NETWORKS for key in filters),
        "ene/permutation",
    }


def test_a_clean_task_and_a_dense_policy_log_their_sparsity_alone():
    model = make(policy="MlpPolicy")
    values = learn(model)
    assert ours(values) == layers_of(model)
    assert all(values[key] == 0 for key in layers_of(model))


def test_sparsity_is_the_fraction_of_zeros():
    model = make(recipe="static", density=0.25, distribution="uniform")
    values = learn(model)
    for network, module in networks(model).items():
        for path, layer in module.named_modules():
            if isinstance(layer, SparseLinear):
                assert values[f"sparsity/{network}/{path}"] == pytest.approx(1 - layer.mask().float().mean().item())


def test_topology_is_that_of_the_last_rewiring():
    recipe_kwargs = {"period_updates": 5, "fraction": 0.5}
    model = make(recipe="set", density=0.25, distribution="uniform", recipe_kwargs=recipe_kwargs)
    values = learn(model)
    n_links = [layer.n_links for layer in model.critic.modules() if isinstance(layer, SparseLinear)]
    rewired = sum(round(0.5 * n) for n in n_links)
    assert values["topology/critic/dropped"] == values["topology/critic/grown"] == rewired
    assert values["topology/critic/overlap"] == pytest.approx(1 / 3, abs=0.02)


def test_the_last_measurement_is_in_everything_that_sb3_writes():
    model = make(env=gym.make("Pendulum-v1", max_episode_steps=10), recipe="static", density=0.25)
    model.learn(30, callback=SparsityMetrics(period_steps=50), log_interval=1)
    entries = model.logger.output_formats[0].entries
    assert [step for step, _ in entries] == [10, 20, 30]
    assert all(layers_of(model) <= set(values) for _, values in entries)


def test_it_measures_at_start_every_period_and_end(monkeypatch):
    model, steps = make(recipe="static", density=0.25), []
    monkeypatch.setattr(SparsityMetrics, "_measure", lambda callback: steps.append(callback.num_timesteps))
    learn(model, 30, period_steps=12)
    assert (steps[0], steps[-1]) == (0, 30)
    assert len([step for step in steps if 0 < step < 30]) in (2, 3)


@pytest.mark.parametrize("period_steps", [0, -1])
def test_a_period_below_one_step_is_refused(period_steps):
    with pytest.raises(ValueError, match=f"period_steps={period_steps}"):
        SparsityMetrics(period_steps)


@pytest.mark.parametrize("algo", POLICIES)
def test_layer_table_lists_every_linear_layer_of_every_network(algo):
    model = make(algo, recipe="anf", input_density=0.5)
    rows = layer_table(model)
    assert rows[0] == LayerRow("actor", "latent_pi.0" if algo == "sac" else "mu.0", (16, 3), 24, 0.5)
    assert [row.network for row in rows] == ["actor"] * (4 if algo == "sac" else 3) + ["qf0"] * 3 + ["qf1"] * 3
    assert rows[-3:] == [
        LayerRow("qf1", "0", (16, 4), 32, 0.5),
        LayerRow("qf1", "2", (16, 16), 256, 1.0),
        LayerRow("qf1", "4", (1, 16), 16, 1.0),
    ]


def by_hand(mask, weights):
    """A layer with these links; the weights are listed by input feature, then by neuron."""
    layer = SparseLinear(len(mask[0]), len(mask), topology=Topology.from_mask(np.array(mask, bool)))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
    return layer


def test_filter_report_counts_links_and_strength_by_hand():
    model = make("td3", make_ene("Pendulum-v1", 0.5), net_arch=[2, 2], recipe=None, density=1)
    # Features 0 to 2 are real, 3 to 5 noise, and the critic's 6 is the action.
    model.actor.mu[0] = by_hand([[1, 1, 0, 1, 0, 0], [1, 0, 1, 0, 0, 0]], [1.0, -2.0, 3.0, -4.0, 0.5])
    critic = by_hand([[1, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1]], [-3.0, 1.0, 1.0, 1.0, -1.0, 99.0, 99.0])
    model.critic.qf0[0] = critic
    report = filter_report(model, np.arange(3))
    assert report["actor"] == pytest.approx(FilterRow(4 / 3, 1 / 3, 10 / 0.5))
    assert report["qf0"] == pytest.approx(FilterRow(1 / 3, 4 / 3, 3 / 4))
    weight = model.critic.qf1[0].weight.abs()
    assert report["qf1"] == pytest.approx(FilterRow(2, 2, (weight[:, :3].mean() / weight[:, 3:6].mean()).item()))
    moved = filter_report(model, np.array([3, 4, 5]))
    assert moved["actor"] == pytest.approx(FilterRow(1 / 3, 4 / 3, 0.5 / 10))


def test_filter_report_without_noise_has_nothing_to_compare():
    report = filter_report(make(recipe="anf", input_density=0.5), np.arange(3))
    assert report["actor"].real == 8
    assert np.isnan([report["actor"].noise, report["actor"].strength_ratio]).all()
