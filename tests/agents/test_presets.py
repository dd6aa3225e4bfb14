"""Presets: every one builds for every algorithm and set of hyper-parameters, in the steps of each network."""

import pytest
import stable_baselines3 as sb3
from siftrl.agents import SparseSACPolicy, SparseTD3Policy
from siftrl.agents.delayed_returns import DelayedReturns
from siftrl.agents.dynamic_capacity import DynamicCapacity
from siftrl.agents.oracle import Oracle
from siftrl.agents.presets import ALGORITHMS, HPARAMS, PRESETS, STOP_SHARE, build_callbacks, build_kwargs
from siftrl.agents.sift import Sift
from siftrl.envs import make_ene
from siftrl.sparse import sparse_layers
from siftrl.sparse.diagnostics import linear_layers
from siftrl.sparse.recipes import RECIPES, resolve
from stable_baselines3.common.buffers import NStepReplayBuffer

STOCK = {"sac": (sb3.SAC, SparseSACPolicy), "td3": (sb3.TD3, SparseTD3Policy)}
PLANNED = 10_000

every_preset = pytest.mark.parametrize("preset", PRESETS)
every_algo = pytest.mark.parametrize("algo", ALGORITHMS)
every_hparams = pytest.mark.parametrize("hparams", HPARAMS)


def build(preset, algo, hparams="sb3", env="Pendulum-v1", **kwargs):
    """A stock SB3 model of a preset, and the two dictionaries it came from."""
    policy_kwargs, algorithm_kwargs = build_kwargs(preset, algo, hparams, n_actions=1, **kwargs)
    algorithm, policy = STOCK[algo]
    model = algorithm(policy, env, policy_kwargs=policy_kwargs, device="cpu", buffer_size=100, **algorithm_kwargs)
    return model, policy_kwargs, algorithm_kwargs


def densities(model):
    """Of the critics' sparse layers; those that they are left with, where the density falls."""
    layers = sparse_layers(model.critic)
    n_links = {path: layer.n_links for path, layer in layers.items()}
    if model.policy.recipes["critic"].falls:
        n_links = model.policy.evolutions["critic"].n_end
    return [n_links[path] / (layer.in_features * layer.out_features) for path, layer in layers.items()]


def published(preset, algo):
    return getattr(PRESETS[preset], algo)


def test_every_recipe_has_its_preset_and_every_algorithm_its_policy():
    assert set(PRESETS) == set(RECIPES)
    assert set(STOCK) == set(ALGORITHMS)


@every_preset
def test_every_preset_says_what_it_is_and_where_it_deviates(preset):
    assert PRESETS[preset].summary
    assert "\n" not in PRESETS[preset].summary
    assert PRESETS[preset].deviation


@every_preset
@every_algo
@every_hparams
class TestEveryPreset:
    def test_it_builds_on_stock_sb3_with_what_it_promises(self, preset, algo, hparams):
        model, _, algorithm_kwargs = build(preset, algo, hparams, planned_updates=PLANNED)
        for name, value in algorithm_kwargs.items():
            assert getattr(model, name) == value
        weight_decay = published(preset, algo).weight_decay if hparams == "paper" else 0
        for network in (model.actor, model.critic):
            assert network.optimizer.defaults["weight_decay"] == weight_decay
        if algo == "td3":
            assert model.action_noise is not None
        assert bool(model.policy.evolutions) == resolve(preset).rewires
        assert bool(sparse_layers(model.critic)) == (preset != "dense")
        # Schedules count each network's own steps.
        changes = published(preset, algo).schedule if hparams == "paper" else {}
        expected = resolve(preset, **changes).schedule
        for network, recipe in model.policy.recipes.items():
            if expected is None:
                assert recipe.schedule is None
                continue
            updates_per_step = 2 if (algo, network) == ("td3", "actor") else 1
            assert recipe.schedule.period_updates == expected.period_updates // updates_per_step
            assert (recipe.schedule.fraction, recipe.schedule.decay) == (expected.fraction, expected.decay)
            falls = expected.decay != "constant" or resolve(preset).falls
            assert recipe.schedule.stop_updates == (STOP_SHARE * PLANNED / updates_per_step if falls else None)

    def test_nothing_stops_where_no_end_is_known(self, preset, algo, hparams):
        policy_kwargs, _ = build_kwargs(preset, algo, hparams)
        assert not any("stop_updates" in schedule for schedule in policy_kwargs.get("recipe_kwargs", {}).values())


@every_preset
@every_algo
def test_budgets_reach_the_networks(preset, algo):
    kwargs = {"env": make_ene("Pendulum-v1", 0.9), "planned_updates": PLANNED}
    model, _, _ = build(preset, algo, density=0.15, distribution="uniform", **kwargs)
    tolerance = 1 / 31 if preset == "srigl" else 0.002  # one link of a neuron, or half of 256
    assert densities(model) == pytest.approx([0.15] * 6, abs=tolerance)
    model, _, _ = build(preset, algo, input_density=0.15, **kwargs)
    assert densities(model) == pytest.approx([0.15] * 2, abs=tolerance)


