"""evaluate.py: as trained, changed, foreign; its JSON and video; and what bad input gets."""

import base64
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import siftrl.train
import stable_baselines3 as sb3
from siftrl.envs import make_ene
from siftrl.evaluate import main

TASK = ["--env", "InvertedPendulum-v5", "--noise", "0.9"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short sparse run."""
    logs = tmp_path_factory.mktemp("logs")
    argv = [*TASK, "-n", "150", "--seed", "4", "--eval-freq", "50", "--eval-episodes", "2", "--buffer-size", "200"]
    assert siftrl.train.main([*argv, "--verbose", "0", "-f", str(logs)]) == 0
    return next(logs.rglob("config.json")).parent


def evaluate(tmp_path, *argv):
    """Evaluate and return the figures."""
    path = tmp_path / "figures.json"
    assert main([*map(str, argv), "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_the_figures_are_complete_and_consistent(run, tmp_path, capsys):
    figures = evaluate(tmp_path, run, "--episodes", 3)
    assert figures["env"] == "InvertedPendulum-v5"
    assert figures["noise_fraction"] == 0.9
    assert len(figures["episode_rewards"]) == len(figures["episode_lengths"]) == 3
    assert figures["mean_reward"] == pytest.approx(np.mean(figures["episode_rewards"]))
    assert figures["std_reward"] == pytest.approx(np.std(figures["episode_rewards"]))
    assert set(figures["links"]) == {"actor", "qf0", "qf1"}
    # 20 % of the 256 x 40 places, over 4 real and 36 noise features.
    actor = figures["links"]["actor"]
    assert 4 * actor["real"] + 36 * actor["noise"] == pytest.approx(2048)
    assert 0 <= actor["auroc"] <= 1
    assert actor["precision_at_d"] in (0, 0.25, 0.5, 0.75, 1)
    output = capsys.readouterr().out
    assert "40 features, 4 of them real" in output
    assert "Return over 3 episodes" in output


@pytest.mark.parametrize(
    ("flag", "value"), [("--noise-std", "2"), ("--noise-distribution", "uniform"), ("--noise-std", "0")]
)
def test_other_noise_where_there_is_none_is_refused(flag, value, tmp_path, capsys):
    path = tmp_path / "bare.zip"
    sb3.SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, policy_kwargs={"net_arch": [4]}).save(path)
    assert main([str(path), "--env", "Pendulum-v1", flag, value]) == 2
    errors = capsys.readouterr().err
    assert f"{flag[2:]} must be left out for {path}: its task, Pendulum-v1, has no noise features." in errors
    assert len(errors.splitlines()) == 1


def test_it_plays_the_episodes_of_the_runs_own_evaluation(run, tmp_path):
    figures = evaluate(tmp_path, run / "best_model.zip", "--episodes", 2, "--seed", 4)
    with np.load(run / "evaluations.npz") as evaluations:
        best = evaluations["results"][evaluations["results"].mean(axis=1).argmax()]
    assert figures["episode_rewards"] == pytest.approx(list(best))


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


def with_bomb(model, path):
    """A copy of a model's zip, with code in each of its pickles."""
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name) if name != "data" else _armed(json.loads(source.read("data"))))
    return path


def _armed(data):
    code = base64.b64encode(pickle.dumps(Bomb())).decode()
    armed = {name: {**value, ":serialized:": code} for name, value in data.items() if ":serialized:" in str(value)}
    assert armed
    return json.dumps({**data, **armed})


def test_weights_only_plays_the_same_and_runs_no_code_of_the_file(run, tmp_path):
    trusted = evaluate(tmp_path, run, "--episodes", 2)
    path = with_bomb(run / "model.zip", tmp_path / "model.zip")
    with pytest.raises(SystemExit, match="code of the file was run"):
        main([str(path)])
    figures = evaluate(tmp_path, path, "--episodes", 2, "--weights-only")
    assert {**figures, "model": ""} == {**trusted, "model": ""}


def test_weights_only_takes_no_pickle_for_weights(run, tmp_path, capsys):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(run / "model.zip") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, pickle.dumps(Bomb()) if name == "policy.pth" else source.read(name))
    assert main([str(path), "--weights-only"]) == 2
    assert f"cannot load the weights of {path}" in capsys.readouterr().err


def test_weights_only_needs_the_runs_options(tmp_path, capsys):
    path = tmp_path / "foreign.zip"
    sb3.SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, device="cpu").save(path)
    assert main([str(path), "--env", "Pendulum-v1", "--weights-only"]) == 2
    assert "weights-only needs a model that train.py saved" in capsys.readouterr().err


def test_a_folder_of_runs_and_a_model_without_its_folder_will_do(run, tmp_path):
    (tmp_path / "lone.zip").write_bytes((run / "model.zip").read_bytes())
    results = [
        evaluate(tmp_path, model, "--episodes", 2)["episode_rewards"]
        for model in (run, run.parents[1], tmp_path / "lone.zip", tmp_path / "lone")
    ]
    assert all(rewards == results[0] for rewards in results)


