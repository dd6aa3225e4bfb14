"""A task of the user's own, registered by a module: trained, evaluated and tried by the commands as they say themselves."""

import shlex
import sys

import pytest
from siftrl import evaluate, train
from siftrl.robustness import command as robustness

PLANT = """
import gymnasium as gym
import numpy as np


class Plant(gym.Env):
    observation_space, action_space = gym.spaces.Box(-np.inf, np.inf, (12,)), gym.spaces.Box(-1, 1, (1,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.level, self.n_steps = 0.0, 0
        return self.sensors(), {}

    def step(self, action):
        self.level = 0.5 * self.level + float(action[0])
        self.n_steps += 1
        return self.sensors(), -abs(self.level - 1), False, self.n_steps == 20, {}

    def sensors(self):
        sensors = self.np_random.normal(size=12).astype(np.float32)
        sensors[4] = self.level
        return sensors


gym.register("Plant-v0", Plant)
"""


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """The id of a task with twelve sensors, of which the fifth matters."""
    (tmp_path / "plant.py").write_text(PLANT)
    monkeypatch.syspath_prepend(tmp_path)
    yield "plant:Plant-v0"
    sys.modules.pop("plant", None)


def test_an_own_task_is_trained_evaluated_and_tried(plant, tmp_path, capsys):
    argv = ["--env", plant, "--noise", "0", "-n", "310", "--learning-starts", "300", "-f", str(tmp_path / "logs")]
    assert train.main([*argv, "--save-freq", "0"]) == 0
    printed = capsys.readouterr().out
    assert "The actor reads 1 of 12 features: 4\n" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("Evaluate it: python evaluate.py ")]
    run, *flags = shlex.split(line.partition("evaluate.py ")[2])
    assert flags == ["--env", plant]
    assert evaluate.main([run, *flags, "--episodes", "1"]) == 0
    assert "The actor reads 1 of 12 features: 4\n" in capsys.readouterr().out
    tried = [run, "--corruptions", "bias", "--severities", "1", "--episodes", "1", "-o", str(tmp_path / "tried")]
    assert robustness.main(tried) == 2
    assert f"add --env {plant}" in capsys.readouterr().err
    assert robustness.main([*tried, *flags]) == 0
