"""Run folders: counted up, race-free, gone after a refusal; and the way from a path to a model."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from siftrl.training.config import RunConfig
from siftrl.training.folder import (
    BEST_MODEL,
    CONFIG,
    MODEL,
    FolderLock,
    create_run_folder,
    find_model,
    find_run,
    new_run_folder,
)


def make_config(tmp_path, **options):
    return RunConfig(log_folder=str(tmp_path / "logs"), env="Hopper-v5", seed=3, **options)


def test_runs_are_counted_up(tmp_path):
    config = make_config(tmp_path)
    parent = tmp_path / "logs" / "sac-sift"
    assert create_run_folder(config) == parent / "Hopper-v5_0.9_s3_1"
    assert create_run_folder(config) == parent / "Hopper-v5_0.9_s3_2"
    (parent / "Hopper-v5_0.9_s3_10").mkdir()
    assert create_run_folder(config) == parent / "Hopper-v5_0.9_s3_11"


def test_ids_with_a_namespace_make_one_folder(tmp_path):
    config = RunConfig(log_folder=str(tmp_path), env="siftrl/ENE-Hopper-v5", noise=0)
    assert create_run_folder(config).name == "siftrl-ENE-Hopper-v5_0_s0_1"


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    config = make_config(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: create_run_folder(config), range(40)))
    assert len(set(folders)) == 40


def fail_after_writing(folder):
    (folder / "0.monitor.csv").write_text("")
    raise ValueError("refused")


def test_a_refused_run_leaves_no_trace(tmp_path):
    with pytest.raises(ValueError, match="refused"), new_run_folder(make_config(tmp_path)) as folder:
        fail_after_writing(folder)
    assert os.listdir(tmp_path) == []


def test_a_refused_run_leaves_what_others_put_there(tmp_path):
    other = create_run_folder(make_config(tmp_path))
    with pytest.raises(KeyboardInterrupt), new_run_folder(make_config(tmp_path)):
        raise KeyboardInterrupt
    assert list(other.parent.iterdir()) == [other]


def test_nothing_can_be_written_below_a_file(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(ValueError, match="cannot write to the log folder"):
        create_run_folder(make_config(tmp_path))


def put(path, age):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    os.utime(path, (age, age))
    return path


def test_a_path_leads_to_a_model(tmp_path):
    old = put(tmp_path / "sac-anf" / "run_1" / MODEL, 1000)
    put(tmp_path / "sac-anf" / "run_1" / BEST_MODEL, 4000)
    new = put(tmp_path / "td3-set" / "run_1" / MODEL, 2000)
    assert find_model(old) == old
    assert find_model(old.parent) == old
    assert find_model(old.with_suffix("")) == old
    assert find_model(tmp_path) == new
    assert find_model(tmp_path / "sac-anf") == old


def test_a_run_that_was_killed_early_has_its_best_model_at_least(tmp_path):
    best = put(tmp_path / "run_1" / BEST_MODEL, 1000)
    assert find_model(tmp_path) == best
    with pytest.raises(ValueError, match="holds no trained model"):
        find_model(tmp_path, (MODEL,))


def test_a_missing_path_is_answered_with_the_closest_one(tmp_path):
    put(tmp_path / "demo" / MODEL, 1000)
    with pytest.raises(ValueError, match=r"no run folder or model at .*dmeo\. Did you mean demo\?"):
        find_model(tmp_path / "dmeo")
    with pytest.raises(ValueError, match="no run folder or model"):
        find_model(tmp_path / "neither" / "nor")


def test_a_folder_leads_to_the_run_that_was_written_to_last(tmp_path):
    old, new = (put(tmp_path / "sac-anf" / name / CONFIG, 1000).parent for name in ("run_1", "run_2"))
    put(old / "0.monitor.csv", 3000)
    put(new / "0.monitor.csv", 2000)
    assert find_run(tmp_path) == old
    assert find_run(new) == new
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no run: no config\.json in it or below"):
        find_run(tmp_path / "empty")


@pytest.mark.skipif(os.name == "nt", reason="no locks on folders")
def test_a_folder_is_locked_until_released_or_forgotten(tmp_path):
    lock = FolderLock(tmp_path)
    with pytest.raises(ValueError, match="is still going on in another process"):
        FolderLock(tmp_path)
    lock.release()
    again = FolderLock(tmp_path)
    del again
    FolderLock(tmp_path).release()


@pytest.mark.skipif(os.name == "nt", reason="no locks on folders")
def test_where_folders_cannot_be_locked_a_file_in_them_is(tmp_path, monkeypatch):
    import fcntl

    flock = fcntl.flock

    def as_nfs(descriptor, how):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", as_nfs)
    lock = FolderLock(tmp_path)
    with pytest.raises(ValueError, match="is still going on in another process"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()
