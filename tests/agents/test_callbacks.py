"""What is logged: the promised keys, and numbers counted by hand."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
from siftrl.agents import SparseSACPolicy, SparseTD3Policy
from siftrl.agents.callbacks import SparsityMetrics
from siftrl.agents.filter import filter_report
from siftrl.agents.networks import layer_table, n_dead_neurons, networks
from siftrl.envs import make_ene
from siftrl.sparse import SparseLinear
from stable_baselines3.common.callbacks import ConvertCallback
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


GROUPS = ("sparsity", "links", "neurons", "flops", "topology", "filter", "ene")


def ours(values):
    return {key for key in values if key.partition("/")[0] in GROUPS}


def layers_of(model):
    """What is logged of any network."""
    flops = ("inference", "training", "dense_inference", "dense_training")
    return {
        *(f"{group}/{network}/{layer}" for network, layer, *_ in layer_table(model) for group in ("sparsity", "links")),
        *(f"neurons/{network}/dead" for network in NETWORKS),
        *(f"flops/{network}/{kind}" for network in NETWORKS for kind in flops),
    }


@pytest.mark.parametrize("algo", POLICIES)
def test_the_promised_keys_are_logged_in_a_noisy_environment(algo):
    model = make(algo, make_ene("Pendulum-v1", 0.9, permute=True), recipe="set", recipe_kwargs={"period_updates": 5})
    filters = {"links_per_real_feature", "links_per_noise_feature", "strength_ratio", "auroc", "precision_at_d"}
    rewirings = {"dropped", "grown", "overlap", "coverage"}
    assert ours(learn(model)) == {
        *layers_of(model),
        *(f"topology/{network}/{key}" for network in ("actor", "critic") for key in rewirings),
        *(f"filter/{network}/{key}" for network in NETWORKS for key in filters),
        "ene/permutation",
    }


def test_a_clean_task_and_a_dense_policy_log_their_layers_alone():
    model = make(policy="MlpPolicy")
    values = learn(model)
    assert ours(values) == layers_of(model)
    assert all(value == 0 for key, value in values.items() if key.startswith(("sparsity/", "neurons/")))


def test_sparsity_is_the_fraction_of_zeros():
    model = make(recipe="static", density=0.25, distribution="uniform")
    values = learn(model)
    for network, module in networks(model).items():
        for path, layer in module.named_modules():
            if isinstance(layer, SparseLinear):
                assert values[f"sparsity/{network}/{path}"] == pytest.approx(1 - layer.mask().float().mean().item())
                assert values[f"links/{network}/{path}"] == layer.mask().sum().item()


def test_topology_is_that_of_the_last_rewiring():
    recipe_kwargs = {"period_updates": 5, "fraction": 0.5}
    model = make(recipe="set", density=0.25, distribution="uniform", recipe_kwargs=recipe_kwargs)
    values = learn(model)
    n_links = [layer.n_links for layer in model.critic.modules() if isinstance(layer, SparseLinear)]
    rewired = sum(round(0.5 * n) for n in n_links)
    assert values["topology/critic/dropped"] == values["topology/critic/grown"] == rewired
    assert values["topology/critic/overlap"] == pytest.approx(1 / 3, abs=0.02)


def test_coverage_is_the_union_of_all_topologies_also_between_measurements():
    recipe_kwargs = {"period_updates": 1, "fraction": 0.5}
    model = make(recipe="set", density=0.1, distribution="uniform", recipe_kwargs=recipe_kwargs)
    masks = {}

    def collect(locals_, _globals):
        layers = model.policy.evolutions["critic"].layers
        for path, layer in layers.items():
            masks[path] = masks.get(path, False) | layer.mask().numpy()
        return True

    model.learn(30, callback=[SparsityMetrics(period_steps=1000), ConvertCallback(collect)], log_interval=None)
    collect(None, None)  # after the last update
    union = sum(mask.sum() for mask in masks.values()) / sum(mask.size for mask in masks.values())
    assert model.logger.name_to_value["topology/critic/coverage"] == pytest.approx(union)
    assert union > 0.3


def test_coverage_before_any_rewiring_is_the_density():
    model = make(recipe="set", density=0.25, distribution="uniform")
    values = learn(model)
    assert values["topology/actor/coverage"] == pytest.approx(0.25, abs=0.01)
    assert "topology/actor/overlap" not in values


def test_flops_stand_beside_those_of_dense_layers():
    model = make(recipe="rigl", density=0.25, distribution="uniform", recipe_kwargs={"period_updates": 10})
    values = learn(model)
    sizes = [(layer.shape[0] * layer.shape[1], layer.links) for layer in layer_table(model) if layer.network == "qf0"]
    places, links = map(sum, zip(*sizes, strict=True))
    assert values["flops/qf0/inference"] == 2 * links
    assert values["flops/qf0/dense_inference"] == 2 * places
    assert values["flops/qf0/dense_training"] == 6 * places
    # RigL computes the gradient of all places in one of ten updates.
    assert values["flops/qf0/training"] == pytest.approx(6 * links + 2 * places / 10)


def test_dead_neurons_are_counted_in_each_network():
    model = make(recipe="static", density=0.05, distribution="uniform")
    values = learn(model)
    assert {name: values[f"neurons/{name}/dead"] for name in NETWORKS} == {
        name: n_dead_neurons(network) for name, network in networks(model).items()
    }
    assert values["neurons/actor/dead"] > 8


def test_the_ranking_is_scaled_by_the_last_full_period():
    env = make_ene("Pendulum-v1", 0.5)
    model = make(env=env, recipe="static", input_density=0.5)
    metrics, seen = SparsityMetrics(period_steps=12), []

    def keep(locals_, _globals):
        seen.append(locals_["new_obs"][0])
        return True

    model.learn(30, callback=[metrics, ConvertCallback(keep)], log_interval=None)
    np.testing.assert_allclose(metrics.feature_std, np.std(seen[12:24], axis=0), rtol=1e-5)
    expected = filter_report(model, np.arange(3), metrics.feature_std)
    assert model.logger.name_to_value["filter/qf0/auroc"] == expected["qf0"].auroc
    assert model.logger.name_to_value["filter/qf0/precision_at_d"] == expected["qf0"].precision_at_d


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
    assert [step for step in steps if 0 < step < 30] == [12, 24]


@pytest.mark.parametrize("period_steps", [0, -1])
def test_a_period_below_one_step_is_refused(period_steps):
    with pytest.raises(ValueError, match=f"period_steps={period_steps}"):
        SparsityMetrics(period_steps)
