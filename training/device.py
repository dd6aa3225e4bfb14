"""Devices: the one that was asked for, or a refusal; and how many CPU threads to use."""

from __future__ import annotations

import os


def spin_briefly() -> None:
    """Let OpenMP's threads fall asleep soon when they wait for each other; to be called before torch is loaded.

    By default they spin for milliseconds, and on a machine that has other work as well they wait for each other's time
    slices: an update of 11 ms takes 340 ms there, with this count 52 ms, for 6 % when the machine is quiet
    (docs/decisions.md). A wait policy or count that the user has set stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def resolve_device(name: str) -> str:
    """The torch device that ``name`` means, ``auto`` resolved.

    SB3 takes the CPU without a word where a GPU was asked for and is not there; here that is an error.

    Raises:
        ValueError: for a name that is no device, and for a device that this machine lacks.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:<number>, not {name!r}.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name} is not there: this machine offers torch no CUDA GPU. Use cpu or auto.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name} is not there: this machine has {torch.cuda.device_count()} CUDA GPUs.")
    try:
        torch.empty(1, device=device).add(1).cpu()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"device {name} is not there or does not compute. Use cpu or auto.") from error
    return str(device)


def set_threads(threads: int | None) -> None:
    """Let torch, and with it the kernels, and NumPy's BLAS use ``threads`` CPU threads; ``None`` leaves all as it is.

    NumPy's BLAS has threads of its own. Beside other work two of them made an examination of features take 5 s, one 0.5 s.

    Raises:
        ValueError: for more threads than there are cores.
    """
    if threads is None:
        return
    import torch
    from threadpoolctl import threadpool_limits

    if threads > (os.cpu_count() or 1):
        raise ValueError(f"threads must be at most {os.cpu_count()}, the cores here, not {threads}.")
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
