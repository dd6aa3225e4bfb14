"""Kernels run on torch's own threads, and on no others."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba import njit
from siftrl.sparse import threads

needs_a_team = pytest.mark.skipif(not threads.TEAM, reason="torch has no OpenMP runtime here that kernels could share")


@njit(nogil=True)
def add_number(task, numbers, times):
    for _ in range(times):
        numbers[task] += task


@njit(nogil=True)
def add_numbers(numbers, times, n_threads, team):
    threads.share_out(add_number, (numbers, times), numbers.shape[0], n_threads, team)


@needs_a_team
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 1000])
def test_every_task_is_done_once(n_tasks, n_threads):
    numbers = np.zeros(n_tasks, np.int64)
    add_numbers(numbers, 3, n_threads, threads.TEAM)
    assert np.array_equal(numbers, 3 * np.arange(n_tasks))


@needs_a_team
def test_kernels_bring_no_pool_of_threads_of_their_own():
    """No OpenMP runtime besides torch's, none of numba's threading layers, and torch keeps its number of threads."""
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("loaded libraries are listed by Linux's /proc")
    code = """
import re, torch
def pools():
    return set(re.findall(r"/\\S*(?:gomp|iomp|libomp|omppool|tbbpool|workqueue)\\S*", open("/proc/self/maps").read()))
torch.set_num_threads(2)
torch.nn.Linear(2000, 256)(torch.randn(256, 2000)).sum().backward()
before = pools()
from siftrl.sparse import SparseLinear, threads
threads.MIN_WORK_PER_THREAD = 1
SparseLinear(2000, 256, 0.2)(torch.randn(256, 2000)).sum().backward()
assert before and pools() == before, (before, pools())
assert torch.get_num_threads() == 2
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_a_team
def test_much_work_takes_all_of_torchs_threads_and_little_takes_one(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert threads.worth(4 * threads.MIN_WORK_PER_THREAD) == 4
    assert threads.worth(4 * threads.MIN_WORK_PER_THREAD - 1) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert threads.worth(10**12) == 1


def test_without_a_team_kernels_run_on_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "TEAM", 0)
    assert threads.worth(10**12) == 1