def test_the_published_numbers():
    """Grooten et al. 2023, and Graesser et al. 2022, table 8."""
    _, policy_kwargs, algorithm_kwargs = build("anf", "sac", "paper")
    assert algorithm_kwargs == {"learning_rate": 1e-3, "batch_size": 100, "learning_starts": 25_000, "ent_coef": 0.2}
    assert policy_kwargs["recipe_kwargs"] == {network: {"period_updates": 1000} for network in ("actor", "critic")}
    model, _, _ = build("rigl", "sac", "paper", planned_updates=1_000_000)
    schedule = model.policy.recipes["actor"].schedule
    assert (schedule.period_updates, schedule.fraction, schedule.decay) == (1000, 0.5, "cosine")
    assert schedule.stop_updates == 800_000


@every_algo
def test_sb3s_hyper_parameters_are_sb3s(algo):
    _, policy_kwargs, algorithm_kwargs = build("anf", algo)
    assert set(algorithm_kwargs) <= {"action_noise"}
    assert "optimizer_kwargs" not in policy_kwargs


@every_algo
@every_hparams
def test_rlx2_has_budgets_returns_and_a_replay_of_its_own(algo, hparams):
    """Tan et al. 2023, tables 2 and 3 and section 4.2: more links for critics, 3-step returns after 300 000 of 3 000 000."""
    model, _, _ = build("rlx2", algo, hparams)
    for network, density in (("actor", 0.1), ("critic", 0.15)):
        layers = linear_layers(getattr(model, network)).values()
        places = sum(layer.in_features * layer.out_features for layer in layers)
        assert sum(layer.weight.numel() for layer in layers) == pytest.approx(density * places, abs=3)
    assert type(model.replay_buffer) is NStepReplayBuffer
    returns, capacity = build_callbacks("rlx2", planned_steps=3_000_000)
    assert (type(returns), type(capacity)) == (DelayedReturns, DynamicCapacity)
    assert (model.n_steps, returns.after_steps) == (3, 300_000)
    assert (capacity.period_steps, capacity.threshold, capacity.fraction) == (10_000, 0.2, 0.1)
    assert (capacity.min_size, capacity.n_batches) == (100_000, 8)


@pytest.mark.parametrize("wish", ["density", "input_density"])
def test_a_users_density_goes_before_a_presets_budget(wish):
    policy_kwargs, _ = build_kwargs("rlx2", "sac", **{wish: 0.3})
    assert (policy_kwargs[wish], policy_kwargs.get("critic_density")) == (0.3, None)


def test_these_act_while_they_train_and_each_run_has_its_own():
    acting = {preset: build_callbacks(preset, planned_steps=1) for preset in PRESETS}
    kinds = {preset: [type(callback) for callback in callbacks] for preset, callbacks in acting.items() if callbacks}
    assert kinds == {"rlx2": [DelayedReturns, DynamicCapacity], "sift": [Sift], "sift-anew": [Sift], "oracle": [Oracle]}
    assert build_callbacks("sift", planned_steps=1)[0] is not acting["sift"][0]
    with pytest.raises(ValueError, match=r"recipe must be one of .*, not 'rlx'\. Did you mean rlx2\?"):
        build_callbacks("rlx", planned_steps=1)


def test_an_actor_of_td3_steps_at_half_the_pace():
    model, _, _ = build("anf", "td3")
    periods = {network: recipe.schedule.period_updates for network, recipe in model.policy.recipes.items()}
    assert periods == {"actor": 500, "critic": 1000}


def test_a_very_short_run_still_gets_a_schedule():
    for planned_updates in (0, 1, 2):
        model, _, _ = build("rigl", "td3", planned_updates=planned_updates)
        assert all(recipe.schedule.stop_updates == 1 for recipe in model.policy.recipes.values())


def test_dictionaries_are_the_callers_own():
    first, second = (build_kwargs("anf", "sac", "paper") for _ in range(2))
    first[0]["optimizer_kwargs"]["weight_decay"] = 5
    first[1]["learning_rate"] = 5
    assert second == build_kwargs("anf", "sac", "paper") != first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("afn", "sac", "sb3"), r"recipe must be one of .*, not 'afn'\. Did you mean anf\?"),
        (("anf", "SAC", "sb3"), r"algo must be one of sac, td3, not 'SAC'\. Did you mean sac\?"),
        (("anf", "sca", "sb3"), r"algo must be one of sac, td3, not 'sca'\. Did you mean sac\?"),
        (("anf", "sac", "papers"), r"hparams must be one of sb3, paper, not 'papers'\. Did you mean paper\?"),
    ],
)
def test_unknown_names_are_answered_with_the_closest(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_kwargs(*arguments)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"density": 0}, "density=0"),
        ({"input_density": 2}, "density=2"),
        ({"distribution": "erk"}, "needs a density"),
        ({"density": 0.1, "distribution": "erkk"}, r"distribution must be one of .* Did you mean erk\?"),
    ],
)
def test_impossible_budgets_are_named_before_anything_is_built(wishes, message):
    with pytest.raises(ValueError, match=message):
        build_kwargs("anf", "sac", **wishes)


@pytest.mark.parametrize("planned_updates", [None, 1000])
def test_a_density_that_falls_needs_to_know_by_when(planned_updates):
    with pytest.raises(ValueError, match=r"stop_updates=(None|800) must be the step by which the density has fallen"):
        build("gmp", "sac", planned_updates=planned_updates)
