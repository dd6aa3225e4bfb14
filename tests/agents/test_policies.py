"""Sparse policies in stock SB3: its own bits where nothing is sparse, its own training loop where everything is."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SparseSACPolicy, SparseTD3Policy
from siftrl.envs import make_ene
from siftrl.sparse import SparseLinear, Topology, evolve, sparse_layers, sparsify
from siftrl.sparse.density import Uniform
from siftrl.sparse.drop import GlobalMagnitude
from siftrl.sparse.recipes import RECIPES, resolve
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

ALGORITHMS = {"sac": (sb3.SAC, SparseSACPolicy), "td3": (sb3.TD3, SparseTD3Policy)}
REWIRING = [name for name in RECIPES if resolve(name).rewires]
FALLING = [name for name in REWIRING if resolve(name).falls]
# Of each kind of drop and growth that a network can do alone.
ALONE = ["set", "rigl", "itop", "srigl", "anf-features"]
QUICK = {"period_updates": 4, "fraction": 0.3}


def make(algo, policy=None, env="Pendulum-v1", seed=0, policy_kwargs=None, **kwargs):
    algorithm, sparse_policy = ALGORITHMS[algo]
    settings = {"learning_starts": 20, "batch_size": 16, "buffer_size": 500, "device": "cpu", **kwargs}
    return algorithm(policy or sparse_policy, env, seed=seed, policy_kwargs=dict(policy_kwargs or {}), **settings)


def quick(recipe):
    """Schedule of a short run; a density falls from its first rewiring to its third."""
    return {**QUICK, "stop_updates": 12} if recipe in FALLING else QUICK


def small(recipe, **kwargs):
    """Arguments of a small policy; Pendulum's three features need a density to be sparse at all."""
    schedule = {"recipe_kwargs": quick(recipe)} if isinstance(recipe, str) and resolve(recipe).rewires else {}
    return {"recipe": recipe, "density": 0.4, "distribution": "uniform", "net_arch": [32, 32], **schedule, **kwargs}


def networks(model):
    names = ("actor", "critic", "actor_target", "critic_target")
    return {name: network for name in names if (network := getattr(model, name, None)) is not None}


def links(model):
    return {
        f"{name}.{path}": layer.topology.positions.tolist()
        for name, network in networks(model).items()
        for path, layer in sparse_layers(network).items()
    }


