"""The command ``siftrl-export``: the actor of a saved agent as a file that runs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..training.atomic import check_writable
from ..training.command import carry_out
from ..training.device import set_threads, spin_briefly
from ..training.folder import find_model
from ..training.options import NOISE_FRACTION, NOT_EMPTY, POSITIVE, OptionParser, check_options, one_of, option
from .formats import FORMATS, format_of

if TYPE_CHECKING:
    from .write import Exported

_PROG = "siftrl-export"

_DESCRIPTION = """\
Write the actor of a saved agent, and nothing else, to a file that runs without SiftRL. RUN_OR_ZIP is a run folder of
train.py, a folder above some (the newest run counts), or a model's zip. The file holds the links that exist and names
the features that the actor reads. It is written only if it gives the policy's own actions.
"""

_EPILOG = """\
formats:
  npz          plain arrays; export/runner.py runs it with numpy alone
  onnx         for ONNX Runtime and other runtimes (pip install 'siftrl[export]')
  torchscript  for libtorch; torch calls it deprecated
  pt2          torch.export, which torch recommends instead

examples:
  siftrl-export logs/sac-sift/HalfCheetah-v5_0.99_s0_1
  siftrl-export logs/demo -o actor.onnx
  # a model that was trained with Stable-Baselines3 elsewhere; its pickles are loaded, which can run any code
  siftrl-export sac_hopper.zip --env Hopper-v5
"""


@dataclass(frozen=True)
class Options:
    """The options of one export; each is a flag of ``siftrl-export``."""

    format: str | None = option(None, "of the file (by the suffix of -o, else npz)", rule=one_of(*FORMATS))
    output: str | None = option(
        None, "the file (beside the model, named like it)", rule=NOT_EMPTY, short="-o", metavar="FILE"
    )
    env: str | None = option(None, "the task's Gymnasium id; needed for a zip of other origin", rule=NOT_EMPTY, metavar="ID")
    noise: float | None = option(None, "with --env, the fraction of noise features (0)", rule=NOISE_FRACTION)
    tolerance: float = option(1e-5, "how far the actions may be from the policy's, in halves of their range", rule=POSITIVE)

    def __post_init__(self) -> None:
        check_options(self)


def main(argv: list[str] | None = None) -> int:
    """Export as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0, 1 where the disk or the memory failed, 2 for wrong input, 130 after Ctrl-C.
    """
    parser = OptionParser(prog=_PROG, usage="%(prog)s RUN_OR_ZIP [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("model", metavar="RUN_OR_ZIP", help="a run folder, a folder above some, or a model's zip")
    parser.add_options(Options)
    spin_briefly()
    return carry_out(_PROG, lambda: _export(parser.parse_options(argv)))


def _export(given: dict[str, Any]) -> None:
    path = given.pop("model")
    options = Options(**given)
    output = None if options.output is None else Path(options.output)
    name = format_of(options.format, output)
    path = find_model(path)
    output = output or path.with_suffix(FORMATS[name].suffix)
    check_writable(output)
    # Loaded only now: --help and typos answer without torch.
    from .latency import dense_rival, latencies
    from .npz import encode, runtime
    from .source import saved_model
    from .write import export_actor

    model, about = saved_model(path, options.env, options.noise)
    exported = export_actor(model, output, name, about, options.tolerance)
    rivals = {"this file, by the numpy runner": exported.act}
    if name != "npz":
        rivals = {f"this file ({name})": exported.act, "as npz, by the numpy runner": runtime(encode(exported.actor))}
    rivals |= {"dense torch network of these widths": dense_rival(exported.actor), "policy.predict()": model.predict}
    set_threads(1)
    _show(exported, latencies(rivals, exported.actor.n_features))


def _show(exported: Exported, microseconds: dict[str, float]) -> None:
    from ..training.memory import human_bytes

    actor = exported.actor
    print(f"{exported.path}: {human_bytes(exported.nbytes)}, {actor.n_weights:,} weights")
    print(f"It reads {len(actor.reads):,} of {actor.n_features:,} features.")
    print(f"Its actions are the policy's, to {exported.difference:.0e} of half their range (256 random observations).")
    print("One action on this machine, in microseconds of the processor, median:")
    for name, time in microseconds.items():
        print(f"  {time:>8,.0f}  {name}")
