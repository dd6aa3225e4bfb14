"""What a configuration's options become as arguments of the policy and the algorithm."""

import pytest
from siftrl.agents import SAC, TD3
from siftrl.envs import make_ene
from siftrl.sparse import SparseLinear, sparse_layers
from siftrl.sparse.diagnostics import linear_layers
from siftrl.training.agent import agent_arguments
from siftrl.training.config import RunConfig
from siftrl.training.environments import make_vec_env


def arguments(**options):
    config = RunConfig(env="Pendulum-v1", noise=0.5, **options)
    return agent_arguments(config, make_vec_env(config.ene_kwargs(), seed=0), planned_timesteps=10_000)


@pytest.mark.parametrize("hparams", ["sb3", "paper"])
def test_single_hyper_parameters_go_before_those_of_the_preset(hparams):
    own = {"learning_rate": 5e-4, "batch_size": 32, "learning_starts": 7}
    policy_kwargs, algorithm_kwargs = arguments(hparams=hparams, weight_decay=0.5, **own)
    assert own.items() <= algorithm_kwargs.items()
    assert policy_kwargs["optimizer_kwargs"] == {"weight_decay": 0.5}


def test_actor_and_critics_have_densities_of_their_own():
    policy_kwargs = arguments(recipe="set", actor_density=0.1, critic_density=0.3, distribution="uniform")[0]
    policy_kwargs = {**policy_kwargs, "net_arch": [32, 32]}
    model = SAC("SparseMlpPolicy", make_ene("Pendulum-v1", 0.5), policy_kwargs=policy_kwargs, buffer_size=1, device="cpu")
    for network, density in (("actor", 0.1), ("critic", 0.3)):
        for layer in sparse_layers(getattr(model, network)).values():
            assert layer.n_links == round(density * layer.in_features * layer.out_features)


def test_a_distribution_needs_the_density_of_both_networks():
    with pytest.raises(ValueError, match="distribution='uniform' needs a density"):
        arguments(recipe="set", actor_density=0.1, distribution="uniform")


@pytest.mark.parametrize("algo", ["sac", "td3"])
def test_both_hidden_layers_have_the_width(algo):
    policy_kwargs, algorithm_kwargs = arguments(recipe="ds", algo=algo, width=20, input_epsilon=2.5, hidden_epsilon=5)
    env = make_ene("Pendulum-v1", 0.5)
    model = {"sac": SAC, "td3": TD3}[algo](
        "SparseMlpPolicy", env, policy_kwargs=policy_kwargs, device="cpu", **{**algorithm_kwargs, "buffer_size": 1000}
    )
    for network, n_in in (("actor", 6), ("critic", 7)):
        first, second, *outputs = linear_layers(getattr(model, network)).values()
        assert (first.in_features, first.out_features, second.in_features, second.out_features) == (n_in, 20, 20, 20)
        assert (first.n_links, second.n_links) == (round(2.5 * (n_in + 20)), 5 * 40)
        assert not isinstance(outputs[0], SparseLinear)


def test_the_period_counts_updates_of_the_critics_for_both_networks():
    schedules = arguments(recipe="anf", algo="td3", period_updates=60, drop_fraction=0.3)[0]["recipe_kwargs"]
    assert schedules == {
        "actor": {"period_updates": 30, "fraction": 0.3},
        "critic": {"period_updates": 60, "fraction": 0.3},
    }


def test_a_schedule_that_falls_ends_at_a_share_of_the_updates_that_remain_after_the_warm_up():
    schedules = arguments(recipe="rigl", learning_starts=2_000)[0]["recipe_kwargs"]
    assert schedules["actor"]["stop_updates"] == int(0.8 * 8_000)


def test_a_schedule_for_what_never_rewires_is_refused():
    with pytest.raises(ValueError, match="never rewires"):
        arguments(recipe="dense", period_updates=10)