def train(model, n_updates, seed=5):
    """Updates from the replay as it is, from known states of the global streams that SB3 draws from."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    model.set_logger(Logger(folder=None, output_formats=[]))
    model.train(n_updates, batch_size=16)
    return model


def assert_same_networks(first, second):
    first, second = first.policy.state_dict(), second.policy.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def assert_targets_follow(model):
    positions = links(model)
    followed = [name for name in positions if "_target." in name]
    assert all(positions[name] == positions[name.replace("_target.", ".")] for name in followed)
    assert len(followed) == sum(len(sparse_layers(n)) for name, n in networks(model).items() if name.endswith("_target"))


# Where nothing is sparse


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_density_1_without_a_recipe_trains_to_sb3s_bits(algo):
    net_arch = [400, 300] if algo == "td3" else None
    sparse = make(algo, policy_kwargs={"density": 1, "recipe": None, "net_arch": net_arch}).learn(80)
    dense = make(algo, "MlpPolicy").learn(80)
    assert_same_networks(sparse, dense)
    assert not links(sparse)


@pytest.mark.parametrize("path", ["kernels", "scatter"])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_full_sparse_layers_stay_within_1e_4_of_sb3_for_50_updates(algo, path, monkeypatch):
    monkeypatch.setattr(SparseLinear, "multiplies_links", lambda self, batch: path == "kernels")
    dense, full = (make(algo, "MlpPolicy", learning_starts=100).learn(60) for _ in range(2))
    for network in networks(full).values():
        for name, linear in [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]:
            everywhere = Topology.from_mask(np.ones(linear.weight.shape, bool))
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, SparseLinear.from_dense(linear, everywhere))
        if hasattr(network, "optimizer"):
            network.optimizer = torch.optim.Adam(network.parameters(), lr=full.learning_rate)

    train(dense, 50)
    train(full, 50)

    for name, network in networks(full).items():
        for path, layer in sparse_layers(network).items():
            linear = networks(dense)[name].get_submodule(path)
            assert (layer.to_dense() - linear.weight).abs().max() <= 1e-4
            assert (layer.bias - linear.bias).abs().max() <= 1e-4


# Every recipe


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in FALLING])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_recipe_trains_with_a_constant_number_of_links(algo, recipe):
    model = make(algo, policy_kwargs=small(recipe))
    before = links(model)
    assert_targets_follow(model)

    model.learn(44)

    after = links(model)
    assert {name: len(positions) for name, positions in after.items()} == {name: len(p) for name, p in before.items()}
    assert_targets_follow(model)
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())
    n_updates = model._n_updates
    steps = {"actor": n_updates // 2 if algo == "td3" else n_updates, "critic": n_updates}
    rewires = resolve(recipe).rewires
    assert set(model.policy.evolutions) == (set(steps) if rewires else set())
    assert (before != after) == rewires
    for name, evolution in model.policy.evolutions.items():
        assert (evolution.n_updates, evolution.n_rewirings) == (steps[name], steps[name] // QUICK["period_updates"])


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_recipe_takes_its_own_budget_on_a_wide_observation(algo, recipe):
    env = make_ene("Pendulum-v1", 0.98)
    schedule = {"stop_updates": 8000} if recipe in FALLING else {}
    model = make(algo, env=env, policy_kwargs={"recipe": recipe, "recipe_kwargs": schedule})
    assert model.policy.recipes == dict.fromkeys(("actor", "critic"), resolve(recipe, **schedule))
    for name, network in networks(model).items():
        sparse, dense = sparse_layers(network), [m for m in network.modules() if isinstance(m, nn.Linear)]
        assert bool(sparse) == (recipe != "dense"), name
        if recipe == "anf":
            expected = {path: (layer.in_features, 0.2) for path, layer in sparse.items()}
            assert all(density == pytest.approx(sparse[path].density, abs=1e-4) for path, (_, density) in expected.items())
            assert {layer.in_features for layer in sparse.values()} == {151 if name.startswith("critic") else 150}
        if recipe in ("static", "set", "rigl"):
            layers = [*sparse.values(), *dense]
            n_links = sum(layer.weight.numel() for layer in layers)
            places = sum(layer.in_features * layer.out_features for layer in layers)
            assert n_links / places == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_policy_is_anf_with_two_layers_of_256_unless_told_otherwise(algo):
    model = make(algo)
    assert model.policy.recipes == dict.fromkeys(("actor", "critic"), resolve("anf"))
    assert [layer.out_features for layer in model.critic.qf0 if hasattr(layer, "out_features")] == [256, 256, 1]


@pytest.mark.parametrize("recipe", FALLING)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_layers_shrink_while_sb3s_loop_runs_on(algo, recipe):
    model = make(algo, policy_kwargs=small(recipe))
    before = {name: len(positions) for name, positions in links(model).items()}
    optimizers = {"actor": model.actor.optimizer, "critic": model.critic.optimizer}

    model.learn(50)

    assert_targets_follow(model)
    after = {name: len(positions) for name, positions in links(model).items()}
    for name, evolution in model.policy.evolutions.items():
        assert evolution.n_rewirings == 3
        n_links = {path: after[f"{name}.{path}"] for path in evolution.layers}
        assert sum(n_links.values()) == sum(evolution.n_end.values())
        if not isinstance(evolution.recipe.drop, GlobalMagnitude):
            assert n_links == evolution.n_end
        held = [parameter for group in optimizers[name].param_groups for parameter in group["params"]]
        assert list(map(id, held)) == list(map(id, getattr(model, name).parameters()))
        assert all(optimizers[name].state[p]["exp_avg"].shape == p.shape for p in held)
    assert sum(after.values()) < sum(before.values())
    assert all(parameter.isfinite().all() for parameter in model.policy.parameters())


def test_twin_critics_fall_to_as_many_links_each():
    model = make("sac", policy_kwargs=small("granet"))
    with torch.no_grad():
        for layer in sparse_layers(model.critic.qf1).values():
            layer.weight *= 0.01
    n_links = model.learn(50) and [
        sum(layer.n_links for layer in sparse_layers(q).values()) for q in model.critic.q_networks
    ]
    assert n_links[0] == n_links[1]


def test_networks_grow_where_the_other_one_reads():
    env = make_ene("Pendulum-v1", 0.9)
    model = make("sac", env=env, policy_kwargs={"recipe": "anf-shared", "recipe_kwargs": {**QUICK, "fraction": 0.1}})
    with torch.no_grad():
        for q_network in model.critic.q_networks:
            q_network[0].weight[torch.from_numpy(q_network[0].topology.inputs == 7)] = 10.0
    before = links(model)["actor.latent_pi.0"]
    model.learn(24)
    grown = set(links(model)["actor.latent_pi.0"]) - set(before)
    assert len(grown) == round(0.1 * len(before))
    assert {place // 256 for place in grown} == {7}


def test_twin_critics_get_different_links_and_a_seed_the_same():
    first, again, other = (links(make("sac", seed=seed, policy_kwargs=small("set"))) for seed in (0, 0, 1))
    assert first == again != other
    assert first["critic.qf0.2"] != first["critic.qf1.2"]


def test_rewirings_draw_from_the_models_seed():
    for seed in (0, 3):
        evolutions = make("sac", seed=seed, policy_kwargs=small("set")).policy.evolutions
        assert {evolution.seed for evolution in evolutions.values()} == {seed}


def test_sparse_networks_start_from_the_weights_that_sb3_draws():
    sparse = make("sac", policy_kwargs={**small("set"), "scale_to_fan_in": False})
    dense = make("sac", "MlpPolicy", policy_kwargs={"net_arch": [32, 32]})
    for path, layer in sparse_layers(sparse.actor).items():
        assert torch.equal(layer.to_dense(), dense.actor.get_submodule(path).weight * layer.mask())


# A network at a time


def test_recipes_by_network():
    model = make("sac", policy_kwargs=small({"actor": "static", "critic": "rigl"})).learn(30)
    assert list(model.policy.evolutions) == ["critic"]
    assert sparse_layers(model.actor)
    model = make("sac", policy_kwargs={"recipe": {"actor": None, "critic": "anf"}})
    assert not sparse_layers(model.actor)
    assert list(sparse_layers(model.critic)) == ["qf0.0", "qf1.0"]


def test_schedules_by_network():
    recipe_kwargs = {"actor": {"period_updates": 2}, "critic": {"period_updates": 5, "fraction": 0.1}}
    model = make("sac", policy_kwargs=small("set", recipe_kwargs=recipe_kwargs)).learn(40)
    assert {name: evolution.n_rewirings for name, evolution in model.policy.evolutions.items()} == {"actor": 10, "critic": 4}


def density(network):
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | SparseLinear)]
    return sum(layer.weight.numel() for layer in layers) / sum(layer.in_features * layer.out_features for layer in layers)


def test_budgets_by_network():
    model = make("td3", policy_kwargs=small("set", density=None, distribution=None, actor_density=0.1, critic_density=0.4))
    assert density(model.actor) == pytest.approx(0.1, abs=0.01)
    assert density(model.critic) == density(model.critic_target) == pytest.approx(0.4, abs=0.01)
    model = make("td3", policy_kwargs=small("set", density=0.2, critic_density=0.4, critic_distribution="erk"))
    assert density(model.actor) == pytest.approx(0.2, abs=0.01)
    assert density(model.critic) == pytest.approx(0.4, abs=0.01)
    model = make("td3", policy_kwargs={"recipe": "anf", "actor_input_density": 0.1, "critic_input_density": 0.5})
    assert [model.actor.mu[0].density, model.critic.qf0[0].density] == pytest.approx([0.1, 0.5], abs=0.01)


def test_input_density_beside_a_density():
    model = make("sac", policy_kwargs=small("set", density=0.2, input_density=0.5))
    assert [layer.density for layer in sparse_layers(model.critic).values()] == pytest.approx([0.5, 0.2, 0.2] * 2, abs=0.02)


# Networks of other makes


class Extractor(BaseFeaturesExtractor):
    def __init__(self, observation_space):
        super().__init__(observation_space, features_dim=10)
        self.net = nn.Linear(3, 10)

    def forward(self, observations):
        return torch.relu(self.net(observations))


MAKES = {
    "no hidden layer": {"net_arch": []},
    "one": {"net_arch": [32]},
    "three": {"net_arch": [16, 32, 16]},
    "by network": {"net_arch": {"pi": [16], "qf": [32, 32]}},
    "one critic": {"n_critics": 1},
    "three critics": {"n_critics": 3},
    "extractor": {"features_extractor_class": Extractor},
    "shared extractor": {"features_extractor_class": Extractor, "share_features_extractor": True},
    "tanh": {"activation_fn": nn.Tanh},
    "other optimiser": {"optimizer_class": torch.optim.RMSprop, "optimizer_kwargs": {"momentum": 0.9}},
}


@pytest.mark.parametrize("recipe", ["set", "rigl"])
@pytest.mark.parametrize("kwargs", MAKES.values(), ids=MAKES.keys())
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_networks_of_other_makes_train(algo, kwargs, recipe):
    model = make(algo, policy_kwargs=small(recipe, density=0.5, **kwargs)).learn(36)
    assert_targets_follow(model)
    for evolution in model.policy.evolutions.values():
        assert all(rewiring.grown for rewiring in evolution.last.values())
    assert not any("features_extractor" in name for name in links(model))


def test_state_dependent_exploration_trains():
    model = make("sac", policy_kwargs=small("rigl"), use_sde=True)
    before = links(model)
    model.learn(40)
    assert before != links(model)


def test_batches_of_several_environments_and_updates_at_once():
    env = sb3.common.env_util.make_vec_env("Pendulum-v1", 3)
    model = make("sac", env=env, policy_kwargs=small("set"), train_freq=2, gradient_steps=-1).learn(80)
    assert model.policy.evolutions["critic"].n_updates == model._n_updates > 0


# Saving and loading


# Of each kind of memory: none, places tried, a window of gradients, a density that falls, a constant fan-in.
SAVED = ["set", "itop", "anf-gradient", "granet", "srigl"]


@pytest.mark.parametrize("recipe", SAVED)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_loaded_model_goes_on_as_the_original(algo, recipe, tmp_path):
    original = make(algo, policy_kwargs=small(recipe)).learn(31)
    assert_loads_alone(original.policy, tmp_path)
    original.save(tmp_path / "model")
    loaded = [ALGORITHMS[algo][0].load(tmp_path / "model") for _ in range(2)]
    assert links(original) == links(loaded[0])
    for model in loaded:
        model.replay_buffer = copy.deepcopy(original.replay_buffer)
        assert_same_networks(original, model)  # counters and seeds are among the state
        train(model, 13)
    before = links(original)
    train(original, 13)
    assert before != links(original)
    for model in loaded:
        assert_same_networks(original, model)


def test_a_loaded_model_learns_on(tmp_path):
    make("sac", policy_kwargs=small("rigl")).learn(31).save(tmp_path / "model")
    model = sb3.SAC.load(tmp_path / "model", env=gym.make("Pendulum-v1"))
    before = model.policy.evolutions["actor"].n_updates
    model.learn(60, reset_num_timesteps=False)
    assert model.policy.evolutions["actor"].n_updates > before


@pytest.mark.parametrize("recipe", ["static", "dense"])
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_policy_that_never_rewires_is_saved_and_loaded_alone(algo, recipe, tmp_path):
    assert_loads_alone(make(algo, policy_kwargs=small(recipe)).learn(31).policy, tmp_path)


def assert_loads_alone(policy, folder):
    policy.save(folder / "policy")
    torch.manual_seed(99)
    loaded = type(policy).load(folder / "policy")
    observations = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    actions = [p.predict(observations, deterministic=True)[0] for p in (policy, loaded)]
    assert np.array_equal(*actions)
    for name, value in policy.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_parameters_of_one_model_fit_into_another(algo):
    source, sink = (make(algo, seed=seed, policy_kwargs=small("set")).learn(31) for seed in (0, 1))
    sink.set_parameters(copy.deepcopy(source.get_parameters()))
    sink.replay_buffer = copy.deepcopy(source.replay_buffer)
    if algo == "sac":
        sink.log_ent_coef.data.copy_(source.log_ent_coef)
    assert_same_networks(train(source, 9), train(sink, 9))


def test_a_copied_policy_rewires_itself_alone():
    model = make("sac", policy_kwargs=small("set")).learn(31)
    policy = copy.deepcopy(model.policy)
    assert policy.actor_evolution.optimizer is policy.actor.optimizer is not model.actor.optimizer
    assert policy.critic_evolution.layers["qf0.2"] is policy.critic.qf0[2]
    before = links(model)
    policy.critic_evolution.rewire(0.5)
    assert links(model) == before
    assert policy.critic.qf0[2].topology.positions.tolist() == policy.critic_target.qf0[2].topology.positions.tolist()


# PPO and DQN


@pytest.mark.parametrize("recipe", ALONE)
def test_ppo_trains_with_sparse_layers_that_rewire(recipe):
    model = sb3.PPO("MlpPolicy", "Pendulum-v1", n_steps=64, batch_size=32, n_epochs=3, seed=0, device="cpu")
    sparsify(model.policy, Uniform(0.3), optimizer=model.policy.optimizer)
    evolution = evolve(model.policy, model.policy.optimizer, recipe, **QUICK)
    before = {name: layer.topology.positions for name, layer in sparse_layers(model.policy).items()}
    weights = {name: parameter.clone() for name, parameter in model.policy.named_parameters()}
    model.learn(192)
    assert len(before) == 6
    assert evolution.n_updates == model._n_updates * 2
    for name, layer in sparse_layers(model.policy).items():
        assert layer.n_links == len(before[name])
        assert not np.array_equal(layer.topology.positions, before[name])
    assert not any(torch.equal(parameter, weights[name]) for name, parameter in model.policy.named_parameters())


@pytest.mark.parametrize("recipe", ALONE)
def test_dqn_trains_and_its_target_follows(recipe):
    kwargs = {"learning_starts": 20, "train_freq": 1, "batch_size": 16, "buffer_size": 500, "target_update_interval": 30}
    model = sb3.DQN("MlpPolicy", "CartPole-v1", seed=0, device="cpu", **kwargs)
    sparsify(model.q_net, Uniform(0.3), optimizer=model.policy.optimizer, targets=[model.q_net_target])
    evolution = evolve(model.q_net, model.policy.optimizer, recipe, targets=[model.q_net_target], **QUICK)
    before = {name: layer.topology.positions for name, layer in sparse_layers(model.q_net).items()}
    model.learn(200)
    assert evolution.n_rewirings == model._n_updates // QUICK["period_updates"]
    for name, layer in sparse_layers(model.q_net).items():
        assert layer.n_links == len(before[name])
        assert not np.array_equal(layer.topology.positions, before[name])
        assert np.array_equal(layer.topology.positions, model.q_net_target.get_submodule(name).topology.positions)


# Bad arguments


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"recipe": "afn"}, r"recipe must be one of .*, not 'afn'\. Did you mean anf\?"),
        ({"recipe": {"actor": "set"}}, "recipe by network needs the keys 'actor' and 'critic'"),
        ({"recipe": {"actor": "set", "critik": "set"}}, "recipe by network needs the keys"),
        ({"recipe": {"actor": "set", "critic": "setup"}}, r"recipe must be one of .*, not 'setup'\. Did you mean set\?"),
        ({"recipe_kwargs": {"period": 5}}, r"parameter must be one of .*, not 'period'\. Did you mean period_updates\?"),
        ({"recipe_kwargs": {"critic": {}}}, "recipe_kwargs by network needs the keys"),
        ({"recipe": None, "recipe_kwargs": {"period_updates": 5}}, "never rewires"),
        ({"distribution": "erk"}, "needs a density"),
        ({"density": 0.5, "distribution": "erkk"}, r"distribution must be one of .* Did you mean erk\?"),
        ({"actor_density": 0}, "density=0"),
        ({"critic_input_density": 1.2}, "density=1.2"),
        ({"density": 1e-9}, "nearest possible density"),
    ],
)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_bad_arguments_are_named(algo, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(algo, policy_kwargs=kwargs)


@pytest.mark.parametrize("recipe", [{}, {"aktor": "set", "critik": "set"}, 3])
def test_what_is_no_recipe_is_refused(recipe):
    with pytest.raises(TypeError, match="must be a name or a Recipe"):
        make("sac", policy_kwargs={"recipe": recipe})