@pytest.mark.parametrize(
    ("argv", "entry"),
    [
        (["--noise-std", "3"], {"noise_std": 3.0}),
        (["--noise-distribution", "uniform"], {"noise_distribution": "uniform"}),
        (["--noise-distribution", "imitate"], {"noise_distribution": "imitate"}),
        (["--noise-distribution", "brownian"], {"noise_distribution": "brownian"}),
        (["--noise-distribution", "copies", "--noise-std", "2"], {"noise_distribution": "copies", "noise_std": 2.0}),
        (["--live-noise", "0"], {"live_noise": 0}),
        (["--permutation", "2"], {"permutation": 2}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_environment_can_differ_from_the_trained_one(argv, entry, run, tmp_path):
    figures = evaluate(tmp_path, run, "--episodes", 2, *argv)
    assert entry.items() <= figures.items()


def test_another_order_of_features_moves_the_links(run, tmp_path):
    own, same, other = (
        evaluate(tmp_path, run, "--episodes", 1, *argv)["links"]["actor"]
        for argv in ((), ("--permutation", 0), ("--permutation", 1))
    )
    assert own == same != other


def test_features_that_never_move_are_ranked_last(run, tmp_path):
    """Noise features held at 0 have weights as before, and no standard deviation in the episodes played."""
    held = evaluate(tmp_path, run, "--episodes", 1, "--live-noise", 0)["links"]["actor"]
    assert (held["auroc"], held["precision_at_d"]) == (1, 1)
    assert held["strength_ratio"] == evaluate(tmp_path, run, "--episodes", 1)["links"]["actor"]["strength_ratio"]


def test_sensors_can_fail(run, tmp_path, capsys):
    clean = evaluate(tmp_path, run, "--episodes", 2)
    assert (clean["corruptions"], clean["clean_mean_reward"]) == ([], None)
    figures = evaluate(tmp_path, run, "--episodes", 2, "--corrupt", "bias:5,fgsm:1", "--corrupt-features", "real")
    assert figures["corruptions"] == [
        {"name": "bias", "severity": 5, "level": 0.8},
        {"name": "fgsm", "severity": 1, "level": 0.05},
    ]
    assert figures["clean_mean_reward"] == clean["mean_reward"]
    assert figures["episode_rewards"] != clean["episode_rewards"]
    output = capsys.readouterr().out
    assert "then with bias:5 (0.8 standard deviations), fgsm:1 (0.05 standard deviations):" in output
    assert output.count("Return over 2 episodes") == 3


def test_actions_can_be_drawn(run, tmp_path):
    drawn, again = (evaluate(tmp_path, run, "--episodes", 3, "--stochastic") for _ in range(2))
    assert drawn["episode_rewards"] != evaluate(tmp_path, run, "--episodes", 3)["episode_rewards"]
    assert drawn["episode_rewards"] == again["episode_rewards"]


def test_the_seed_decides_what_an_agent_without_one_draws(tmp_path):
    path = tmp_path / "foreign.zip"
    sb3.SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, device="cpu").save(path)
    argv = path, "--env", "Pendulum-v1", "--episodes", 2, "--stochastic", "--seed"
    returns = [evaluate(tmp_path, *argv, seed)["episode_rewards"] for seed in (1, 1, 2)]
    assert returns[0] == returns[1] != returns[2]


def test_a_permuted_run_is_evaluated_in_its_last_order(tmp_path):
    argv = [*TASK, "--recipe", "dense", "-n", "120", "--permute-every", "50", "--permutation-seed", "3"]
    argv += ["--eval-freq", "0", "--buffer-size", "200", "--verbose", "0", "-f", str(tmp_path / "logs")]
    assert siftrl.train.main(argv) == 0
    assert evaluate(tmp_path, tmp_path / "logs", "--episodes", 1)["permutation"] == 2


@pytest.mark.parametrize(("algorithm", "task"), [("SAC", "Pendulum-v1"), ("PPO", "CartPole-v1")])
def test_a_foreign_model_needs_its_task(algorithm, task, tmp_path, capsys):
    path = tmp_path / "foreign.zip"
    getattr(sb3, algorithm)("MlpPolicy", task, device="cpu").save(path)
    assert main([str(path)]) == 2
    assert "name it with --env" in capsys.readouterr().err
    figures = evaluate(tmp_path, path, "--env", task, "--episodes", 1)
    assert figures["noise_fraction"] == 0
    assert bool(figures["links"]) == (algorithm == "SAC")
    if algorithm == "SAC":
        unknown = dict.fromkeys(("noise", "strength_ratio", "auroc", "precision_at_d"))
        assert figures["links"]["actor"] == {"real": 256.0, **unknown}


def test_a_foreign_model_can_have_been_trained_among_noise(tmp_path):
    path = tmp_path / "foreign.zip"
    sb3.SAC("MlpPolicy", make_ene("Pendulum-v1", 0.5), buffer_size=10, device="cpu").save(path)
    figures = evaluate(tmp_path, path, "--env", "Pendulum-v1", "--noise", 0.5, "--episodes", 1)
    assert figures["links"]["actor"]["noise"] == 256


def test_the_first_episode_can_be_filmed(run, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    films = {tmp_path / "video.gif": ["--attention"], tmp_path / "video.mp4": []}
    calls = [[str(run), "--episodes", "1", "--video", str(film), *flags] for film, flags in films.items()]
    # In a process of its own: MuJoCo chooses how to render when it is first imported.
    code = f"import sys; from siftrl.evaluate import main; sys.exit(max(main(call) for call in {calls}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "video cannot be rendered here" in result.stderr:
        assert result.returncode == 2
        assert not any(film.exists() for film in films)
        pytest.skip("no OpenGL here")
    assert result.returncode == 0, result.stderr
    import imageio.v3

    for path, flags in films.items():
        film = imageio.v3.imread(path)
        assert len(film) > 1
        assert (film.shape[2] > film.shape[1]) == bool(flags)


def write(path, content):
    path.write_bytes(content)
    return str(path)


BAD_INPUT = [
    (lambda run, tmp: [str(tmp / "nowhere")], "there is no run folder or model"),
    (lambda run, tmp: [str(tmp)], "holds no trained model"),
    (lambda run, tmp: [write(tmp / "empty.zip", b"")], "is empty"),
    (lambda run, tmp: [write(tmp / "text.zip", b"text")], "is no intact zip"),
    (lambda run, tmp: [write(tmp / "cut.zip", (run / "model.zip").read_bytes()[:9000])], "zip"),
    (lambda run, tmp: [str(run / "checkpoint_150.zip")], "holds no model"),
    (lambda run, tmp: [str(run), "--episodes", "0"], "episodes must be at least 1, not 0"),
    (lambda run, tmp: [str(run), "--episode", "3"], "Did you mean --episodes?"),
    (lambda run, tmp: [str(run), "--noise-std", "-1"], "noise-std must be 0 or more"),
    (lambda run, tmp: [str(run), "--noise-distribution", "unifrom"], "Did you mean uniform?"),
    (lambda run, tmp: [str(run), "--live-noise", "37"], "37"),
    (lambda run, tmp: [str(run), "--corrupt", "gausian:3"], "Did you mean gaussian?"),
    (lambda run, tmp: [str(run), "--corrupt", "gaussian:9"], "severity from 1 to 5, not 9"),
    (lambda run, tmp: [str(run), "--corrupt", "bias:1", "--corrupt-features", "reel"], "Did you mean real?"),
    (lambda run, tmp: [str(run), "--corrupt-features", "real"], "needs --corrupt"),
    (lambda run, tmp: [str(run), "--env", "Hopper-v5"], "reads 40 features, but this environment has 110"),
    (lambda run, tmp: [str(run), "--env", "Hoper-v5"], "Hopper-v5"),
    (lambda run, tmp: [str(run), "--env", "CartPole-v1", "--weights-only"], "SAC needs continuous actions"),
    (lambda run, tmp: [str(run), "--device", "cuda:99"], "device cuda:99 is not there"),
    (lambda run, tmp: [str(run), "--attention"], "attention is shown beside a film, and needs --video"),
    (lambda run, tmp: [str(run), "--video", "film.avi"], "video must end in .gif or .mp4"),
    (lambda run, tmp: [str(run), "--json", str(tmp)], "it is a folder"),
    (lambda run, tmp: [str(run), "--json", str(tmp / "no" / "f.json")], "there is no folder"),
    (lambda run, tmp: [], "RUN_OR_ZIP"),
]


@pytest.mark.parametrize(("make_argv", "message"), BAD_INPUT, ids=[message for _, message in BAD_INPUT])
def test_bad_input_is_one_sentence(make_argv, message, run, tmp_path, capfd):
    assert main(make_argv(run, tmp_path)) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("python evaluate.py: error: ")
    assert len(errors.splitlines()) == 1
    assert message in errors


def test_a_zip_with_foreign_weights_is_one_sentence(run, tmp_path, capsys):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(run / "model.zip") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"nonsense" if name == "policy.pth" else source.read(name))
    assert main([str(path)]) == 2
    assert f"cannot load the model {path}" in capsys.readouterr().err


def test_missing_packages_for_video_are_named(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main([str(run), "--video", str(tmp_path / "film.mp4")]) == 2
    assert "pip install 'siftrl[video]'" in capsys.readouterr().err
