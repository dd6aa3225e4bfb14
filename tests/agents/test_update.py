"""The quick updates of SAC and TD3 are Stable-Baselines3's, within float tolerance."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from siftrl.agents import SAC, TD3, NoiseReplayBuffer
from siftrl.agents.networks import first_layer, networks, target_networks
from siftrl.agents.update import Reading, frozen, polyak_update, with_fused_adam
from siftrl.agents.written_out import WrittenOut, read
from siftrl.envs import make_ene
from siftrl.sparse import kernels
from siftrl.sparse.feature_links import link_features, redraw
from siftrl.sparse.shared_batch import SharedBatch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.utils import polyak_update as sb3_polyak_update

pytestmark = pytest.mark.usefixtures("short_tables")

ALGORITHMS = {SAC: sb3.SAC, TD3: sb3.TD3}
POLICIES = {
    "dense": {"recipe": None, "density": 1},
    "anf": {"recipe": "anf"},
    "sparse input": {"recipe": "anf", "input_density": 0.03},
    "all sparse": {"recipe": "static", "density": 0.1},
    "chosen features": {"recipe": "sift"},
}
POLICY_ARGUMENTS = {
    "n_critics",
    "optimizer_class",
    "optimizer_kwargs",
    "recipe",
    "input_density",
    "recipe_kwargs",
    "net_arch",
}
N_REAL = 4  # of InvertedPendulum-v5


def trained_twice(algorithm, tmp_path, *, noise=0.9, policy="anf", n_envs=1, n_updates=50, train=None, **kwargs):
    """A model after a few updates of ours, and its twin after the same updates by SB3's own code; with what they logged."""
    env = make_vec_env(make_ene, n_envs, seed=0, env_kwargs={"env_id": "InvertedPendulum-v5", "noise_fraction": noise})
    kwargs.setdefault("buffer_size", 1_000)
    own = {name: kwargs.pop(name) for name in POLICY_ARGUMENTS & kwargs.keys()}
    policy_kwargs = {"net_arch": [64, 64], **POLICIES[policy], **own}
    model = algorithm("SparseMlpPolicy", env, seed=0, policy_kwargs=policy_kwargs, learning_starts=10**9, **kwargs)
    if policy == "chosen features":
        for network in (*networks(model).values(), *target_networks(model).values()):
            layer = first_layer(network)
            n_features = env.observation_space.shape[0]
            link_features(layer, np.concatenate([np.arange(N_REAL), np.arange(n_features, layer.in_features)]))
            redraw(layer, np.random.default_rng(0))
    model.learn(200)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "replay")
    results = []
    for update in (algorithm.train, ALGORITHMS[algorithm].train):
        twin = algorithm.load(tmp_path / "model", env=env)
        twin.load_replay_buffer(tmp_path / "replay")
        twin.set_logger(Logger(None, []))
        torch.manual_seed(1)
        np.random.seed(1)
        update(twin, n_updates, 32)
        results.append((twin, dict(twin.logger.name_to_value)))
    return results


def assert_equal_within_tolerance(results):
    (ours, our_log), (theirs, their_log) = results
    assert our_log.keys() == their_log.keys()
    for name, value in their_log.items():
        assert our_log[name] == pytest.approx(value, rel=1e-4), name
    for (name, mine), other in zip(ours.policy.named_parameters(), theirs.policy.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-4, msg=name)
    assert ours._n_updates == theirs._n_updates


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("noise", [0.0, 0.95])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_fifty_updates_equal_those_of_sb3(algorithm, noise, policy, tmp_path):
    results = trained_twice(algorithm, tmp_path, noise=noise, policy=policy)
    assert_equal_within_tolerance(results)
    untrained = algorithm.load(tmp_path / "model")
    moved = [
        not torch.equal(a, b) for a, b in zip(results[0][0].policy.parameters(), untrained.policy.parameters(), strict=True)
    ]
    assert all(moved)


