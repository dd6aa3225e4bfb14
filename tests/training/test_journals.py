"""Journals: what was written after a checkpoint is cut off, and nothing else is touched."""

import os

import pytest
from siftrl.training.journals import MONITORS, cut_back, journal_sizes


def test_journals_are_cut_back(tmp_path):
    (tmp_path / "0.monitor.csv").write_text("r,l,t\n1,2,3\n")
    (tmp_path / "1.monitor.csv").write_text("r,l,t\n")
    (tmp_path / "notes.csv").write_text("mine")
    sizes = journal_sizes(tmp_path, MONITORS)
    assert sizes == {"0.monitor.csv": 12, "1.monitor.csv": 6}
    with (tmp_path / "0.monitor.csv").open("a") as file:
        file.write("4,5,6\n")
    (tmp_path / "2.monitor.csv").write_text("r,l,t\n")
    cut_back(tmp_path, MONITORS, sizes)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "0.monitor.csv": "r,l,t\n1,2,3\n",
        "1.monitor.csv": "r,l,t\n",
        "notes.csv": "mine",
    }


@pytest.mark.skipif(os.name == "nt", reason="asks for a descriptor's mode")
def test_what_reaches_the_disk_is_open_for_writing(tmp_path, monkeypatch):
    import fcntl

    modes = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE))
    (tmp_path / "0.monitor.csv").write_text("r,l,t\n")
    assert journal_sizes(tmp_path, MONITORS) == {"0.monitor.csv": 6}
    assert modes == [os.O_RDWR]
