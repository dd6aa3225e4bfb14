"""One training run, from its options to its last checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from ..agents.callbacks import SparsityMetrics
from ..agents.filter import filter_report
from ..agents.networks import layer_table
from ..agents.replay import replay_nbytes
from . import report
from .agent import agent_arguments, continued_agent, new_agent
from .archive import Provenance, save_model
from .atomic import atomic_write_text
from .checkpoint import PeriodicCheckpoint, save_checkpoint
from .config import RunConfig
from .device import resolve_device, set_threads
from .environments import check_continuous, evaluation_seed, make_vec_env, relevant_features
from .evaluation import PeriodicEvaluation
from .folder import CHECKPOINT, COMMAND, CONFIG, MODEL, new_run_folder
from .memory import check_fits, human_bytes
from .origin import Origin
from .permutation import PermutationDriver, current_permutation
from .stopping import StopOnRequest, StopRequest


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Args:
        folder: the run folder.
        num_timesteps: environment steps behind the model.
        stopped_by: number of the signal that ended the run early; ``None`` where it went to its end.
    """

    folder: Path
    num_timesteps: int
    stopped_by: int | None


def prepare(config: RunConfig, *, command: str = "", origin: Origin | None = None) -> Run:
    """Make the folder, the environments and the agent of a run; what remains is :meth:`Run.carry_out`.

    Args:
        config: its options.
        command: the command line behind it, for the record.
        origin: what it continues, if anything.

    Raises:
        ValueError: for options that cannot work here, with a sentence that says why; nothing is left behind then.
    """
    with new_run_folder(config) as folder:
        try:
            run = Run(config, folder, origin)
        except MemoryError as error:
            raise ValueError(f"{config.env} at noise {config.noise} does not fit into memory: {error}") from error
        run.record(command)
    if config.verbose:
        run.show()
    return run


