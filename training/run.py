"""One training run, from its options to its last checkpoint."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, ProgressBarCallback
from stable_baselines3.common.logger import configure

from ..agents.callbacks import SparsityMetrics
from ..agents.filter import filter_report
from ..agents.networks import layer_table
from ..agents.presets import build_callbacks
from ..agents.replay import replay_nbytes
from . import report
from .agent import agent_arguments, continued_agent, new_agent, restore_agent
from .archive import Provenance, save_model
from .atomic import atomic_write_text, remove_leftovers
from .checkpoint import Checkpoint, PeriodicCheckpoint, newest_checkpoint, save_checkpoint
from .config import RunConfig
from .device import resolve_device, set_threads
from .divergence import Diverged, check_weights
from .environments import check_continuous, evaluation_seed, make_vec_env, relevant_features
from .evaluation import PeriodicEvaluation
from .feature_recorder import FeatureRecorder
from .folder import COMMAND, CONFIG, MODEL, FolderLock, events_folder, find_run, new_run_folder
from .journals import EVENTS, MONITORS, cut_back
from .memory import check_fits, human_bytes
from .origin import Origin
from .permutation import PermutationDriver, current_permutation
from .resume import ForeignStateError, resumed_config
from .run_state import AtTrainingStart, restore_run, run_state
from .stopping import StopOnRequest, Stopped, StopRequest
from .tensorboard import write_options


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


def prepare(config: RunConfig, *, command: str = "", origin: Origin | None = None, lock: FolderLock | None = None) -> Run:
    """Make the folder, the environments and the agent of a new run; what remains is :meth:`Run.carry_out`.

    Args:
        config: its options.
        command: the command line behind it, for the record.
        origin: the saved run that it takes its agent from, if any.
        lock: on the folder that the run shall have; ``None`` makes one below ``config.log_folder``.

    Raises:
        ValueError: for options that cannot work here, with a sentence that says why; a folder that was made is gone then.
    """
    if config.tensorboard_log is not None:
        # In full: the run may go on from another folder.
        config = dataclasses.replace(config, tensorboard_log=os.path.abspath(config.tensorboard_log))
    if lock is not None:
        return _made(config, lock.folder, command, origin=origin, lock=lock)
    with new_run_folder(config) as folder:
        return _made(config, folder, command, origin=origin)


def resume(given: dict[str, Any], *, command: str = "", lock: FolderLock | None = None) -> Run:
    """Prepare a stopped run to go on in its folder, from its newest intact checkpoint, as if it had never stopped.

    What it wrote after that checkpoint will be written again; until then it is gone, but for ``best_model.zip``, which may
    be of a later step.

    Args:
        given: the options on the command line; ``trained_agent`` names a folder.
        command: the command line, for the record.
        lock: on the run's folder; ``None`` takes it now.

    Raises:
        ValueError: where there is no run, or nothing to go on from, or nothing left to do, and for options that cannot
            change; see :func:`siftrl.training.resume.resumed_config`.
    """
    folder = find_run(Path(given["trained_agent"])) if lock is None else lock.folder
    lock = lock or FolderLock(folder)
    checkpoint = newest_checkpoint(folder)
    done = checkpoint.provenance.num_timesteps
    config = resumed_config(given, folder, done, is_over=checkpoint.state.get("finished"))
    return _made(config, folder, command, checkpoint=checkpoint, lock=lock)


def _made(config: RunConfig, folder: Path, command: str, **kwargs: Any) -> Run:
    try:
        run = Run(config, folder, **kwargs)
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
        folder: its folder, which exists; empty but for a run that goes on.
        origin: the saved run that it takes its agent from, if any.
        checkpoint: from which it goes on, if it was stopped.
        lock: on its folder, for the time of the run; ``None`` takes it now.

    Raises:
        ValueError: for options that cannot work here.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        *,
        origin: Origin | None = None,
        checkpoint: Checkpoint | None = None,
        lock: FolderLock | None = None,
    ) -> None:
        self.config, self.folder, self.origin, self.checkpoint = config, folder, origin, checkpoint
        self.lock = FolderLock(folder) if lock is None else lock
        self.events_folder = events_folder(config, folder)
        if checkpoint is None and any(self.events_folder.glob(EVENTS)):
            raise ValueError(
                f"tensorboard-log must be a folder where no other run of this name has written events, not "
                f"{config.tensorboard_log}: there are some in {self.events_folder}."
            )
        self.device = resolve_device(config.device)
        set_threads(config.threads)
        if checkpoint is not None:
            remove_leftovers(folder)
            cut_back(folder, MONITORS, checkpoint.state.get("monitors"))
            cut_back(self.events_folder, EVENTS, checkpoint.state.get("events"))
        environment = config.ene_kwargs()
        append = checkpoint is not None
        self.env = make_vec_env(environment, n_envs=config.n_envs, seed=config.seed, monitor_folder=folder, append=append)
        check_continuous(self.env, config.env, config.algo)
        self.evaluation_env = make_vec_env(environment, seed=evaluation_seed(config.seed))
        before = origin or checkpoint
        planned = before.provenance.planned_timesteps if before else None
        self.planned_timesteps = planned or config.n_timesteps
        self.policy_kwargs, self.algorithm_kwargs = agent_arguments(config, self.env, self.planned_timesteps)
        self.replay_nbytes = replay_nbytes(
            config.buffer_size, len(relevant_features(self.env)), self.env.action_space, config.n_envs
        )
        check_fits(self.replay_nbytes, config.buffer_size, filled=config.n_timesteps)
        self.agent = self._make_agent()
        self.metrics = SparsityMetrics()
        self.recorder = FeatureRecorder(folder, self.metrics)
        self.method = build_callbacks(config.recipe, self.planned_timesteps, quiet_start=config.quiet_start)
        self.stop = StopRequest()
        self.evaluation = self._make_evaluation() if config.eval_freq else None
        self.driver = None
        if config.permute_every is not None:
            self.driver = PermutationDriver(config.permute_every, self.env, self.evaluation_env)
            self.driver.drive(self.agent.num_timesteps)

    def _make_agent(self) -> Any:
        if self.origin is not None:
            return continued_agent(self.origin, self.env, self.device)
        agent = new_agent(self.config, self.env, self.device, self.policy_kwargs, self.algorithm_kwargs)
        if self.checkpoint is not None:
            restore_agent(agent, self.checkpoint)
        return agent

    def _make_evaluation(self) -> PeriodicEvaluation:
        return PeriodicEvaluation(
            self.evaluation_env,
            every=self.config.eval_freq,
            episodes=self.config.eval_episodes,
            seed=evaluation_seed(self.config.seed),
            folder=self.folder,
            save=lambda path: save_model(self.agent, path, self.provenance()),
            stop=self.stop,
            announce=self._announce,
            observe=self._observe,
        )

    def _observe(self) -> None:
        # Before the evaluation is recorded.
        check_weights(self.agent)
        self.recorder.record()

    def record(self, command: str) -> None:
        """Write ``config.json``, add to ``command.txt``, open the TensorBoard log, and write a new run's options to it."""
        from .. import __version__

        description = {
            "siftrl": __version__,
            "device": self.device,
            "config": self.config.to_dict(),
            "policy_kwargs": self.agent.policy_kwargs,
            "algorithm_kwargs": self.algorithm_kwargs,
        }
        atomic_write_text(self.folder / CONFIG, json.dumps(description, indent=2, default=repr) + "\n")
        commands = self.folder / COMMAND
        earlier = commands.read_text(encoding="utf-8") if commands.exists() else ""
        atomic_write_text(commands, f"{earlier}{command}\n")
        formats = ["tensorboard", "stdout"] if self.config.verbose > 1 else ["tensorboard"]
        try:
            self.agent.set_logger(configure(str(self.events_folder), formats))
        except OSError as error:
            raise ValueError(f"cannot write TensorBoard events to {self.events_folder}: {error.strerror}.") from error
        if self.checkpoint is None:
            write_options(self.agent.logger, self.config)

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
        if self.checkpoint is not None:
            print(f"Goes on from {self.checkpoint.path} after {self.agent.num_timesteps:,} environment steps")
        report.show(report.layer_table(layer_table(self.agent)))
        print(f"Replay: {config.buffer_size:,} transitions, {human_bytes(self.replay_nbytes)} when full")
        print(f"Run folder: {self.folder}\n", flush=True)
        if self.agent.learning_starts >= config.n_timesteps:
            print(f"Nothing will be learnt: updates start after {self.agent.learning_starts:,} steps (raise -n).\n")

    def carry_out(self) -> Outcome:
        """Train to the end, or to the first Ctrl-C, and save.

        Raises:
            Diverged: where there is nothing to save any more; what was saved before is whole.
            ForeignStateError: where the checkpoint to go on from is that of another run.
            OSError: where the disk fails.
        """
        # Only a reset brings the feature order that is due; evaluation starts from a seed of its own each time anyway.
        self.evaluation_env.reset()
        before = filter_report(self.agent, relevant_features(self.evaluation_env))
        with self.stop:
            finished = self._learn()
            # Still within: a Ctrl-C during the last save must not break it off.
            self.save(finished)
        self.agent.logger.close()
        self.env.close()
        self.evaluation_env.close()
        self.lock.release()
        if self.config.verbose:
            after = filter_report(self.agent, relevant_features(self.env), self.metrics.feature_std)
            report.show_links({"start": before, "end": after}, self.agent)
        return Outcome(self.folder, self.agent.num_timesteps, None if finished else self.stop.signal)

    def _learn(self) -> bool:
        """Train; ``False`` where that was stopped."""
        bar = [ProgressBarCallback()] if self.config.progress else []
        try:
            self.agent.learn(
                self.config.n_timesteps - self.agent.num_timesteps,
                callback=[*self._callbacks(), *bar],
                reset_num_timesteps=False,
            )
        except Stopped:
            for callback in bar:
                callback.on_training_end()
            return False
        except (Diverged, ForeignStateError, OSError, MemoryError):
            raise
        except Exception:
            # What is no number fails anywhere: in a distribution, in a physics engine.
            check_weights(self.agent)
            raise
        return True

    def _callbacks(self) -> list[BaseCallback]:
        """In this order: what is driven and measured, what acts between two steps, and what sets the others' states."""
        callbacks = [self.metrics, *self.method]
        if self.driver is not None:
            callbacks.append(self.driver)
        if self.evaluation is not None:
            callbacks.append(self.evaluation)
        # Behind the evaluation: what that records at the end is not recorded again.
        callbacks.append(self.recorder)
        if self.config.save_freq:
            callbacks.append(PeriodicCheckpoint(self.config.save_freq, self.save))
        callbacks.append(StopOnRequest(self.stop))
        if self.checkpoint is not None:
            callbacks.append(AtTrainingStart(lambda: restore_run(self, self.checkpoint.state)))
        return callbacks

    def _announce(self, line: str) -> None:
        # Flushed, so that a redirected run can be followed while it goes on.
        if self.config.verbose:
            print(line, flush=True)

    def provenance(self) -> Provenance:
        """What a saved model says about where it comes from, as of now."""
        return Provenance(self.config, current_permutation(self.env), self.agent.num_timesteps, self.planned_timesteps)

    def save(self, finished: bool = False) -> None:
        """Write the model, and the checkpoint from which the run can go on.

        Raises:
            Diverged: where the weights are no finite numbers.
            OSError: where the disk fails; what was saved before is whole.
        """
        check_weights(self.agent)
        save_model(self.agent, self.folder / MODEL, self.provenance())
        save_checkpoint(self.folder, self.agent, self.provenance(), run_state(self, finished))
