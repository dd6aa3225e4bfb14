"""Train a sparse agent: ``python train.py --help``."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siftrl.training.command import what_failed
from siftrl.training.config import RunConfig
from siftrl.training.device import spin_briefly
from siftrl.training.divergence import Diverged
from siftrl.training.foreign_env import env_flag
from siftrl.training.options import OptionParser
from siftrl.training.resume import ForeignStateError

if TYPE_CHECKING:
    from siftrl.training.run import Run

_DESCRIPTION = """\
Train an agent whose networks are sparse from the first step to the last and rewire themselves while they learn, on a
task buried in noise: with --noise 0.9, nine of ten features that the agent sees mean nothing.
"""

_EPILOG = """\
examples:
  # an agent that finds HalfCheetah's own features among 90 % noise features, with a progress bar
  python train.py --env HalfCheetah-v5 --noise 0.9 -n 100000 -P
  # its dense counterpart, to compare with
  python train.py --recipe dense --env HalfCheetah-v5 --noise 0.9 -n 100000 -P
  # the setting of the ANF paper: its hyper-parameters, noise redrawn in each batch
  python train.py --recipe anf --hparams paper --replay-noise fresh --noise 0.98 -n 1000000
  # TD3, all layers sparse, a tenth of the links, the features permuted every 200 000 steps
  python train.py --algo td3 --recipe set --density 0.1 --distribution erk --permute-every 200000
  # go on with a run that was stopped or killed, to the same end as if it had not been; and then for 50 000 further steps
  python train.py -i logs/sac-sift/HalfCheetah-v5_0.9_s0_1
  python train.py -i logs/sac-sift/HalfCheetah-v5_0.9_s0_1 -n 50000

A run writes to <log-folder>/<algo>-<recipe>/<env>_<noise>_s<seed>_<run>/: model.zip, best_model.zip, the two newest
checkpoint_<steps>.zip (for -i), evaluations.npz, features.npz, 0.monitor.csv, config.json, command.txt, TensorBoard events.
Then: python evaluate.py <that folder>. A saved model contains pickles: load only what you trust.
"""


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0 after a whole run, 1 where the disk or the memory failed it or training diverged, 2 for wrong input, 128 + the
        signal's number after Ctrl-C or a termination request.
    """
    # Installed as siftrl-train, or run as a file: messages show the command that works for this user.
    installed = Path(sys.argv[0]).stem == "siftrl-train"
    prog = "siftrl-train" if installed else "python train.py"
    parser = OptionParser(prog=prog, usage="%(prog)s [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_options(RunConfig)
    arguments = sys.argv[1:] if argv is None else argv
    spin_briefly()
    try:
        run = _prepare(parser.parse_options(arguments), shlex.join([*prog.split(), *arguments]))
    except ValueError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except (OSError, MemoryError) as error:
        print(f"{prog}: error: {what_failed(error)}. Training has not begun.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: stopped before training began, nothing was written.", file=sys.stderr)
        return 128 + signal.SIGINT
    try:
        outcome = run.carry_out()
    except ForeignStateError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except (OSError, MemoryError, Diverged) as error:
        print(f"{prog}: error: {what_failed(error, run.folder)}. What was saved before is whole.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: stopped at once, nothing more was saved. What was saved before is whole.", file=sys.stderr)
        return 128 + signal.SIGINT
    state = "Trained for" if outcome.stopped_by is None else "Stopped after"
    print(f"{state} {outcome.num_timesteps:,} environment steps. The model is {outcome.folder / 'model.zip'}")
    folder = shlex.quote(str(outcome.folder)) + env_flag(run.config.env)
    print(f"Evaluate it: {'siftrl-evaluate' if installed else 'python evaluate.py'} {folder}")
    if outcome.stopped_by is not None:
        print(f"Go on with it: {prog} -i {folder}")
    return 0 if outcome.stopped_by is None else 128 + outcome.stopped_by


def _prepare(given: dict[str, Any], command: str) -> Run:
    # Options are checked first, and torch is loaded only for those that pass: --help and typos answer at once.
    config, trained_agent = RunConfig(**given), given.get("trained_agent")
    if trained_agent is None:
        config.check_new()
    from siftrl.training.run import prepare, resume

    if trained_agent is None:
        return prepare(config, command=command)
    if Path(trained_agent).is_dir():
        return resume(given, command=command)
    from siftrl.training.origin import continued_config, find_origin

    origin = find_origin(trained_agent)
    return prepare(continued_config(given, origin), command=command, origin=origin)


if __name__ == "__main__":
    sys.exit(main())
