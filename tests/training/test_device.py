"""Devices: the one asked for or a refusal, never another one."""

import pytest
import threadpoolctl
import torch
from siftrl.training.device import resolve_device, set_threads


def test_the_cpu_is_always_there():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "cuda:-3", ""])
def test_what_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=r"^device "):
        resolve_device(name)


def test_cuda_is_not_silently_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA GPU"):
        resolve_device("cuda")


def blas_threads():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_threads_reach_torch_and_blas_and_are_at_most_the_cores():
    before = torch.get_num_threads()
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        set_threads(1)
        assert torch.get_num_threads() == 1
        assert blas_threads() <= {1}, "other libraries than OpenBLAS may have no pool"
        set_threads(None)
        assert torch.get_num_threads() == 1
        with pytest.raises(ValueError, match="threads must be at most"):
            set_threads(10_000)
    torch.set_num_threads(before)
