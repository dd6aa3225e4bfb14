"""Atomic writes: the whole new file or the whole old one."""

import errno
import os
import stat

import pytest
from siftrl.training.atomic import atomic_write, atomic_write_text, check_writable, remove_leftovers


def fail_after_writing(file):
    file.write(b"half of the new")
    raise RuntimeError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.zip"
    atomic_write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        fail_after_writing(file)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.zip"]


@pytest.mark.parametrize("where", ["begin", "write"])
def test_a_failure_names_the_file_and_not_the_temporary_one(where, tmp_path):
    path = tmp_path / "nowhere" / "table.csv" if where == "begin" else tmp_path / "table.csv"
    with pytest.raises(OSError, match=r"/table\.csv'$") as raised, atomic_write(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.filename == str(path)


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "model.zip"
    atomic_write_text(path, "old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_the_bytes_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("rename"), replace(*names)))
    atomic_write_text(tmp_path / "note", "text")
    assert calls == ["fsync", "rename", "fsync"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_files_are_as_readable_as_others(tmp_path):
    (tmp_path / "plain").write_text("")
    atomic_write_text(tmp_path / "atomic", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")}
    assert len(modes) == 1


def test_what_a_kill_left_behind_is_removed(tmp_path):
    atomic_write_text(tmp_path / "model.zip", "whole")
    (tmp_path / ".model.zip.abc.tmp").write_text("half")
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["model.zip"]


@pytest.mark.parametrize("name", ["model.zip", "config.json", "checkpoint_500.zip"])
def test_a_runs_own_files_are_not_written_over(tmp_path, name):
    check_writable(tmp_path / name)  # nothing is there
    (tmp_path / name).write_text("of the run")
    with pytest.raises(ValueError, match="it is one of a run's own files"):
        check_writable(tmp_path / name)
    (tmp_path / "report.json").write_text("of an earlier call")
    check_writable(tmp_path / "report.json")
