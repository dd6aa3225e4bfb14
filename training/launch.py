"""Launch a run as a process of its own, in a folder that its options name; used by sweeps and searches. Loads no torch."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from .config import MACHINE, RunConfig
from .options import value_types
from .progress import steps_done

OUTPUT = "output.txt"
#: How a run ends that nobody has stopped: by the disk or the memory, for its options, or as its weights are no numbers.
FAILED, REFUSED, DIVERGED = 1, 2, 3
_NO_INFLUENCE = ("trained_agent", "log_folder", "tensorboard_log", "save_freq", "progress", "verbose")
_NAMED = ("algo", "recipe", "env", "noise")
# What numerical libraries read when they are loaded; torch's own count is set by the run.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def experiment(config: RunConfig) -> dict[str, Any]:
    """The options that decide what a run finds.

    Left out is where the run writes, how often it saves, what it shows, and the machine: device and number of threads change
    the last bits of a result and nothing about the experiment.

    Example:
        >>> list(experiment(RunConfig()))[:3], "threads" in experiment(RunConfig())
        (['algo', 'recipe', 'hparams'], False)
    """
    fields = [field for field in dataclasses.fields(RunConfig) if field.metadata["group"] != MACHINE]
    return {field.name: getattr(config, field.name) for field in fields if field.name not in _NO_INFLUENCE}


def run_hash(config: RunConfig) -> str:
    """Twelve hex digits that name the experiment of ``config``, today and in later versions.

    They are the beginning of the SHA-256 of the JSON of :func:`experiment` with sorted keys and numbers in the type of their
    option. What stands at its default is left out, so that an option that is added later changes no hash, but for agent and
    task, whose defaults may change.

    Example:
        >>> run_hash(RunConfig(env="Hopper-v5", noise=0.5))
        'a97389b2c14f'
    """
    kinds = value_types(RunConfig)
    defaults = experiment(RunConfig())
    given = {name: value for name, value in experiment(config).items() if name in _NAMED or value != defaults[name]}
    typed = {name: None if value is None else kinds[name](value) for name, value in given.items()}
    text = json.dumps(typed, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:12]


def hashed_folder(config: RunConfig, parent: str | os.PathLike[str]) -> Path:
    """``<parent>/<algo>-<recipe>/<Env>_<noise>_s<seed>_<hash>``: the same options, the same folder. It is not created.

    Example:
        >>> print(hashed_folder(RunConfig(), "studies").as_posix())
        studies/sac-sift/HalfCheetah-v5_0.9_s0_17d9088e3a67
    """
    name = f"{config.env.replace('/', '-')}_{config.noise:g}_s{config.seed}_{run_hash(config)}"
    return Path(parent) / f"{config.algo}-{config.recipe}" / name


class RunProcess:
    """A run in a process and a session of its own, started, or gone on with where it was stopped or killed.

    The run stops and saves when this object is forgotten, or this process ends, even by SIGKILL. While it does so another
    one can be started already: it waits for the folder. A run that was killed before its first checkpoint starts anew, one
    that is finished ends at once. What it prints is added to ``output.txt`` in its folder.

    Args:
        config: the run's options. A run that goes on must have been started with the same :func:`experiment`.
        folder: where it writes, such as :func:`hashed_folder`; created with its parents. Several machines must see the same
            files there.
        threads: CPU threads; replaces ``config.threads``.

    Raises:
        ValueError: for options that take up another run, and for a folder that cannot be written to.
    """

    def __init__(self, config: RunConfig, folder: str | os.PathLike[str], *, threads: int = 1) -> None:
        if config.trained_agent is not None:
            raise ValueError(f"trained-agent must be left out of a run that is launched, not {config.trained_agent!r}.")
        self.config, self.folder = dataclasses.replace(config, threads=threads), Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / OUTPUT).open("ab") as output:
                self._process = self._start(output)
        except OSError as error:
            raise ValueError(f"cannot write to the folder {folder}: {error.strerror}.") from error

    def _start(self, output: Any) -> subprocess.Popen:
        # -P: what lies in the current folder of the user is no module of the run.
        command = [sys.executable, "-P", "-m", "siftrl.training.launched", os.fspath(self.folder)]
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(self.config.threads))}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C at the terminal reaches this process alone, which then decides
        )
        # The pipe stays open: its end tells the run that nobody waits for it any more.
        process.stdin.write(json.dumps(self.config.to_dict()).encode() + b"\n")
        process.stdin.flush()
        return process

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def poll(self) -> int | None:
        """``None`` while the run goes on; then 0 if it is finished, ``FAILED`` if the disk or the memory failed it,
        ``REFUSED`` if its options cannot be carried out, ``DIVERGED``, or 128 + the number of the signal that stopped it."""
        return _exit_code(self._process.poll())

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the run's end, for so many seconds at most; gives what :meth:`poll` gives.

        Raises:
            subprocess.TimeoutExpired: where it goes on after that.
        """
        return _exit_code(self._process.wait(timeout))

    def progress(self) -> int:
        """Environment steps done, as of half a second ago."""
        return steps_done(self.folder)

    def terminate(self) -> None:
        """Ask the run to save and stop: after its step, that is."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill the run; what it did since its last checkpoint is lost, and will be done again."""
        self._process.kill()

    def output(self, lines: int = 10) -> str:
        """The last lines that it printed."""
        return last_output(self.folder, lines)


def last_output(folder: Path, lines: int = 10) -> str:
    """The last lines that the launched run in ``folder`` printed; empty where it printed nothing."""
    path = folder / OUTPUT
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _exit_code(code: int | None) -> int | None:
    return 128 - code if code is not None and code < 0 else code
