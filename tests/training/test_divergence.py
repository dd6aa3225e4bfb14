"""Divergence: noticed, told in one sentence, and never saved."""

import numpy as np
import pytest
import torch
from siftrl.training.config import RunConfig
from siftrl.training.divergence import Diverged, check_weights
from siftrl.training.run import prepare

OPTIONS = {"env": "Pendulum-v1", "noise": 0.5, "recipe": "dense", "width": 16, "buffer_size": 1000, "n_timesteps": 120}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_told_of(tmp_path, value):
    run = prepare(RunConfig(**OPTIONS, learning_rate=0.25, eval_freq=0, verbose=0, log_folder=str(tmp_path)))
    check_weights(run.agent)
    with torch.no_grad():
        run.agent.critic.qf0[0].weight[3, 1] = value
    with pytest.raises(Diverged, match=r"after 0 environment steps: .* learning-rate must be smaller than 0\.25$"):
        check_weights(run.agent)
    with pytest.raises(Diverged):
        run.save()
    assert not list(run.folder.glob("*.zip"))


@pytest.mark.parametrize("algo", ["sac", "td3"])
def test_a_run_that_diverges_says_so_and_writes_no_model(tmp_path, algo, monkeypatch):
    config = RunConfig(**OPTIONS, algo=algo, eval_freq=50, eval_episodes=1, verbose=0, log_folder=str(tmp_path))
    run = prepare(config)

    def spoil(self, *_args, **_kwargs):
        with torch.no_grad():
            for weights in self.policy.parameters():
                weights.fill_(float("nan"))

    monkeypatch.setattr(type(run.agent), "train", spoil)
    with pytest.raises(Diverged, match="training has diverged"):
        run.carry_out()
    # From the evaluation before the first update.
    assert [path.name for path in run.folder.glob("*.zip")] == ["best_model.zip"]
    with np.load(run.folder / "evaluations.npz") as evaluations:
        assert list(evaluations["timesteps"]) == [50, 100]
