"""What is read of a run's folder, and what is said where that cannot be."""

import math
import zipfile

import numpy as np
import pytest
from siftrl.reports.runs import find_runs, read_evaluations, read_run


def test_a_run_is_read_as_it_was_written(make_run, make_history):
    folder = make_run(seed=7, features=make_history())
    run = read_run(folder)
    assert (run.config.env, run.config.seed, run.version) == ("Pendulum-v1", 7, "0.1.0")
    assert run.commands == ("siftrl-train --env Pendulum-v1",)
    assert run.steps.tolist() == [100, 200, 300, 400]
    assert run.returns.mean(1).tolist() == [-4, -1, 2, 5]
    assert run.features.n_features == 12
    assert run.is_finished
    assert run.name == "sac-sift/run_1"
    # 400 steps in 30 seconds, and 100 in 20 after the clock began anew.
    assert run.steps_per_second == 10


def test_a_run_without_the_rest_is_a_run(make_run):
    folder = make_run(n_timesteps=1000)
    for name in ("command.txt", "0.monitor.csv"):
        (folder / name).unlink()
    run = read_run(folder)
    assert (run.commands, run.features, run.model, run.is_finished) == ((), None, None, False)
    assert math.isnan(run.steps_per_second)


def test_a_damaged_line_of_a_monitor_file_is_skipped(make_run):
    folder = make_run()
    (folder / "0.monitor.csv").write_bytes(b"\xff\x00#\nr,l,t\n1,2\n-1.0,200,nan\n-1.0,200,50.0\n")
    assert read_run(folder).steps_per_second == 4


def test_folders_mean_themselves_or_all_runs_below(make_run, tmp_path):
    runs = [make_run(f"sac-{method}/run_{number}") for method in ("anf", "set") for number in (1, 2)]
    assert find_runs([tmp_path]) == runs
    assert find_runs([runs[1], tmp_path / "sac-anf"]) == [runs[1], runs[0]]


@pytest.mark.parametrize(
    ("path", "words"),
    [("nowhere", "there is no folder .*nowhere"), ("rums", "Did you mean runs"), ("model.zip", "is a file"),
     ("runs", "holds no run")],
)  # fmt: skip
def test_what_is_no_run_is_refused(tmp_path, path, words):
    (tmp_path / "runs").mkdir()
    (tmp_path / "model.zip").touch()
    with pytest.raises(ValueError, match=words):
        find_runs([tmp_path / path])


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"config": {}', '{"config": {"nonsense": 1}}', '{"config": {"env": 3}}', "[" * 100_000]
)
def test_a_damaged_configuration_is_refused(make_run, text):
    folder = make_run()
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match="does not describe a run"):
        read_run(folder)


@pytest.mark.parametrize(
    "arrays",
    [
        {"timesteps": [1, 2], "results": [[1.0]]},
        {"timesteps": [2, 1], "results": [[1.0], [1.0]]},
        {"timesteps": [1], "results": [[np.nan]]},
        {"timesteps": [1], "results": [1.0]},
        {"timesteps": [], "results": np.ones((0, 1))},
        {"timesteps": [1], "results": [["text"]]},
        {"timesteps": [1.5], "results": [[1.0]]},
        {"timesteps": [1]},
    ],
)
def test_evaluations_that_are_none_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "evaluations.npz", **arrays)
    with pytest.raises(ValueError, match="evaluations"):
        read_evaluations(tmp_path)


def test_damaged_or_pickled_evaluations_are_refused(make_run):
    folder = make_run()
    path = folder / "evaluations.npz"
    content = path.read_bytes()
    for damaged in (b"", content[:100], b"x" * 100, content.replace(b"NUMPY", b"NUMPX")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read"):
            read_run(folder)
    np.savez(path, timesteps=np.array([1]), results=np.array([[{}]], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        read_run(folder)
    path.unlink()
    with pytest.raises(ValueError, match="no evaluations"):
        read_run(folder)


def test_evaluations_that_expand_beyond_measure_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "evaluations.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("timesteps.npy", b"\0" * 2**27)
    with pytest.raises(ValueError, match="would expand"):
        read_evaluations(tmp_path)


@pytest.mark.parametrize("empty", [{"n": 0}, {"networks": ()}])
def test_features_that_say_nothing_are_none(make_run, make_history, empty):
    assert read_run(make_run(features=make_history(**empty))).features is None


def test_damaged_features_are_refused(make_run, make_history):
    folder = make_run(features=make_history())
    (folder / "features.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"features\.npz"):
        read_run(folder)


def test_a_monitor_file_that_is_none_leaves_the_speed_unknown(make_run):
    run = make_run()
    (run / "0.monitor.csv").write_bytes(b"\0" * 200_000)
    assert math.isnan(read_run(run).steps_per_second)