@pytest.mark.parametrize(
    ("algorithm", "kwargs"),
    [
        (SAC, {"n_steps": 3}),
        (SAC, {"n_envs": 3}),
        (SAC, {"ent_coef": 0.2, "target_update_interval": 3}),
        (SAC, {"use_sde": True}),
        (SAC, {"learning_rate": lambda progress: 1e-3 * progress}),
        (TD3, {"n_steps": 2, "n_envs": 2}),
        (TD3, {"policy_delay": 3}),
        (SAC, {"n_critics": 3, "optimizer_class": torch.optim.SGD}),
        (TD3, {"n_critics": 1, "optimizer_kwargs": {"weight_decay": 1e-2}}),
        (SAC, {"recipe": "rigl", "input_density": 0.5, "recipe_kwargs": {"period_updates": 4}}),
        (TD3, {"recipe": "snfs", "input_density": 0.1, "recipe_kwargs": {"period_updates": 4}}),
        (TD3, {"replay_buffer_kwargs": {"replay_noise": "fresh", "seed": 5}}),
    ],
)
def test_updates_equal_those_of_sb3_under_other_settings(algorithm, kwargs, tmp_path):
    assert_equal_within_tolerance(trained_twice(algorithm, tmp_path, n_updates=20, **kwargs))


def an_agent(algorithm, policy, **kwargs):
    env = make_ene("InvertedPendulum-v5", 0.9)
    return algorithm("SparseMlpPolicy", env, policy_kwargs=dict(POLICIES[policy]), buffer_size=10, seed=0, **kwargs)


