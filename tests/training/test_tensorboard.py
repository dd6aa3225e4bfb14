"""What stands in TensorBoard's files, as TensorBoard itself reads them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from siftrl.training.config import RunConfig
from siftrl.training.feature_history import load_features
from siftrl.training.feature_picture import feature_picture
from siftrl.training.launch import experiment
from siftrl.training.run import prepare
from siftrl.training.tensorboard import write_features, write_options
from stable_baselines3.common.logger import configure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

OPTIONS = {"env": "InvertedPendulum-v5", "noise": 0.5, "recipe": "set", "width": 8, "eval_episodes": 1, "eval_freq": 20}
HISTOGRAMS = {f"{quantity}_per_{kind}_feature" for quantity in ("links", "strength") for kind in ("real", "noise")}


def events(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    return accumulator.Reload()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run whose log is also printed."""
    config = RunConfig(**OPTIONS, n_timesteps=50, density=0.3, verbose=2, log_folder=str(tmp_path_factory.mktemp("logs")))
    return prepare(config).carry_out().folder


def hparams(folder):
    """The columns of the HParams tab, its metrics, and the options of the run."""
    content = events(folder).summary_metadata
    parts = {tag: HParamsPluginData.FromString(content[tag].plugin_data.content) for tag in content if "_hparams_" in tag}
    columns = parts["_hparams_/experiment"].experiment
    options = parts["_hparams_/session_start_info"].session_start_info.hparams
    return (
        {info.name for info in columns.hparam_infos},
        [info.name.tag for info in columns.metric_infos],
        {name: getattr(value, value.WhichOneof("kind")) for name, value in options.items()},
    )


def test_each_record_has_a_picture_and_histograms(run):
    accumulator = events(run)
    history = load_features(run)
    for net in ("actor", "qf0"):
        pictures = accumulator.Images(f"features/{net}")
        assert [picture.step for picture in pictures] == history.timesteps.tolist() == [20, 40, 50]
        for number, picture in enumerate(pictures):
            expected = feature_picture(history.rows(range(number + 1)), net)
            shown = Image.open(io.BytesIO(picture.encoded_image_string))
            assert shown.convert("RGB").tobytes() == expected.convert("RGB").tobytes()
            assert (picture.width, picture.height) == expected.size
        for name in HISTOGRAMS:
            last = accumulator.Histograms(f"features/{net}/{name}")[-1]
            assert (last.step, last.histogram_value.num) == (50, 4)
        value = accumulator.Histograms(f"features/{net}/links_per_real_feature")[-1].histogram_value
        assert value.sum == history.links[net][-1, :4].sum()
        value = accumulator.Histograms(f"features/{net}/strength_per_noise_feature")[-1].histogram_value
        assert value.sum == pytest.approx(history.strength[net][-1, 4:].sum())
    assert set(accumulator.Tags()["histograms"]) == {
        f"features/{net}/{name}" for net in ("actor", "qf0") for name in HISTOGRAMS
    }


def test_the_options_of_a_run_and_its_returns_are_compared(run):
    columns, metrics, options = hparams(run)
    expected = experiment(RunConfig(**OPTIONS, n_timesteps=50, density=0.3))
    assert columns == set(expected), "those that are not given too"
    assert options == {name: value for name, value in expected.items() if value is not None}
    scalars = events(run).Tags()["scalars"]
    assert metrics == ["eval/mean_reward", "eval/final_return"]
    assert set(metrics) <= set(scalars)


def test_other_formats_are_left_alone(run, tmp_path):
    logger = configure(str(tmp_path), ["csv", "json", "log"])
    write_features(logger, load_features(run))
    write_options(logger, RunConfig())
    logger.record("eval/mean_reward", 1.0)
    logger.dump(1)
    assert (tmp_path / "progress.csv").read_text() == "eval/mean_reward\n1.0\n"


def test_without_knowing_which_are_real_all_features_are_counted_together(run, tmp_path):
    history = load_features(run)
    strength = {net: values + np.float32([np.nan, np.inf] * 4) for net, values in history.strength.items()}
    unknown = replace(history, relevant=np.empty((3, 0), np.int64), strength=strength)
    logger = configure(str(tmp_path), ["tensorboard"])
    write_features(logger, unknown)
    logger.close()
    # Strengths that are no numbers have no histogram.
    assert set(events(tmp_path).Tags()["histograms"]) == {
        "features/actor/links_per_feature",
        "features/qf0/links_per_feature",
    }
