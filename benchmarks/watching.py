"""What it costs to watch which features the networks listen to, at each evaluation.

    python benchmarks/watching.py

SAC with ANF among 99 % noise, with as many records as are kept; the weights change at random in between, the worst case for
files. Milliseconds of CPU time, medians of five, and bytes: of drawing and writing to TensorBoard, and of a whole record,
with ``features.npz``. Prints a table and writes ``benchmarks/results/watching.json``.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measure import cpu_ms, parser, write_results
from siftrl.agents import SAC
from siftrl.agents.callbacks import SparsityMetrics
from siftrl.agents.networks import first_layer, networks
from siftrl.envs import make_ene
from siftrl.training.feature_recorder import FeatureRecorder
from siftrl.training.folder import FEATURES
from siftrl.training.journals import EVENTS
from siftrl.training.tensorboard import write_features
from stable_baselines3.common.logger import configure

TASKS = {"HalfCheetah-v5": 128, "Humanoid-v5": 30}  # with the number of records that are kept
_TURNS = 5


def measure(task: str, n_records: int) -> dict[str, Any]:
    """A row of the table."""
    model = SAC("SparseMlpPolicy", make_ene(task, 0.99), policy_kwargs={"recipe": "anf", "input_density": 0.01}, seed=0)
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model.set_logger(configure(folder, ["tensorboard"]))
        recorder = FeatureRecorder(folder, SparsityMetrics())
        recorder.init_callback(model)
        records = []
        for model.num_timesteps in range(1, n_records + 1):
            with torch.no_grad():
                for network in networks(model).values():
                    weight = first_layer(network).weight
                    weight.mul_(1 + 0.1 * torch.rand(weight.shape, generator=generator))
            records.append(cpu_ms(recorder.record))
        event_bytes = _events_nbytes(folder)
        drawings = [cpu_ms(partial(write_features, model.logger, recorder.history)) for _ in range(_TURNS)]
        return {
            "task": task,
            "features": model.observation_space.shape[0],
            "records": len(recorder.history.timesteps),
            "tensorboard_ms": statistics.median(drawings),
            "record_ms": statistics.median(records[-_TURNS:]),
            "file_bytes": (Path(folder) / FEATURES).stat().st_size,
            "event_bytes": (_events_nbytes(folder) - event_bytes) // _TURNS,
        }


def _events_nbytes(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).glob(EVENTS))


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    print(f"{'task':<16}{'features':>9}{'records':>9}{'TensorBoard':>13}{'in all':>9}{'file':>10}{'events':>10}")
    rows = []
    for task, n_records in TASKS.items():
        rows.append(measure(task, n_records))
        task, features, records, tensorboard, record, file, events = rows[-1].values()
        print(
            f"{task:<16}{features:>9,}{records:>9}{tensorboard:>10,.0f} ms{record:>6,.0f} ms"
            f"{file / 1e6:>7.2f} MB{events / 1e6:>7.2f} MB",
            flush=True,
        )
    write_results(arguments.results, "watching", rows)


if __name__ == "__main__":
    main()
