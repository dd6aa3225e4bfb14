"""Evaluate a saved agent: ``python evaluate.py --help``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siftrl.training.command import carry_out
from siftrl.training.config import DISTRIBUTIONS
from siftrl.training.device import spin_briefly
from siftrl.training.disturbance import FEATURES, parse_disturbances
from siftrl.training.options import (
    AT_LEAST_ONE,
    NOISE_FRACTION,
    NOT_EMPTY,
    NOT_NEGATIVE,
    OptionParser,
    check_options,
    one_of,
    option,
)

_DESCRIPTION = """\
Play episodes with a saved agent and show its returns, and which features it listens to. RUN_OR_ZIP is a run folder of
train.py, a folder above some (the newest run counts), or a model's zip. The zip knows the environment it was trained
in; the options of the second group change that. The number of features stays: a policy reads so many and no other.
"""

_EPILOG = """\
examples:
  python evaluate.py logs/sac-sift/HalfCheetah-v5_0.9_s0_1 --episodes 20
  # the best model of a run rather than the last one
  python evaluate.py logs/sac-sift/HalfCheetah-v5_0.9_s0_1/best_model.zip
  # what if the noise were twice as loud, or the features stood in another order?
  python evaluate.py logs/demo --noise-std 2
  python evaluate.py logs/demo --permutation 1
  # what if each sensor had an error of its own, and all were two steps late?
  python evaluate.py logs/demo --corrupt bias:3,delay:2
  # a model that was trained with Stable-Baselines3 elsewhere, and a video of its first episode
  python evaluate.py sac_hopper.zip --env Hopper-v5 --video hopper.gif
  # which features the actor listens to, beside the film
  python evaluate.py logs/demo --episodes 1 --video demo.mp4 --attention

A saved model contains pickles, which can run any code when they are loaded: evaluate only what you trust, or with
--weights-only, which builds the networks anew from the run's options (a model that train.py saved, that is).
"""

_PLAY, _CHANGE, _OUTPUT = "episodes", "environment, where it shall differ from the saved one", "output"


@dataclass(frozen=True)
class Options:
    """The options of one evaluation; each is a flag of ``evaluate.py``."""

    episodes: int = option(10, "how many to play", rule=AT_LEAST_ONE, group=_PLAY)
    seed: int = option(0, "of the episodes; a run's own seed plays those of its evaluations", rule=NOT_NEGATIVE, group=_PLAY)
    stochastic: bool = option(False, "draw the actions instead of taking the most likely ones", group=_PLAY)
    device: str = option("auto", "cpu, cuda, cuda:1, ...", rule=NOT_EMPTY, group=_PLAY)
    weights_only: bool = option(
        False, "take nothing but weights and options from the file: no code in it can run", group=_PLAY
    )

    noise_std: float | None = option(None, "standard deviation of the noise", rule=NOT_NEGATIVE, group=_CHANGE)
    noise_distribution: str | None = option(None, "the kind of noise, as in training", rule=DISTRIBUTIONS, group=_CHANGE)
    permutation: int | None = option(
        None, "number of the order in which the features stand", rule=NOT_NEGATIVE, group=_CHANGE, metavar="K"
    )
    live_noise: int | None = option(
        None, "let only K noise features live and hold the rest at 0", rule=NOT_NEGATIVE, group=_CHANGE, metavar="K"
    )
    corrupt: str | None = option(
        None,
        "let sensors fail: a name and a severity from 1 to 5, or several with commas; docs/robustness.md has the names",
        rule=NOT_EMPTY,
        group=_CHANGE,
        metavar="NAME:SEVERITY",
    )
    corrupt_features: str = option("all", "with --corrupt, which sensors fail", rule=one_of(*FEATURES), group=_CHANGE)
    env: str | None = option(
        None, "the task's Gymnasium id; needed for a zip of other origin", rule=NOT_EMPTY, group=_CHANGE, metavar="ID"
    )
    noise: float | None = option(
        None, "with --env, the fraction of noise features (that of the run, else 0)", rule=NOISE_FRACTION, group=_CHANGE
    )

    json: str | None = option(None, "also write the figures to this file", rule=NOT_EMPTY, group=_OUTPUT, metavar="FILE")
    video: str | None = option(None, "film the first episode as .gif or .mp4", rule=NOT_EMPTY, group=_OUTPUT, metavar="FILE")
    attention: bool = option(
        False, "with --video, show beside the film which features the actor listens to at each moment", group=_OUTPUT
    )

    def __post_init__(self) -> None:
        check_options(self)
        parse_disturbances(self.corrupt)
        if self.corrupt is None and self.corrupt_features != "all":
            raise ValueError("corrupt-features says which sensors fail, and needs --corrupt to say how.")
        if self.attention and self.video is None:
            raise ValueError("attention is shown beside a film, and needs --video to say where that goes.")


def main(argv: list[str] | None = None) -> int:
    """Evaluate as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0, 1 where the disk or the memory failed, 2 for wrong input, 130 after Ctrl-C.
    """
    prog = "siftrl-evaluate" if Path(sys.argv[0]).stem == "siftrl-evaluate" else "python evaluate.py"
    parser = OptionParser(prog=prog, usage="%(prog)s RUN_OR_ZIP [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("model", metavar="RUN_OR_ZIP", help="a run folder, a folder above some, or a model's zip")
    parser.add_options(Options)
    spin_briefly()
    return carry_out(prog, lambda: _evaluate(parser.parse_options(argv)))


def _evaluate(given: dict[str, Any]) -> None:
    model = given.pop("model")
    options = Options(**given)
    # Loaded only now: --help and typos answer without torch.
    from siftrl.training.assessment import assess

    assess(model, options)


if __name__ == "__main__":
    sys.exit(main())
