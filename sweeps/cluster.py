"""Ray: the machines that a sweep's runs go to, this one or many."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..training.config import RunConfig
from ..training.launch import RunProcess

_OBJECT_STORE = 80 * 2**20  # bytes, near the least that Ray takes: runs hand over their options and an exit code


class Cluster:
    """The machines that are connected now; to be had from :func:`connect`.

    Args:
        workers: runs at a time at most; ``None``: as many as there are CPUs for, also those that join later.
        threads: CPUs of one run.
    """

    def __init__(self, workers: int | None, threads: int) -> None:
        self.workers, self.threads = workers, threads

    def slots(self) -> int:
        """How many runs can go on side by side."""
        import ray

        room = int(ray.cluster_resources().get("CPU", 0)) // self.threads
        return room if self.workers is None else min(room, self.workers)

    def start(self, config: RunConfig, folder: Path) -> RemoteRun:
        """Start a run, or go on with it, on whichever machine has room for it."""
        return RemoteRun(config, folder, self.threads)


@contextlib.contextmanager
def connect(address: str | None, workers: int | None, threads: int) -> Iterator[Cluster]:
    """Use the Ray cluster at ``address``, or a new one of this machine alone that is gone afterwards.

    Args:
        address: of a node, or ``auto``: the cluster that this machine is part of; ``None``: none.
        workers: see :class:`Cluster`. On this machine alone that may be more than there are CPUs.
        threads: see :class:`Cluster`.

    Raises:
        ValueError: where there is no cluster at ``address``, or no machine has enough CPUs for a run.
    """
    # Set before Ray is loaded: it reports to its makers otherwise, and gives runs what other programs leave of the CPUs.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        # A token of its own, or Ray would leave one in the user's home; Ray reads it when it is loaded.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ray = _ray()
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    scratch = None
    if address is None:
        # Its own folder, so that sessions do not pile up, nor meet those of other users of the machine.
        scratch = tempfile.mkdtemp(prefix="siftrl-")
        cpus = None if workers is None else workers * threads
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _OBJECT_STORE, "_temp_dir": scratch}
    try:
        try:
            ray.init(address=address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ValueError(f"cannot connect to Ray at {address or 'this machine'}: {_first_line(error)}") from error
        _require_room(threads)
        yield Cluster(workers, threads)
    finally:
        ray.shutdown()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError("sweeps run on Ray, which is not installed: pip install 'siftrl[sweep]'.") from error
    return ray


def _require_room(threads: int) -> None:
    import ray

    largest = max((int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]), default=0)
    if threads > largest:
        raise ValueError(f"threads-per-run must be at most {largest}, the CPUs of the largest machine, not {threads}.")


class RemoteRun:
    """A run on some machine of the cluster.

    Args:
        config: its options.
        folder: where it writes.
        threads: its CPU threads.

    Attributes:
        reason: once it has failed for the machine's sake, why; else empty.
    """

    def __init__(self, config: RunConfig, folder: Path, threads: int) -> None:
        import ray

        # Two calls at a time: the run, and the order to stop. Retries are the sweep's, which tells a crash from a refusal.
        options = {"num_cpus": threads, "max_concurrency": 2, "max_restarts": 0, "max_task_retries": 0}
        self._actor = ray.remote(_Host).options(**options).remote()
        self._is_placed = self._actor.is_placed.remote()
        self._end = self._actor.carry_out.remote(config, str(folder.absolute()), threads)
        self.reason = ""

    def is_placed(self) -> bool:
        """Whether a machine has taken it yet."""
        return _is_ready(self._is_placed)

    def poll(self) -> int | None:
        """``None`` while it goes on, then an exit code as that of :meth:`siftrl.training.launch.RunProcess.poll`."""
        import ray

        if not _is_ready(self._end):
            return None
        try:
            code, self.reason = ray.get(self._end)
        except ray.exceptions.RayError as error:
            code, self.reason = 1, _first_line(error)
        ray.kill(self._actor)
        return code

    def terminate(self) -> None:
        """Ask it to save and stop; one that no machine has taken is forgotten."""
        import ray

        if self.is_placed():
            self._actor.terminate.remote()
        else:
            ray.kill(self._actor)


class _Host:
    """Lives on a machine of the cluster for the time of one run; when it is killed, the run saves and stops."""

    def __init__(self) -> None:
        self._process: RunProcess | None = None
        self._is_stopping = False

    def is_placed(self) -> bool:
        return True

    def carry_out(self, config: RunConfig, folder: str, threads: int) -> tuple[int, str]:
        try:
            self._process = RunProcess(config, folder, threads=threads)
        except ValueError as error:
            return 2, str(error)
        if self._is_stopping:
            self._process.terminate()
        return self._process.wait(), ""

    def terminate(self) -> None:
        self._is_stopping = True
        if self._process is not None:
            self._process.terminate()


def _is_ready(reference: Any) -> bool:
    import ray

    return bool(ray.wait([reference], timeout=0)[0])


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
