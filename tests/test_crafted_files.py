"""Files that somebody made to do harm: each gets one sentence and exit code 2, runs nothing, and writes nowhere else."""

import io
import json
import re
import resource
import shutil
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import siftrl.evaluate
import siftrl.train
import torch
from siftrl.training.sealed import MANIFEST, SealedWriter

TINY = ["--env", "InvertedPendulum-v5", "--noise", "0.5", "--width", "8", "--buffer-size", "200", "--eval-freq", "0"]
NEST = "[" * 100_000


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run."""
    logs = tmp_path_factory.mktemp("logs")
    assert siftrl.train.main([*TINY, "--recipe", "set", "-n", "120", "--verbose", "0", "-f", str(logs)]) == 0
    return next(logs.rglob("config.json")).parent


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of that folder, to change; the working folder is an empty one beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return shutil.copytree(finished, tmp_path / "run")


CLEAR_REFS = Path("/proc/self/clear_refs")


def peak_memory():
    """Bytes that this process has taken at most: since it was last asked, where that can be known; else so far."""
    if not CLEAR_REFS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    CLEAR_REFS.write_text("5")
    return 1024 * int(peak[1])


def refused(main, argv, capfd):
    """What ``main`` says of ``argv``, which it must refuse in one sentence, in less memory than a bomb would take."""
    peak_memory()
    before = peak_memory()
    assert main([*map(str, argv)]) == 2
    assert peak_memory() - before < 80e6
    *warnings, last = capfd.readouterr().err.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert last.startswith("python ")
    assert ": error: " in last
    return last


def members(path):
    """The members of a zip, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, **changes):
    """Give a zip other or further members; "__" in a name stands for its dot."""
    content = members(path) | {name.replace("__", "."): change for name, change in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in content.items():
            archive.writestr(name, member)


def reseal(path, **changes):
    """The same for a checkpoint, with a manifest that fits; ``None`` leaves a member out."""
    content = members(path) | {name.replace("__", "."): change for name, change in changes.items()}
    with path.open("wb") as file, SealedWriter(file, num_timesteps=120) as archive:
        for name, member in content.items():
            if name != MANIFEST and member is not None:
                archive.write(name, member)


def newest(run):
    """The run's only checkpoint."""
    (checkpoint,) = run.glob("checkpoint_*.zip")
    return checkpoint


def changed_json(content, *path, value):
    """JSON with another value at ``path``."""
    tree = node = json.loads(content)
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return json.dumps(tree).encode()


def changed_weights(content, change):
    """A file of torch's with every floating-point tensor changed."""
    state = torch.load(io.BytesIO(content), weights_only=True)
    file = io.BytesIO()
    torch.save({name: change(value) if torch.is_floating_point(value) else value for name, value in state.items()}, file)
    return file.getvalue()


@cache
def bomb():
    """A zip that expands a thousandfold, to 100 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as member:
        for _ in range(100):
            member.write(bytes(1_000_000))
    return file.getvalue()


def test_a_zip_that_expands_a_thousandfold_is_not_read(run, capfd):
    (run / "model.zip").write_bytes(bomb())
    for main, argv in ((siftrl.evaluate.main, [run / "model.zip"]), (siftrl.train.main, ["-i", run / "model.zip"])):
        assert "would expand to 100.0 MB, as no model does" in refused(main, argv, capfd)


def test_nor_is_one_within_the_weights(run, capfd):
    rewrite(run / "model.zip", policy__pth=bomb())
    assert "would expand to 100.0 MB" in refused(siftrl.evaluate.main, [run, "--weights-only"], capfd)


@pytest.mark.parametrize("content", [b"[]", b"{}", NEST.encode(), b"\xff"], ids=range(4))
def test_a_model_that_is_described_by_something_else(content, run, capfd):
    rewrite(run / "model.zip", data=content)
    refused(siftrl.evaluate.main, [run, "--weights-only"], capfd)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["num_timesteps"], "many"),
        (["num_timesteps"], -1),
        (["num_timesteps"], 10**30),
        (["permutation"], 0.5),
        (["planned_timesteps"], []),
        (["config"], []),
        (["config", "noise"], float("nan")),
        (["config", "noise"], 0.999999999),
        (["config", "width"], 10**9),
        (["config", "n_envs"], 10**9),
        (["config", "env"], ["Hopper-v5"]),
        (["config", "recipe"], "../../../x"),
    ],
)
def test_a_model_with_absurd_options(path, value, run, capfd):
    changed = changed_json(members(run / "model.zip")["siftrl.json"], *path, value=value)
    rewrite(run / "model.zip", siftrl__json=changed)
    refused(siftrl.evaluate.main, [run, "--weights-only"], capfd)
    refused(siftrl.train.main, ["-i", run / "model.zip", "-n", "10"], capfd)


def test_provenance_that_never_ends(run, capfd):
    rewrite(run / "model.zip", siftrl__json=NEST)
    assert "cannot read which run made" in refused(siftrl.evaluate.main, [run], capfd)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value, run, capfd):
    policy = changed_weights(members(run / "model.zip")["policy.pth"], lambda weight: weight + value)
    rewrite(run / "model.zip", policy__pth=policy)
    for main, argv in (
        (siftrl.evaluate.main, [run]),
        (siftrl.evaluate.main, [run, "--weights-only"]),
        (siftrl.train.main, ["-i", run / "model.zip", "-n", "10"]),
    ):
        assert "are not all finite numbers" in refused(main, argv, capfd)


def test_weights_of_another_shape(run, capfd):
    policy = changed_weights(members(run / "model.zip")["policy.pth"], lambda weight: weight[..., :1])
    rewrite(run / "model.zip", policy__pth=policy)
    for option in ([], ["--weights-only"]):
        refused(siftrl.evaluate.main, [run, *option], capfd)


def test_variables_are_set_only_where_the_algorithm_has_some(run, tmp_path):
    file = io.BytesIO()
    state = torch.load(io.BytesIO(members(run / "model.zip")["pytorch_variables.pth"]), weights_only=True)
    torch.save({**state, "policy.actor.forward": torch.zeros(1)}, file)
    rewrite(run / "model.zip", pytorch_variables__pth=file.getvalue())
    assert siftrl.evaluate.main([str(run), "--weights-only", "--episodes", "1"]) == 0


def test_members_with_paths_go_nowhere(run, tmp_path):
    names = ["../../outside.txt", str(tmp_path / "outside.txt"), "..\\outside.txt"]
    rewrite(run / "model.zip", **dict.fromkeys(names, b"harm"))
    reseal(newest(run), **dict.fromkeys(names, b"harm"))
    before = sorted(tmp_path.rglob("*"))
    assert siftrl.evaluate.main([str(run), "--weights-only", "--episodes", "1"]) == 0
    assert siftrl.evaluate.main([str(run), "--episodes", "1"]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert siftrl.train.main(["-i", str(run), "-n", "5", "--verbose", "0"]) == 0
    assert not list(tmp_path.rglob("*outside*"))


def test_a_task_that_would_import_a_module_is_refused_until_it_is_named(run, tmp_path, capfd, monkeypatch):
    (tmp_path / "here" / "harmful.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path / "here")
    options = members(run / "model.zip")["siftrl.json"]
    rewrite(run / "model.zip", siftrl__json=changed_json(options, "config", "env", value="harmful:Task-v0"))
    config = (run / "config.json").read_bytes()
    (run / "config.json").write_bytes(changed_json(config, "config", "env", value="harmful:Task-v0"))
    for main, argv in (
        (siftrl.evaluate.main, [run]),
        (siftrl.evaluate.main, [run, "--weights-only"]),
        (siftrl.train.main, ["-i", run / "model.zip", "-n", "10"]),
        (siftrl.train.main, ["-i", run, "-n", "10"]),
    ):
        assert "imports the module harmful: if you trust that, add --env harmful:Task-v0" in refused(main, argv, capfd)
    assert "harmful" not in sys.modules
    with pytest.raises(SystemExit, match="imported"):
        siftrl.train.main(["-i", str(run), "-n", "10", "--env", "harmful:Task-v0"])


def test_a_new_run_does_not_write_where_the_model_says(run, tmp_path):
    options = members(run / "model.zip")["siftrl.json"]
    for name in ("log_folder", "tensorboard_log"):
        options = changed_json(options, "config", name, value=str(tmp_path / "elsewhere"))
    rewrite(run / "model.zip", siftrl__json=options)
    assert siftrl.train.main(["-i", str(run / "model.zip"), "-n", "5", "--verbose", "0"]) == 0
    assert not (tmp_path / "elsewhere").exists()
    assert list((tmp_path / "here" / "logs").rglob("model.zip"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"config": []}',
        NEST.encode(),
        b"\xff",
        b'{"config": {"n_envs": 1e9}}',
        b'{"config": {"n_envs": 1000000000}}',
        b'{"config": {"noise": NaN}}',
        b'{"config": {"batch_size": 1000000000000}}',
        b'{"config": {"buffer_size": 1000000000000000, "n_timesteps": 1000000000000000}}',
        b'{"config": {"env": "InvertedPendulum-v5", "noise": 0.999999999}}',
        b'{"config": {"env": "InvertedPendulum-v5", "noise": 0.5, "width": 16}}',
    ],
    ids=range(12),
)
def test_a_run_with_absurd_options(content, run, capfd):
    (run / "config.json").write_bytes(content)
    refused(siftrl.train.main, ["-i", run, "-n", "10"], capfd)


def npy(array=None, header=None):
    """An ``npy`` file, with another header if one is given."""
    file = io.BytesIO()
    if header is None:
        np.lib.format.write_array(file, array)
    else:
        np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


OBJECTS = npy(np.array([print], dtype=object))
ENDLESS = npy(header={"descr": "<f4", "fortran_order": False, "shape": (10**13, 1)})


@pytest.mark.parametrize(
    "changes",
    [
        {"state__json": b"[]"},
        {"state__json": b"{}"},
        {"state__json": b"null"},
        {"state__json": NEST},
        {"state__json": b'{"finished": {"npy": "nowhere"}}'},
        {"state__json": b'{"finished": {"npy": 3}}'},
        {"state__json": b'{"finished": true, "monitors": {}, "events": {}}'},
        {"state__json": b'{"finished": true, "monitors": 3, "events": []}'},
        {"state/0__npy": OBJECTS},
        {"state/0__npy": ENDLESS},
        {"state/0__npy": b"no array"},
        {"replay__json": b"{}"},
        {"replay__json": b'{"numbers": {"pos": 1000000000}, "generators": {}}'},
        {"replay__json": b'{"numbers": {"sample": 1}, "generators": {}}'},
        {"replay/observations__npy": OBJECTS},
        {"replay/observations__npy": ENDLESS},
        {"replay/observations__npy": npy(np.float32(1))},
        {"replay/observations__npy": None},
        {"model__zip": None},
        {"model__zip": b"no zip"},
        {"model__zip": bomb()},
    ],
    ids=range(21),
)
def test_a_checkpoint_that_holds_something_else(changes, run, capfd):
    reseal(newest(run), **{name: change.encode() if isinstance(change, str) else change for name, change in changes.items()})
    refused(siftrl.train.main, ["-i", run, "-n", "10"], capfd)


def test_another_order_of_arrays_in_the_state(run, capfd):
    """All arrays are there, and none is what the run needs in its place."""
    checkpoint = newest(run)
    state = members(checkpoint)["state.json"].replace(b"state/0.npy", b"state/1.npy")
    reseal(checkpoint, state__json=state)
    refused(siftrl.train.main, ["-i", run, "-n", "10"], capfd)


def test_a_journal_that_leads_elsewhere_is_not_written_to(run, tmp_path, capfd):
    (tmp_path / "mine.txt").write_text("x" * 100_000)
    (run / "0.monitor.csv").unlink()
    (run / "0.monitor.csv").symlink_to(tmp_path / "mine.txt")
    assert "it is a link to another file" in refused(siftrl.train.main, ["-i", run, "-n", "10"], capfd)
    assert (tmp_path / "mine.txt").read_text() == "x" * 100_000


def test_a_link_to_a_run_is_the_run(run, tmp_path):
    (tmp_path / "link").symlink_to(run, target_is_directory=True)
    assert siftrl.train.main(["-i", str(tmp_path / "link"), "-n", "5", "--verbose", "0"]) == 0
    assert siftrl.evaluate.main([str(tmp_path / "link"), "--episodes", "1"]) == 0
    assert (run / "checkpoint_125.zip").exists()
