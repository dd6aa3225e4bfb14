"""What is recorded of a run's first layers, when, and how much of it is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import stable_baselines3 as sb3
from hypothesis import given
from hypothesis import strategies as st
from siftrl.agents import SAC, SparseSACPolicy, SparseTD3Policy
from siftrl.agents.callbacks import SparsityMetrics
from siftrl.agents.networks import networks
from siftrl.sparse import SparseLinear
from siftrl.training import feature_recorder
from siftrl.training import run as runs
from siftrl.training.config import RunConfig
from siftrl.training.environments import make_vec_env
from siftrl.training.feature_history import load_features
from siftrl.training.feature_recorder import FeatureRecorder, kept
from siftrl.training.run import prepare, resume
from siftrl.training.run_state import AtTrainingStart

TASK = {"env_id": "InvertedPendulum-v5", "noise_fraction": 0.5}


def make_model(algorithm=SAC, policy="SparseMlpPolicy", env=None, **policy_kwargs):
    policy_kwargs = {"net_arch": [6], **policy_kwargs}
    env = make_vec_env(TASK, seed=0) if env is None else env
    return algorithm(
        policy, env, policy_kwargs=policy_kwargs, learning_starts=10, batch_size=4, buffer_size=200, device="cpu"
    )


def learn(model, folder, n_steps=20, metrics=None, **kwargs):
    metrics = metrics or SparsityMetrics(period_steps=8)
    recorder = FeatureRecorder(folder, metrics)
    model.learn(n_steps, callback=[metrics, recorder], **kwargs)
    return recorder


@pytest.mark.parametrize("algorithm", [SAC, sb3.TD3])
def test_a_record_says_what_the_layers_hold(algorithm, tmp_path):
    policy = "SparseMlpPolicy" if algorithm is SAC else SparseTD3Policy
    model = make_model(algorithm, policy, recipe="set", density=0.4)
    metrics = SparsityMetrics(period_steps=8)
    learn(model, tmp_path, metrics=metrics)
    history = load_features(tmp_path)
    assert history.timesteps.tolist() == [20]
    assert history.permutation.tolist() == [0]
    assert history.relevant.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_array_equal(history.feature_std[0], metrics.feature_std.astype(np.float32))
    assert list(history.links) == list(history.strength) == ["actor", "qf0", "qf1"]
    for name, network in networks(model).items():
        layer = next(module for module in network.modules() if isinstance(module, SparseLinear))
        np.testing.assert_array_equal(history.links[name][0], layer.mask().sum(0)[:8])
        expected = layer.to_dense().detach().abs().sum(0)[:8]
        np.testing.assert_allclose(history.strength[name][0], expected, rtol=1e-6)


def test_of_dense_networks_and_an_environment_without_noise(tmp_path):
    model = make_model(sb3.SAC, "MlpPolicy", "Pendulum-v1")
    learn(model, tmp_path)
    history = load_features(tmp_path)
    assert history.relevant.shape == (1, 0)
    assert (history.links["qf1"] == 6).all()
    assert (history.feature_std == 1).all()
    weight = model.critic.qf1[0].weight.detach().abs().sum(0)[:3]
    np.testing.assert_allclose(history.strength["qf1"][0], weight, rtol=1e-6)


def test_orders_are_told_with_where_the_real_features_stand(tmp_path):
    env = make_vec_env({**TASK, "permute": True}, seed=0)
    learn(make_model(sb3.SAC, SparseSACPolicy, env), tmp_path)
    relevant = env.get_attr("relevant_features")[0]
    assert load_features(tmp_path).relevant.tolist() == [relevant.tolist()]
    assert relevant.tolist() != [0, 1, 2, 3]


@given(st.integers(0, 5_000), st.integers(8, 64).map(lambda half: 2 * half))
def test_of_all_records_every_so_many_and_the_newest_are_kept(n_seen, most):
    numbers = kept(n_seen, most)
    assert n_seen == len(numbers) if n_seen <= most else most // 2 < len(numbers) <= most
    assert numbers[:1] == [0][:n_seen]
    assert numbers[-1:] == list(range(n_seen))[-1:]
    assert len(set(np.diff(numbers)[:-1])) <= 1
    # Nothing that was let go is needed later.
    assert set(kept(n_seen + 1, most)) <= {*numbers, n_seen}


@pytest.mark.parametrize(("n_features", "most"), [(8, 128), (8_192, 128), (10_000, 104), (34_800, 30), (10**6, 16)])
def test_the_more_features_the_fewer_records(n_features, most, tmp_path):
    recorder = FeatureRecorder(tmp_path, SparsityMetrics())
    recorder.model = SimpleNamespace(observation_space=SimpleNamespace(shape=(n_features,)))
    assert len(recorder._kept(most)) == most > len(recorder._kept(most + 1))


def test_the_history_is_thinned_out_while_it_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_recorder, "_MOST_RECORDS", 4)
    model = make_model()
    recorder = learn(model, tmp_path, n_steps=1)
    seen = []
    for _ in range(9):
        model.num_timesteps += 1
        recorder.record()
        seen.append(load_features(tmp_path).timesteps.tolist())
    # Number 0 was recorded after the first step.
    assert seen == [
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 3, 5],
        [1, 3, 5, 6],
        [1, 3, 5, 7],
        [1, 5, 8],
        [1, 5, 9],
        [1, 5, 9, 10],
    ]


def test_records_go_on_from_a_state(tmp_path):
    model = make_model()
    state = learn(model, tmp_path).get_state()
    before = (tmp_path / "features.npz").read_bytes()
    later = FeatureRecorder(tmp_path, SparsityMetrics())
    start = AtTrainingStart(lambda: later.set_state(state))
    model.learn(5, callback=[later.metrics, later, start], reset_num_timesteps=False)
    after = load_features(tmp_path)
    assert after.timesteps.tolist() == [20, 25]
    assert after.rows([0]).to_bytes() == before


@pytest.mark.parametrize("n_seen", [0, 2, -1, 1.0, True, "1", None, 2**100])
def test_a_state_that_contradicts_itself_is_refused(n_seen, tmp_path):
    recorder = learn(make_model(), tmp_path)
    with pytest.raises((ValueError, OverflowError)):
        recorder.set_state({**recorder.get_state(), "n_seen": n_seen})


def test_the_state_of_other_networks_is_refused(tmp_path):
    state = learn(make_model(), tmp_path).get_state()
    recorder = learn(make_model(env=make_vec_env({**TASK, "noise_fraction": 0.8}, seed=0)), tmp_path)
    with pytest.raises(ValueError, match="dimension"):
        recorder.set_state(state)


QUICK = {"env": "InvertedPendulum-v5", "noise": 0.5, "recipe": "set", "width": 8, "verbose": 0, "eval_episodes": 1}


@pytest.mark.parametrize(("eval_freq", "expected"), [(20, [20, 40, 50]), (25, [25, 50]), (0, [50])])
def test_a_run_records_at_its_evaluations_and_at_its_end(eval_freq, expected, tmp_path):
    config = RunConfig(**QUICK, n_timesteps=50, eval_freq=eval_freq, log_folder=str(tmp_path))
    outcome = prepare(config).carry_out()
    assert load_features(outcome.folder).timesteps.tolist() == expected


def test_a_run_from_before_there_were_histories_goes_on_with_one(tmp_path, monkeypatch):
    config = RunConfig(**QUICK, n_timesteps=50, eval_freq=25, log_folder=str(tmp_path))
    state = runs.run_state
    monkeypatch.setattr(
        runs, "run_state", lambda *args: {name: part for name, part in state(*args).items() if name != "features"}
    )
    folder = prepare(config).carry_out().folder
    (folder / "features.npz").unlink()
    monkeypatch.undo()
    resume({"trained_agent": str(folder), "n_timesteps": 25}).carry_out()
    assert load_features(folder).timesteps.tolist() == [75]