@pytest.mark.parametrize(("policy", "is_plain"), [("dense", True), ("anf", True), ("all sparse", False)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_plain_networks_learn_without_autograd(algorithm, policy, is_plain, monkeypatch):
    model = an_agent(algorithm, policy, learning_starts=10**9)
    model.learn(9)
    if is_plain:
        monkeypatch.setattr(torch.Tensor, "backward", lambda *_: pytest.fail("autograd was asked"))
    reading = read(model.replay_buffer.sample_shared(4).observations, model.actor, model.critic)
    assert type(reading) is (WrittenOut if is_plain else Reading)
    model.train(2, 4)


@pytest.mark.parametrize("policy", POLICIES)
def test_q_values_are_the_critics_own(policy):
    model = an_agent(SAC, policy)
    observations, actions = torch.randn(7, 40), torch.randn(7, 1)
    expected = torch.cat(model.critic(observations, actions), dim=1)
    for reader in (read, Reading):
        reading = reader(SharedBatch(observations), model.actor, model.critic)
        torch.testing.assert_close(reading.q_values(actions), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(reading.q_values(actions, n_critics=1), expected[:, :1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reader", [read, Reading])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_actors_outputs_are_its_own(policy, reader):
    observations = torch.randn(7, 40)
    model = an_agent(SAC, policy)
    torch.manual_seed(5)
    expected = model.actor.action_log_prob(observations)
    torch.manual_seed(5)
    actions, log_prob = reader(SharedBatch(observations), model.actor, model.critic).action_log_prob()
    torch.testing.assert_close(actions, expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(log_prob[:, 0], expected[1], rtol=1e-4, atol=1e-5)
    model = an_agent(TD3, policy)
    ours = reader(SharedBatch(observations), model.actor, model.critic).actions()
    torch.testing.assert_close(ours, model.actor(observations), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("policy", "passes"), [("sparse input", [3, 3, 2]), ("dense", [])])
def test_an_update_of_sac_fetches_each_batch_once_for_all_networks(policy, passes, monkeypatch):
    """Actor and critics on the states, actor and targets on the next ones, and the critics again after their step."""
    model = an_agent(SAC, policy, learning_starts=10**9)
    model.learn(9)
    read, product = [], kernels.product
    monkeypatch.setattr(
        kernels, "product", lambda x, layers, **keep: read.append((x, len(layers))) or product(x, layers, **keep)
    )
    model.train(1, 4)
    assert [n_layers for x, n_layers in read if len(x) != 1] == passes  # the action, a single feature, is another pass


def test_networks_with_a_features_extractor_of_their_own_run_as_sb3_runs_them(tmp_path):
    class Double(sb3.common.torch_layers.BaseFeaturesExtractor):
        def forward(self, observations):
            return 2 * observations

    def extractor(space):
        return Double(space, space.shape[0])

    model = an_agent(SAC, "sparse input")
    for network in (model.actor, model.critic):
        network.features_extractor = extractor(model.observation_space)
    observations, actions = torch.randn(7, 40), torch.randn(7, 1)
    reading = read(SharedBatch(observations), model.actor, model.critic)
    expected = torch.cat(model.critic(observations, actions), dim=1)
    torch.testing.assert_close(reading.q_values(actions), expected, rtol=1e-5, atol=1e-6)


class TenfoldCritic(ContinuousCritic):
    def forward(self, obs, actions):
        return tuple(10 * q for q in super().forward(obs, actions))


class Residual(torch.nn.Sequential):
    def forward(self, x):
        return super().forward(x) + x.sum(1, keepdim=True)


def nothing(*_):
    return None


CHANGES = {
    "nothing": (nothing, True),
    "another critic": (lambda model: setattr(model.critic, "__class__", TenfoldCritic), False),
    "another chain": (lambda model: setattr(model.critic.q_networks[1], "__class__", Residual), False),
    "a hook on the critic": (lambda model: model.critic.register_forward_hook(nothing), False),
    "a hook on a chain": (lambda model: model.critic.q_networks[0].register_forward_hook(nothing), False),
    "a hook on the actor": (lambda model: model.actor.register_forward_pre_hook(nothing), False),
    "a hook on the actor's last module": (lambda model: last(model.actor).register_forward_hook(nothing), False),
    "a hook on an extractor": (lambda model: model.critic.features_extractor.register_forward_hook(nothing), False),
    "a hook on a gradient": (lambda model: model.critic.qf0[2].weight.register_hook(nothing), False),
    "tied weights": (lambda model: setattr(model.critic.qf1[2], "weight", model.critic.qf0[2].weight), False),
    "another activation": (lambda model: model.critic.qf0.__setitem__(1, torch.nn.Tanh()), False),
    "critics of two kinds": (lambda model: model.critic.qf0.__setitem__(0, torch.nn.Linear(41, 256)), False),
}


def last(actor):
    return actor.mu if hasattr(actor, "log_std") else actor.mu[-1]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradients_are_written_out_for_plain_networks_alone(algorithm, change):
    model = an_agent(algorithm, "sparse input")
    make, is_plain = CHANGES[change]
    make(model)
    observations, actions = torch.randn(7, 40), torch.randn(7, 1)
    reading = read(SharedBatch(observations), model.actor, model.critic)
    assert type(reading) is (WrittenOut if is_plain else Reading)
    expected = torch.cat(model.critic(observations, actions), dim=1)
    torch.testing.assert_close(reading.q_values(actions), expected, rtol=1e-5, atol=1e-5)


def test_actors_without_hidden_layers_run_as_sb3_runs_them(tmp_path):
    assert_equal_within_tolerance(trained_twice(SAC, tmp_path, n_updates=5, net_arch={"pi": [], "qf": [16]}))


class InADictionary(gym.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Dict({"state": env.observation_space})

    def observation(self, observation):
        return {"state": observation}


@pytest.mark.parametrize(
    ("policy", "wrapper"),
    [("MlpPolicy", lambda env: gym.wrappers.ReshapeObservation(env, (3, 1))), ("MultiInputPolicy", InADictionary)],
    ids=["a matrix", "a dictionary"],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_no_vector_is_learnt_from_as_sb3_does(algorithm, policy, wrapper):
    options = {"learning_starts": 10, "batch_size": 8, "seed": 0, "policy_kwargs": {"net_arch": [16]}}
    kinds = (algorithm, ALGORITHMS[algorithm])
    ours, theirs = (kind(policy, wrapper(gym.make("Pendulum-v1")), **options).learn(14) for kind in kinds)
    for (name, mine), other in zip(ours.policy.named_parameters(), theirs.policy.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_shared_features_extractor_learns(algorithm, tmp_path):
    class Weighted(sb3.common.torch_layers.BaseFeaturesExtractor):
        def __init__(self, space):
            super().__init__(space, space.shape[0])
            self.linear = torch.nn.Linear(space.shape[0], space.shape[0])

        def forward(self, observations):
            return self.linear(observations)

    env = make_ene("InvertedPendulum-v5", 0.5)
    kwargs = {"net_arch": [16], "features_extractor_class": Weighted, "share_features_extractor": True}
    moved = []
    for cls, policy in ((algorithm, "SparseMlpPolicy"), (ALGORITHMS[algorithm], "MlpPolicy")):
        own = {"recipe": None, "density": 1} if policy == "SparseMlpPolicy" else {}
        model = cls(policy, env, policy_kwargs={**kwargs, **own}, learning_starts=20, seed=0)
        before = model.actor.features_extractor.linear.weight.detach().clone()
        model.learn(30)
        moved.append((model.actor.features_extractor.linear.weight - before).abs().max().item())
    assert moved[0] == pytest.approx(moved[1], rel=0.02)
    assert moved[0] > 0


def test_gradients_pass_through_a_frozen_network_and_stop_at_none_of_its_weights():
    net, x = torch.nn.Linear(3, 1), torch.ones(2, 3, requires_grad=True)
    with frozen([net]):
        net(x).sum().backward()
    assert net.weight.grad is None
    torch.testing.assert_close(x.grad, net.weight.detach().expand(2, 3))
    assert net.weight.requires_grad


def test_polyak_update_is_sb3s():
    torch.manual_seed(0)
    online, targets = [torch.randn(5), torch.randn(2, 3)], [torch.randn(5), torch.randn(2, 3)]
    theirs = [target.clone() for target in targets]
    polyak_update(online, targets, 0.005)
    sb3_polyak_update(online, theirs, 0.005)
    for ours, other in zip(targets, theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("replay_noise", "permute", "kind"),
    [(replay_noise, permute, "normal") for replay_noise in ("exact", "fresh") for permute in (False, True)]
    + [
        ("exact", False, "autoregressive"),
        ("fresh", False, "shadow"),
        ("exact", True, "copies"),
        ("fresh", False, "copies"),
    ],
)
def test_a_shared_batch_equals_the_row_major_one(replay_noise, permute, kind):
    kwargs = {"env_id": "Pendulum-v1", "noise_fraction": 0.9, "noise_distribution": kind}
    env = make_vec_env(make_ene, 2, seed=0, env_kwargs={**kwargs, "permute_every": 30 if permute else None})
    options = {"replay_noise": replay_noise, "seed": 3}
    model = SAC("SparseMlpPolicy", env, seed=0, learning_starts=10**9, buffer_size=2000, replay_buffer_kwargs=options)
    model.learn(900)
    buffer = model.replay_buffer
    assert isinstance(buffer, NoiseReplayBuffer)
    assert len(np.unique(buffer.orders[: buffer.pos])) == (3 if permute else 1)

    def drawn(sample):
        np.random.seed(0)
        buffer._rng = np.random.default_rng(0)
        return sample(64)

    rows, shared = drawn(buffer.sample), drawn(buffer.sample_shared)
    for row_major, ours in zip(rows, shared, strict=True):
        ours = ours.rows() if isinstance(ours, SharedBatch) else ours
        assert (row_major is None and ours is None) or torch.equal(row_major, ours)
    assert shared.observations.rows().t().is_contiguous()


@pytest.mark.parametrize(
    "chosen",
    [{"optimizer_class": torch.optim.SGD}, {"optimizer_kwargs": {"foreach": True}}, {"optimizer_kwargs": {"fused": False}}],
)
def test_the_users_choice_of_optimiser_stands(chosen):
    assert with_fused_adam(chosen) == chosen


def test_adam_is_fused_and_keeps_its_other_arguments():
    given = {"optimizer_kwargs": {"weight_decay": 1e-4}}
    assert with_fused_adam(given) == {"optimizer_kwargs": {"weight_decay": 1e-4, "fused": True}}
    assert given == {"optimizer_kwargs": {"weight_decay": 1e-4}}