class Run:
    """A run that is ready to start: folder, environments and agent exist, and everything about them was checked.

    Args:
        config: its options.
        folder: its folder, which exists and is empty.
        origin: what it continues, if anything.

    Raises:
        ValueError: for options that cannot work here.
    """

    def __init__(self, config: RunConfig, folder: Path, origin: Origin | None = None) -> None:
        self.config, self.folder, self.origin = config, folder, origin
        self.device = resolve_device(config.device)
        set_threads(config.threads)
        environment = config.ene_kwargs()
        self.env = make_vec_env(environment, n_envs=config.n_envs, seed=config.seed, monitor_folder=folder)
        check_continuous(self.env, config.env, config.algo)
        self.evaluation_env = make_vec_env(environment, seed=evaluation_seed(config.seed))
        self.policy_kwargs, self.algorithm_kwargs = agent_arguments(config, self.env)
        self.replay_nbytes = replay_nbytes(
            config.buffer_size, len(relevant_features(self.env)), self.env.action_space, config.n_envs
        )
        check_fits(self.replay_nbytes, config.buffer_size, filled=config.n_timesteps)
        self.agent = self._make_agent()
        self.metrics = SparsityMetrics()
        self.driver = None
        if config.permute_every is not None:
            self.driver = PermutationDriver(config.permute_every, self.env, self.evaluation_env)
            self.driver.drive(self.agent.num_timesteps)

    def _make_agent(self) -> Any:
        if self.origin is not None:
            return continued_agent(self.origin, self.env, self.device)
        return new_agent(self.config, self.env, self.device, self.policy_kwargs, self.algorithm_kwargs)

    def record(self, command: str) -> None:
        """Write ``config.json`` and ``command.txt``, and open the TensorBoard log."""
        from .. import __version__

        description = {
            "siftrl": __version__,
            "device": self.device,
            "config": self.config.to_dict(),
            "policy_kwargs": self.agent.policy_kwargs,
            "algorithm_kwargs": self.algorithm_kwargs,
        }
        atomic_write_text(self.folder / CONFIG, json.dumps(description, indent=2, default=repr) + "\n")
        atomic_write_text(self.folder / COMMAND, command + "\n")
        events = self.folder
        if self.config.tensorboard_log is not None:
            events = Path(self.config.tensorboard_log) / self.folder.parent.name / self.folder.name
        formats = ["tensorboard", "stdout"] if self.config.verbose > 1 else ["tensorboard"]
        try:
            self.agent.set_logger(configure(str(events), formats))
        except OSError as error:
            raise ValueError(f"cannot write TensorBoard events to {events}: {error.strerror}.") from error

    def show(self) -> None:
        """Print what is about to be trained: task, layers, memory, and where it goes."""
        config = self.config
        features, real = self.env.observation_space.shape[0], len(relevant_features(self.env))
        print(
            f"{config.algo.upper()} with recipe {config.recipe} on {config.env}: "
            f"{features:,} features, {real:,} of them real; device {self.device}"
        )
        if self.origin is not None:
            replay = "with its replay" if self.origin.has_replay else "without its replay, which a lone model does not hold"
            print(f"Continues {self.origin.path} after {self.agent.num_timesteps:,} environment steps, {replay}")
        report.show(report.layer_table(layer_table(self.agent)))
        print(f"Replay: {config.buffer_size:,} transitions, {human_bytes(self.replay_nbytes)} when full")
        print(f"Run folder: {self.folder}\n", flush=True)
        if self.agent.learning_starts >= config.n_timesteps:
            print(f"Nothing will be learnt: updates start after {self.agent.learning_starts:,} steps (raise -n).\n")

    def carry_out(self) -> Outcome:
        """Train to the end, or to the first Ctrl-C, and save."""
        # Only a reset brings the feature order that is due; evaluation starts from a seed of its own each time anyway.
        self.evaluation_env.reset()
        before = filter_report(self.agent, relevant_features(self.evaluation_env))
        with StopRequest() as stop:
            self.agent.learn(
                self.config.n_timesteps - self.agent.num_timesteps,
                callback=self._callbacks(stop),
                reset_num_timesteps=False,
                progress_bar=self.config.progress,
            )
            # Still within: a Ctrl-C during the last save must not break it off.
            self.save()
        self.agent.logger.close()
        self.env.close()
        self.evaluation_env.close()
        if self.config.verbose:
            after = filter_report(self.agent, relevant_features(self.env), self.metrics.feature_std)
            report.show(report.link_table({"start": before, "end": after}))
        return Outcome(self.folder, self.agent.num_timesteps, stop.signal)

    def _callbacks(self, stop: StopRequest) -> list[BaseCallback]:
        callbacks: list[BaseCallback] = [StopOnRequest(stop), self.metrics]
        if self.driver is not None:
            callbacks.append(self.driver)
        if self.config.eval_freq:
            callbacks.append(
                PeriodicEvaluation(
                    self.evaluation_env,
                    every=self.config.eval_freq,
                    episodes=self.config.eval_episodes,
                    seed=evaluation_seed(self.config.seed),
                    folder=self.folder,
                    save=lambda path: save_model(self.agent, path, self.provenance()),
                    stop=stop,
                    announce=self._announce,
                )
            )
        if self.config.save_freq:
            callbacks.append(PeriodicCheckpoint(self.config.save_freq, self.save))
        return callbacks

    def _announce(self, line: str) -> None:
        # Flushed, so that a redirected run can be followed while it goes on.
        if self.config.verbose:
            print(line, flush=True)

    def provenance(self) -> Provenance:
        """What a saved model says about where it comes from, as of now."""
        return Provenance(self.config, current_permutation(self.env), self.agent.num_timesteps)

    def save(self) -> None:
        """Write the model, and the checkpoint from which the run can go on."""
        save_checkpoint(self.agent, self.folder / CHECKPOINT, self.provenance())
        save_model(self.agent, self.folder / MODEL, self.provenance())
