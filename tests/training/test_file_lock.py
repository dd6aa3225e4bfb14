"""Locks: one holder at a time, and none after its end."""

import os
import signal
import subprocess
import sys

from siftrl.training.file_lock import FileLock


def test_one_object_at_a_time(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()


def test_a_killed_process_holds_nothing(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from siftrl.training.file_lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    assert not FileLock(tmp_path / "lock").try_acquire()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert FileLock(tmp_path / "lock").try_acquire()
