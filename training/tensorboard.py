"""What TensorBoard shows of a run beyond SB3's scalars: pictures and histograms of its features, and its options."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from .config import RunConfig
from .feature_history import FeatureHistory
from .feature_picture import feature_picture
from .launch import experiment
from .options import value_types

_METRICS = ("eval/mean_reward", "eval/final_return")
_NETWORKS = ("actor", "qf0")  # the second critic is like the first
_HIGHEST = 1e19  # TensorBoard's histograms end at 1e20; NaN is left out too


def write_features(logger: Logger, history: FeatureHistory) -> None:
    """Write the picture of the actor's and the first critic's features, and histograms of its last record.

    Keys, where ``<net>`` is "actor" or "qf0":

    * ``features/<net>``: image, see :func:`~siftrl.training.feature_picture.feature_picture`;
    * ``features/<net>/links_per_{real,noise}_feature`` and ``features/<net>/strength_per_{real,noise}_feature``: histograms
      over features of the links and of the sum of their absolute weights; ``…_per_feature`` where it is not known which are
      real.

    They go to TensorBoard alone: other formats of SB3's logger take no pictures.

    Args:
        logger: of the agent; one that does not write to TensorBoard takes no time.
        history: up to now.
    """
    step = int(history.timesteps[-1])
    for writer in _writers(logger):
        for network in _NETWORKS:
            writer.file_writer.add_summary(_image(f"features/{network}", feature_picture(history, network)), step)
            for name, values in _histograms(history, network):
                writer.add_histogram(f"features/{network}/{name}", values, step)
        writer.flush()


def write_options(logger: Logger, config: RunConfig) -> None:
    """Write the options that decide what a run finds for TensorBoard's HParams tab, whose metrics are the returns.

    Its columns are all of these options: one that is not given is blank in the run's row. The metrics are the last values of
    ``eval/mean_reward`` and ``eval/final_return``.

    Args:
        logger: of the agent; nothing is written where it does not write to TensorBoard.
        config: of the run.
    """
    options, kinds = experiment(config), value_types(RunConfig)
    metrics = dict.fromkeys(_METRICS, 0.0)
    # TensorBoard takes the columns from whichever run it finds first.
    columns, _, _ = hparams({name: kinds[name]() for name in options}, metrics)
    _, start, end = hparams(options, metrics)
    for writer in _writers(logger):
        for summary in (columns, start, end):
            writer.file_writer.add_summary(summary)
        writer.flush()


def _writers(logger: Logger) -> list[SummaryWriter]:
    return [output.writer for output in logger.output_formats if isinstance(output, TensorBoardOutputFormat)]


def _image(name: str, picture: Image.Image) -> Summary:
    # SB3's way makes three bytes of each pixel: that takes twice the time and twice the room.
    file = io.BytesIO()
    picture.save(file, "PNG")
    image = Summary.Image(width=picture.width, height=picture.height, colorspace=3, encoded_image_string=file.getvalue())
    return Summary(value=[Summary.Value(tag=name, image=image)])


def _histograms(history: FeatureHistory, network: str) -> Iterator[tuple[str, np.ndarray]]:
    for kind, which in _kinds(history).items():
        for quantity in ("links", "strength"):
            values = getattr(history, quantity)[network][-1][which]
            values = values[values < _HIGHEST]
            if len(values):
                yield f"{quantity}_per_{kind}", values


def _kinds(history: FeatureHistory) -> dict[str, np.ndarray | slice]:
    """Which features are of each kind in the last record."""
    real = history.relevant[-1]
    if not len(real):
        return {"feature": slice(None)}
    return {"real_feature": real, "noise_feature": np.setdiff1d(np.arange(history.n_features), real)}
