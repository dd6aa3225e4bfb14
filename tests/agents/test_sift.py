"""Agents that sift: what their first layers read, and what becomes of it when the sensors move."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch as th
from siftrl.agents import SAC, TD3, SparseSACPolicy, watch
from siftrl.agents.networks import first_layer, networks, target_networks
from siftrl.agents.oracle import Oracle
from siftrl.agents.recent_experience import RecentExperience
from siftrl.agents.recognition import recognise
from siftrl.agents.replay import NoiseReplayBuffer
from siftrl.agents.replay_rows import observed
from siftrl.agents.screening import screen
from siftrl.agents.sift import Sift
from siftrl.envs import make_ene
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

WARM_UP = 600
MOVED = 1_100
STEPS = MOVED + 100 + 500 + 50  # to notice that the sensors have moved, for the experiment, and what comes after


def trained(algorithm=SAC, env=None, n_steps=WARM_UP + 5, policy="SparseMlpPolicy", sift=None, **kwargs):
    sift = Sift(period_steps=500, window_steps=1_000) if sift is None else sift
    env = make_ene("Hopper-v5", noise_fraction=0.9) if env is None else env
    kwargs = {"learning_starts": WARM_UP, "batch_size": 16, "seed": 0, "buffer_size": 20_000} | kwargs
    model = algorithm(policy, env, policy_kwargs={"recipe": "sift", "net_arch": [32, 32]}, **kwargs)
    model.learn(n_steps, callback=sift)
    return model, sift


def read(layer):
    return layer.topology.fan_out().nonzero()[0].tolist()


@pytest.mark.parametrize(
    ("algorithm", "make_kwargs"),
    [
        (SAC, dict),
        (TD3, lambda: {"action_noise": NormalActionNoise(np.zeros(3), np.full(3, 0.1))}),
        (sb3.SAC, lambda: {"policy": SparseSACPolicy}),
        (SAC, lambda: {"env": make_vec_env(make_ene, 4, seed=0, env_kwargs={"env_id": "Hopper-v5", "noise_fraction": 0.9})}),
    ],
    ids=["SAC", "TD3", "stock SAC", "four environments"],
)
def test_after_the_warm_up_the_networks_read_the_task_and_nothing_else(algorithm, make_kwargs):
    model, sift = trained(algorithm, **make_kwargs())
    assert sift.accepted.nonzero()[0].tolist() == list(range(11))
    for name, network in networks(model).items():
        layer = first_layer(network)
        assert layer.density < 1
        assert read(layer) == [*range(11), *([] if name == "actor" else range(110, 113))]
        assert (layer.topology.fan_out()[read(layer)] == 32).all()
        assert (layer.weight.reshape(-1, 32)[:11].abs() > 0).any(1).all()
    for name, network in target_networks(model).items():
        assert read(first_layer(network)) == read(first_layer(networks(model)[name]))


@pytest.fixture(scope="module")
def warmed_up():
    """A model that has just chosen its features and has not learnt yet."""
    return trained(n_steps=WARM_UP + 1, gradient_steps=0)[0]


def test_networks_start_quietly_as_if_their_inputs_were_standardised(warmed_up):
    model = warmed_up
    seen = observed(model.replay_buffer, np.arange(WARM_UP))[0]
    for name, network in networks(model).items():
        layer = first_layer(network)
        n_in = 11 + 3 * (name != "actor")
        given = layer(th.nn.functional.pad(th.from_numpy(seen), (0, layer.in_features - 110))).detach().numpy()
        assert (
            np.abs(given.mean(0)).max() < 1 / np.sqrt(n_in) + 0.01
        )  # a bias of its own, and nothing of the features' means
        shares = layer.to_dense().detach().numpy()[:, :11] * seen[:, :11].std(0) * np.sqrt(n_in)
        assert 0.25 < np.abs(shares).max() < 0.31
        assert shares.std() == pytest.approx(0.3 / np.sqrt(3), rel=0.15)


def test_nothing_was_learnt_before_and_targets_start_where_the_critics_do(warmed_up):
    model = warmed_up
    assert model._n_updates == 0
    critics = networks(model)
    for name, target in target_networks(model).items():
        assert th.equal(first_layer(target).weight, first_layer(critics[name]).weight)
        assert th.equal(first_layer(target).bias, first_layer(critics[name]).bias)
    assert not th.equal(first_layer(critics["qf0"]).weight, first_layer(critics["qf1"]).weight)


@pytest.mark.parametrize("algorithm", [SAC, TD3])
def test_among_noise_learning_is_what_it_is_without_to_the_last_bit(algorithm):
    """What sets the two apart are random draws, of which wider layers take more: here both have the same."""
    action_noise = NormalActionNoise(np.zeros(3), np.full(3, 0.1))
    learnt = []
    for noise_fraction in (0.0, 0.9):
        env = make_ene("Hopper-v5", noise_fraction=noise_fraction)
        model, sift = trained(algorithm, env, WARM_UP, action_noise=action_noise if algorithm is TD3 else None)
        assert sift.accepted.nonzero()[0].tolist() == list(range(11))
        assert model._n_updates == 0
        rng = th.Generator().manual_seed(0)
        for network in (*networks(model).values(), *target_networks(model).values()):
            for module in network.modules():
                if isinstance(module, th.nn.Linear):
                    for parameter in module.parameters():
                        parameter.data.uniform_(-0.2, 0.2, generator=rng)
        th.manual_seed(1)
        np.random.seed(1)
        model.learn(300, callback=sift, reset_num_timesteps=False)
        assert model._n_updates == 300
        learnt.append((model.policy.state_dict(), model.replay_buffer.actions[: WARM_UP + 300]))
    (clean, clean_actions), (noisy, noisy_actions) = learnt
    assert np.array_equal(clean_actions, noisy_actions)
    assert clean.keys() == noisy.keys()
    for name in clean.keys() - {name for name in clean if name.endswith("indptr")}:
        assert th.equal(clean[name], noisy[name]), name


def moving(every=MOVED):
    """An environment whose sensors move after so many steps."""
    return make_ene("Hopper-v5", noise_fraction=0.8, permute_every=every, permutation_seed=1)


class Watched(Sift):
    """Lets 30 updates be made and no others, and remembers what was learnt and seen by then."""

    def _on_step(self):
        if not self.n_moves and self.model._n_updates >= 30 and self.model.gradient_steps:
            self.model.gradient_steps = 0
            self.learnt = first_layers(self.model)
            self.seen = observed(self.model.replay_buffer, np.arange(100))
        return super()._on_step()


def first_layers(model):
    """Weights, moments and target weights of all first layers by name, as arrays ``(features, neurons)``."""
    arrays, targets = {}, target_networks(model)
    for name, network in networks(model).items():
        layer, optimizer = first_layer(network), (model.actor if name == "actor" else model.critic).optimizer
        values = {"weight": layer.weight, **optimizer.state[layer.weight]}
        if name in targets:
            values["target"] = first_layer(targets[name]).weight
        for key in values.keys() - {"step"}:
            array = np.zeros(layer.topology.size, np.float32)
            array[layer.topology.positions] = values[key].detach().numpy()
            arrays[name, key] = array.reshape(layer.in_features, -1)
    return arrays


def watched(algorithm=SAC, n_steps=STEPS, **kwargs):
    return trained(algorithm, n_steps=n_steps, sift=Watched(period_steps=500, window_steps=1_000), **kwargs)


@pytest.mark.parametrize(
    ("algorithm", "make_kwargs"),
    [
        (SAC, lambda: {"env": moving()}),
        (TD3, lambda: {"env": moving(), "action_noise": NormalActionNoise(np.zeros(3), np.full(3, 0.7))}),
        (sb3.SAC, lambda: {"env": moving(), "policy": SparseSACPolicy}),
        (SAC, lambda: {"env": make_vec_env(moving, 4, seed=0, env_kwargs={"every": MOVED // 4}), "n_steps": STEPS + 300}),
    ],
    ids=["SAC", "TD3", "stock SAC", "four environments"],
)
def test_sensors_that_have_moved_are_recognised_and_take_along_what_was_learnt_of_them(algorithm, make_kwargs):
    model, sift = watched(algorithm, **make_kwargs())
    after = model.env.get_attr("relevant_features")[0]
    assert (sift.n_experiments, sift.n_moves, sift.n_recognised) == (1, 1, 11)
    assert sift.accepted.nonzero()[0].tolist() == np.sort(after).tolist()
    for name, array in first_layers(model).items():
        expected = np.zeros_like(array)
        expected[after] = sift.learnt[name][:11]
        expected[55:] = sift.learnt[name][55:]
        np.testing.assert_array_equal(array, expected, err_msg=str(name))
        assert np.ptp(array[after]) > 0

    buffer = model.replay_buffer
    assert buffer.size() == -(-model.num_timesteps // model.n_envs)
    for part, seen in zip(observed(buffer, np.arange(100)), sift.seen, strict=True):
        np.testing.assert_array_equal(part[:, after], seen[:, :11])
    if isinstance(buffer, NoiseReplayBuffer):  # it knows what belongs there, in each transition
        here, there = observed(buffer, np.arange(buffer.pos))
        np.testing.assert_array_equal(here[:, after], buffer.observations[: buffer.pos].reshape(-1, 11))
        np.testing.assert_array_equal(there[:, after], buffer.next_observations[: buffer.pos].reshape(-1, 11))


@pytest.mark.parametrize(("periods", "n_experiments"), [((400, 400), 1), ((400, 10_000), 0)], ids=["both", "one of two"])
def test_a_forecast_has_to_fail_in_every_environment(periods, n_experiments):
    env = DummyVecEnv([lambda every=every: moving(every) for every in periods])
    sift = Sift(period_steps=3_000, window_steps=3_000)
    trained(env=env, sift=sift, n_steps=1_200, gradient_steps=0)
    assert sift.n_experiments == n_experiments


def test_features_that_a_long_window_alone_shows_are_recognised_as_well(monkeypatch):
    def slow(recent, n_steps):
        whole = experience(recent, n_steps)
        is_short = n_steps == 500 and not sift.accepted.any()
        return whole._replace(impulses=np.zeros_like(whole.impulses)) if is_short else whole

    experience, sift = RecentExperience.experience, Sift(period_steps=500, window_steps=1_000)
    monkeypatch.setattr(RecentExperience, "experience", slow)
    monkeypatch.setattr("siftrl.agents.screening.Causes.test_over_time", lambda _, effects, *__: np.ones(effects.shape[1]))
    model, _ = trained(env=moving(), sift=sift, n_steps=STEPS, gradient_steps=0)
    assert (sift.n_moves, sift.n_recognised) == (1, 11)
    assert sift.accepted.nonzero()[0].tolist() == np.sort(model.env.get_attr("relevant_features")[0]).tolist()


def test_a_move_that_forecasts_do_not_show_is_noticed_by_what_answers(monkeypatch):
    monkeypatch.setattr("siftrl.agents.watch.has_failed", lambda *_: False)
    model, sift = watched(env=moving(), n_steps=STEPS)
    assert sift.n_moves == 0
    model.learn(400, callback=sift, reset_num_timesteps=False)
    assert (sift.n_moves, sift.n_recognised) == (1, 11)
    assert sift.accepted.nonzero()[0].tolist() == np.sort(model.env.get_attr("relevant_features")[0]).tolist()


def test_after_a_false_alarm_all_goes_on_as_before_and_the_next_is_not_listened_to_for_a_while(monkeypatch):
    class Counting(Sift):
        def _on_step(self):
            n_random.append(self._experiment is not None)
            return super()._on_step()

    n_random = []
    monkeypatch.setattr("siftrl.agents.watch.has_failed", lambda *_: True)
    sift = Counting(period_steps=1_000, experiment_steps=200)
    model, _ = trained(sift=sift, n_steps=WARM_UP + 1_500, gradient_steps=0)
    assert sum(n_random) == 200
    assert (sift.n_experiments, sift.n_moves, sift.n_recognised, model.learning_starts) == (1, 0, 0, WARM_UP)
    assert sift.accepted.nonzero()[0].tolist() == list(range(11))
    assert model.replay_buffer.size() == WARM_UP + 1_500
    model.learn(1_500, callback=sift, reset_num_timesteps=False)
    assert sum(n_random) == 400


def test_features_that_answer_late_are_no_move_however_many():
    model, sift = trained(gradient_steps=0)
    few = np.arange(110) < 3
    sift.link(few)
    sift._settled = few
    model.learn(1_200, callback=sift, reset_num_timesteps=False)
    assert sift.accepted.nonzero()[0].tolist() == list(range(11))
    assert (sift.n_experiments, sift.n_moves) == (0, 0)


def test_what_raised_a_false_alarm_is_read_and_raises_no_second_one(monkeypatch):
    others = (np.arange(110) >= 20) & (np.arange(110) < 24)

    def answering(experience, known=None, false_discovery_rate=0.001, **kwargs):
        finding = screen(experience, known, false_discovery_rate, **kwargs)
        is_recent = known is None and len(experience.rewards) == 500 and sift.accepted.any()
        return finding._replace(accepted=others) if is_recent else finding

    sift = Sift(period_steps=500, window_steps=1_000, experiment_steps=200)
    monkeypatch.setattr("siftrl.agents.sift.screen", answering)
    trained(sift=sift, n_steps=WARM_UP + 3_000, gradient_steps=0)
    assert (sift.n_experiments, sift.n_moves) == (1, 0)
    assert sift.accepted.nonzero()[0].tolist() == [*range(11), *range(20, 24)]


def test_training_that_ends_in_an_experiment_leaves_the_model_as_it_was_and_goes_on(monkeypatch):
    monkeypatch.setattr("siftrl.agents.watch.has_failed", lambda *_: True)
    sift = Sift(period_steps=1_000, experiment_steps=300)
    model, _ = trained(sift=sift, n_steps=WARM_UP + 150, gradient_steps=0)
    assert sift.n_experiments == 1
    assert model.learning_starts == WARM_UP
    model.learn(10, callback=sift, reset_num_timesteps=False)
    assert sift.n_experiments == 1
    model.learn(400, callback=sift, reset_num_timesteps=False)
    assert model.learning_starts == WARM_UP
    assert sift._experiment is None


def test_in_the_experiment_actions_are_random_and_nothing_is_learnt():
    class Logging(Sift):
        def _on_step(self):
            if self._experiment is not None:
                drawn.append(self.locals["buffer_actions"][0].copy())
                updates.add(self.model._n_updates)
            return super()._on_step()

        def _conclude_experiment(self):
            updates.add(self.model._n_updates)
            super()._conclude_experiment()

    drawn, updates = [], set()
    sift = Logging(period_steps=500, window_steps=1_000, experiment_steps=400)
    model, _ = trained(env=moving(), sift=sift, n_steps=STEPS, gradient_steps=1, train_freq=7)
    assert sift.n_moves == 1
    assert 400 <= len(drawn) < 400 + 7
    assert np.std(drawn[:400], axis=0) == pytest.approx(np.full(3, 1 / np.sqrt(3)), rel=0.1)
    assert len(updates) == 1
    assert model.learning_starts == WARM_UP
    assert model._n_updates > updates.pop()


def test_sensors_that_are_not_recognised_get_new_links_and_what_was_seen_before_is_forgotten(monkeypatch):
    monkeypatch.setattr("siftrl.agents.sift.recognise", unsure)
    model, sift = watched(env=moving())
    assert (sift.n_moves, sift.n_recognised) == (1, 5)
    after = np.sort(model.env.get_attr("relevant_features")[0])
    assert sift.accepted.nonzero()[0].tolist() == after.tolist()
    weights = first_layers(model)["qf0", "weight"]
    learnt = {row.tobytes() for row in sift.learnt["qf0", "weight"][:11]}
    assert not learnt & {row.tobytes() for row in weights[after]}
    assert np.abs(weights[after]).min(1).max() > 0
    assert 500 <= model.replay_buffer.size() < 500 + 150  # from the experiment on


def unsure(before, after):
    match = recognise(before, after)
    return match._replace(margins=np.where(np.arange(len(match.margins)) < 5, match.margins, 2.9))


def test_without_recognition_the_agent_follows_and_forgets_what_it_saw_before():
    sift = Sift(period_steps=500, window_steps=1_000, recognise=False)
    model, _ = trained(env=moving(), n_steps=STEPS, gradient_steps=0, sift=sift)
    now = np.sort(model.env.get_attr("relevant_features")[0])
    assert now.tolist() != list(range(11))
    assert (sift.n_moves, sift.n_recognised) == (1, 0)
    assert sift.accepted.nonzero()[0].tolist() == now.tolist()
    assert read(model.actor.latent_pi[0]) == now.tolist()
    assert model.replay_buffer.size() < 700
    assert model.learning_starts == WARM_UP


def test_as_long_as_nothing_answers_nothing_changes(monkeypatch):
    def deaf(recent, n_steps):
        whole = experience(recent, n_steps)
        return whole._replace(impulses=np.zeros_like(whole.impulses), rewards=np.zeros_like(whole.rewards))

    experience = RecentExperience.experience
    monkeypatch.setattr(RecentExperience, "experience", deaf)
    env = make_ene("Hopper-v5", noise_fraction=0.9)
    sift, kwargs = Sift(period_steps=500, window_steps=500), {"recipe": "sift", "net_arch": [8, 8]}
    model = SAC("SparseMlpPolicy", env, policy_kwargs=kwargs, learning_starts=500, gradient_steps=0, seed=0)
    before = model.actor.latent_pi[0].topology.positions
    model.learn(510, callback=sift)
    assert not sift.accepted.any()
    assert np.array_equal(model.actor.latent_pi[0].topology.positions, before)


@pytest.mark.parametrize("reset", [False, True], ids=["counting on", "counting anew"])
def test_training_that_goes_on_keeps_what_was_found_and_goes_on_examining(reset):
    class Counting(Sift):
        def examine(self):
            examined.append(self._recent.n_recorded)
            super().examine()

    examined = []
    model, sift = trained(sift=Counting(period_steps=500, window_steps=1_000), gradient_steps=0)
    accepted = sift.accepted.copy()
    model.learn(1_100, callback=sift, reset_num_timesteps=reset)
    assert np.array_equal(sift.accepted, accepted)
    assert examined == [WARM_UP, WARM_UP + 500, WARM_UP + 1_000]


@pytest.mark.parametrize("reader", [lambda: Sift(period_steps=500, window_steps=1_000), Oracle], ids=["sift", "oracle"])
def test_a_model_that_was_trained_like_that_goes_on_with_what_it_reads_and_has_learnt(reader):
    model, _ = trained()
    weights = first_layers(model)
    model.gradient_steps, again = 0, reader()
    model.learn(600, callback=again, reset_num_timesteps=False)
    assert again.accepted.nonzero()[0].tolist() == list(range(11))
    assert again.n_moves == 0
    for name, array in first_layers(model).items():
        np.testing.assert_array_equal(array, weights[name])


def test_one_callback_takes_up_a_second_model_from_the_start():
    model, sift = trained()
    other, _ = trained(sift=sift, env=make_ene("Hopper-v5", noise_fraction=0.8))
    assert sift.accepted.shape == (55,)
    assert read(other.actor.latent_pi[0]) == list(range(11))
    assert read(model.actor.latent_pi[0]) == list(range(11))


@pytest.mark.parametrize("train_freq", [64, (1, "episode")])
def test_however_long_rollouts_are_nothing_is_learnt_before_the_first_examination(train_freq):
    class Counting(Sift):
        def start_anew(self, *args):
            n_updates.append(self.model._n_updates)
            super().start_anew(*args)

    n_updates = []
    sift = Counting(period_steps=500, window_steps=1_000)
    model, _ = trained(sift=sift, n_steps=WARM_UP + 70, train_freq=train_freq, gradient_steps=2)
    assert n_updates == [0]
    assert model._n_updates > 0


def test_what_the_networks_read_may_be_normalised_on_the_way():
    """The replay of SB3 holds observations as they were."""
    env = VecNormalize(DummyVecEnv([lambda: make_ene("Hopper-v5", noise_fraction=0.8)]), norm_reward=False)
    model, _ = trained(sb3.SAC, env=env, n_steps=WARM_UP + 1, policy=SparseSACPolicy, gradient_steps=0)
    seen = env.normalize_obs(model.replay_buffer.observations[:WARM_UP, 0])
    given = model.actor.latent_pi[0](th.from_numpy(seen).float()).detach().numpy()
    assert np.abs(given.mean(0)).max() < 1 / np.sqrt(11) + 0.05
    assert given.std(0).max() < 0.6


def test_an_experiment_is_random_to_the_end_of_an_episode():
    class Logging(Sift):
        def _on_step(self):
            if self._experiment is not None:
                is_random.append(self.num_timesteps - 1 < self.locals["learning_starts"])
            return super()._on_step()

    is_random = []
    sift = Logging(period_steps=500, window_steps=1_000, experiment_steps=400)
    model, _ = trained(env=moving(), sift=sift, n_steps=STEPS + 100, gradient_steps=0, train_freq=(1, "episode"))
    assert (sift.n_experiments, sift.n_moves) == (1, 1)
    assert len(is_random) > 400
    assert all(is_random)
    assert model.learning_starts == WARM_UP


def test_whoever_saves_the_model_in_an_experiment_finds_its_own_warm_up():
    class Saving(BaseCallback):
        def _on_rollout_start(self):
            found.add(self.model.learning_starts)

        def _on_step(self):
            found.add(self.model.learning_starts)
            return True

    found, sift = set(), Sift(period_steps=500, window_steps=1_000, experiment_steps=400)
    trained(env=moving(), sift=[sift, Saving()], n_steps=STEPS, gradient_steps=0)
    assert sift.n_experiments == 1
    assert found == {WARM_UP}


def test_forecasts_are_compared_with_many_environments_too(monkeypatch):
    def compared(forecast, here, there, actions):
        lengths.add(len(here))
        return False

    lengths = set()
    monkeypatch.setattr(watch, "has_failed", compared)
    env = make_vec_env(make_ene, 24, seed=0, env_kwargs={"env_id": "Hopper-v5", "noise_fraction": 0.5})
    trained(env=env, n_steps=24 * 130, gradient_steps=0)
    assert lengths == {50}


def test_actions_may_be_a_matrix():
    class Column(gym.ActionWrapper):
        action_space = gym.spaces.Box(-1, 1, (3, 1), np.float32)

        def action(self, action):
            return action[:, 0]

    for algorithm, noise in ((SAC, None), (TD3, NormalActionNoise(np.zeros((3, 1)), np.full((3, 1), 0.1)))):
        env = Column(make_ene("Hopper-v5", noise_fraction=0.9))
        _, sift = trained(algorithm, env=env, n_steps=WARM_UP + 20, action_noise=noise)
        assert sift.accepted.nonzero()[0].tolist() == list(range(11))


class Stopping(BaseCallback):
    def _on_step(self):
        return self.num_timesteps != WARM_UP + 20


def test_impulses_stay_beside_their_transitions_where_training_ends_in_a_step_and_goes_on():
    sift = Sift(period_steps=500, window_steps=1_000)
    model, _ = trained(sift=[sift, Stopping()], n_steps=WARM_UP + 100, gradient_steps=0, learning_starts=2_000)
    assert model.replay_buffer.size() == WARM_UP + 19
    model.learn(50, callback=sift, reset_num_timesteps=False)
    experience = sift._recent.experience(10_000)
    assert len(experience.rewards) == WARM_UP + 69
    np.testing.assert_array_equal(experience.impulses, model.replay_buffer.actions[: WARM_UP + 69, 0])


def test_after_training_without_it_the_agent_waits_until_there_is_enough_to_examine():
    model, sift = trained(gradient_steps=0, n_steps=WARM_UP + 490)
    model.learn(300, reset_num_timesteps=False)
    model.learn(50, callback=sift, reset_num_timesteps=False)
    assert sift._n_examinations == 1
    model.learn(60, callback=sift, reset_num_timesteps=False)
    assert sift._n_examinations == 2
    assert len(sift._recent.rows(10_000)) == 110


def test_a_trained_model_whose_sensors_have_moved_since_begins_anew():
    model, _ = trained(env=moving(every=100_000))
    model.env.env_method("set_permutation", 1)
    model.gradient_steps, sift = 0, Sift(period_steps=500, window_steps=1_000)
    model.learn(2_000, callback=sift, reset_num_timesteps=False)
    assert (sift.n_experiments, sift.n_moves, sift.n_recognised) == (1, 1, 0)
    assert sift.accepted.nonzero()[0].tolist() == np.sort(model.env.get_attr("relevant_features")[0]).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"period_steps": 99}, "period_steps=99 must be at least 100"),
        ({"window_steps": 10}, "window_steps=10 must be at least period_steps=1000"),
        ({"experiment_steps": 99}, "experiment_steps=99 must be at least 100"),
        ({"false_discovery_rate": 0}, "false_discovery_rate=0 must be between 0 and 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sift(**arguments)


def test_first_layers_that_are_rewired_are_refused():
    model = SAC("SparseMlpPolicy", make_ene("Hopper-v5", 0.9), policy_kwargs={"recipe": "anf"})
    with pytest.raises(ValueError, match="recipe must leave the links of the first layer of actor"):
        model.learn(5, callback=Sift())


def test_a_replay_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="buffer_size=99 must be at least 100 environment steps to sift"):
        trained(buffer_size=99)


def test_observations_that_are_no_vectors_are_refused():
    env = gym.wrappers.ReshapeObservation(gym.make("Pendulum-v1"), (3, 1))
    with pytest.raises(ValueError, match="observations must be vectors to choose among their features"):
        SAC("MlpPolicy", env).learn(5, callback=Sift())


def test_dense_first_layers_are_refused():
    model = SAC("SparseMlpPolicy", make_ene("Hopper-v5", 0.9), policy_kwargs={"recipe": "dense"})
    with pytest.raises(ValueError, match="first layer of actor must be sparse"):
        model.learn(5, callback=Sift())


@pytest.mark.parametrize("recipe", ["sift", "oracle"])
def test_networks_that_nobody_chooses_for_are_warned_about(recipe):
    env = make_ene("Pendulum-v1", 0.5)
    kwargs = {"policy_kwargs": {"recipe": recipe, "net_arch": [8]}, "learning_starts": 100, "buffer_size": 1_000}
    with pytest.warns(UserWarning, match=f"recipe '{recipe}' leaves the first layers' links as they are"):
        sb3.SAC(SparseSACPolicy, env, **kwargs).learn(103)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3.SAC(SparseSACPolicy, env, **kwargs).learn(103, callback=Sift() if recipe == "sift" else Oracle())
