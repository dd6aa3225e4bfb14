"""Whole runs that are stopped and go on: at the end there is no bit that tells them from one that was not."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from siftrl.agents.presets import build_callbacks
from siftrl.agents.sift import Sift
from siftrl.experiments.kill_and_resume import differences
from siftrl.sparse.recipes import RECIPES
from siftrl.training import run as runs
from siftrl.training.checkpoint import checkpoints
from siftrl.training.config import RunConfig
from siftrl.training.run import prepare, resume
from stable_baselines3.common.callbacks import BaseCallback

STEPS = 90  # an evaluation is due there
QUICK = {
    "env": "InvertedPendulum-v5",
    "noise": 0.5,
    "n_timesteps": STEPS,
    "recipe": "anf",  # one whose replay may be small
    "buffer_size": 75,  # the oldest rows are written over before the end
    "eval_freq": 45,
    "eval_episodes": 2,
    "save_freq": 35,
    "verbose": 0,
    "device": "cpu",
}
CASES = {
    "anf": {"recipe": "anf"},
    "ds, TD3, Humanoid": {"recipe": "ds", "algo": "td3", "env": "Humanoid-v5"},
    "rigl, fresh noise, Pendulum": {"recipe": "rigl", "replay_noise": "fresh", "env": "Pendulum-v1"},
    "a gradient window": {"recipe": "anf-gradient"},
    "places never tried": {"recipe": "itop"},
    "a density that falls": {"recipe": "granet", "n_timesteps": 150},  # updates are planned to begin after 100
    "dense, no noise": {"recipe": "dense", "noise": 0.0},
    "features permuted": {"recipe": "set", "permute_every": 25, "on_permute": "keep"},
    "replay cleared": {"recipe": "set", "permute_every": 25, "on_permute": "clear"},
    "three environments": {"recipe": "set", "n_envs": 3},
    "copies, permuted": {"recipe": "set", "noise_distribution": "copies", "permute_every": 25},
    "paper": {"recipe": "anf", "hparams": "paper", "algo": "td3"},
}


@pytest.fixture(scope="module", autouse=True)
def early():
    """Updates and rewirings start early, so that a short run has several."""

    def quick(make):
        recipe = make()
        if not recipe.rewires:
            return make
        return lambda: replace(recipe, schedule=replace(recipe.schedule, period_updates=20))

    def arguments(config, env, planned_timesteps):
        policy_kwargs, algorithm_kwargs = agent_arguments(config, env, planned_timesteps)
        policy_kwargs["net_arch"] = [16, 16]
        return policy_kwargs, {**algorithm_kwargs, "learning_starts": 20, "batch_size": 8}

    agent_arguments = runs.agent_arguments
    with pytest.MonkeyPatch.context() as patch:
        for name, make in list(RECIPES.items()):
            patch.setitem(RECIPES, name, quick(make))
        patch.setattr(runs, "agent_arguments", arguments)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, early):
    """The folder of a quick run that was not stopped."""
    return carry_out(prepare(RunConfig(**QUICK, log_folder=str(tmp_path_factory.mktemp("undisturbed")))))


class StopAt(BaseCallback):
    """Asks to stop in the step that reaches a count, as Ctrl-C would."""

    def __init__(self, stop, steps):
        super().__init__()
        self.stop, self.steps = stop, steps

    def _on_step(self):
        if self.num_timesteps >= self.steps:
            self.stop.signal = 2
        return True


def carry_out(run, stop_at=None):
    if stop_at is not None:
        callbacks = run._callbacks
        run._callbacks = lambda: [StopAt(run.stop, stop_at), *callbacks()]
    outcome = run.carry_out()
    assert (outcome.stopped_by is None) == (stop_at is None)
    return outcome.folder


def stopped_and_resumed(options, log_folder, stops, **given):
    folder = carry_out(prepare(RunConfig(**options, log_folder=str(log_folder))), stops[0])
    for stop in [*stops[1:], None]:
        folder = carry_out(resume({"trained_agent": str(folder), **given}), stop)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_was_stopped_ends_to_the_bit_as_one_that_was_not(case, undisturbed, tmp_path):
    options = {**QUICK, **CASES[case]}
    whole = undisturbed
    if options != QUICK:
        whole = carry_out(prepare(RunConfig(**options, log_folder=str(tmp_path / "whole"))))
    # In a period; where an evaluation is due, which then still is; and in the evaluation after the last step.
    stopped = stopped_and_resumed(options, tmp_path / "stopped", [29, 45, STEPS])
    assert differences(whole, stopped) == []


def test_returns_over_several_steps_go_on(tmp_path, monkeypatch):
    arguments = runs.agent_arguments

    def over_three_steps(*args):
        policy_kwargs, algorithm_kwargs = arguments(*args)
        return policy_kwargs, {**algorithm_kwargs, "n_steps": 3}

    monkeypatch.setattr(runs, "agent_arguments", over_three_steps)
    run = prepare(RunConfig(**QUICK, log_folder=str(tmp_path / "whole")))
    assert run.agent.replay_buffer.n_steps == 3
    assert differences(carry_out(run), stopped_and_resumed(QUICK, tmp_path / "stopped", [61])) == []


@pytest.mark.parametrize("options", [{"algo": "sac"}, {"algo": "td3", "n_envs": 3}])
def test_what_an_agent_has_sifted_and_what_it_is_examining_go_on(options, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "build_callbacks", lambda *_, **__: [Sift(period_steps=100, window_steps=150)])
    options = {**QUICK, **options, "recipe": "sift", "n_timesteps": 260, "buffer_size": 150}
    run = prepare(RunConfig(**options, log_folder=str(tmp_path / "whole")))
    whole = carry_out(run)
    assert run.method[0].accepted.any()
    # Before the first examination, between the first and the second, where that is due, and after it.
    assert differences(whole, stopped_and_resumed(options, tmp_path / "stopped", [57, 150, 200, 230])) == []


def test_sensors_that_have_moved_are_recognised_in_a_run_that_goes_on_too(tmp_path, monkeypatch):
    def late(*args):
        policy_kwargs, algorithm_kwargs = arguments(*args)
        return policy_kwargs, {**algorithm_kwargs, "learning_starts": 300}

    class Noting(Sift):
        def _on_rollout_end(self):
            before = self.n_experiments
            super()._on_rollout_end()
            if self.n_experiments > before:
                suspected_at.append(self.num_timesteps)

    suspected_at = []
    arguments = runs.agent_arguments
    monkeypatch.setattr(runs, "agent_arguments", late)
    monkeypatch.setattr(runs, "build_callbacks", lambda *_, **__: [Noting(300, 600, experiment_steps=250)])
    options = {
        **QUICK,
        "env": "Hopper-v5",
        "recipe": "sift",
        "permute_every": 600,
        "n_timesteps": 1_170,
        "buffer_size": 2_000,
    }
    options |= {"noise": 0.9, "eval_freq": 500, "eval_episodes": 1, "save_freq": 500}
    run = prepare(RunConfig(**options, log_folder=str(tmp_path / "whole")))
    whole = carry_out(run)
    assert run.method[0].n_moves == 1
    assert run.method[0].n_recognised >= 6  # of 11: for both experiments there are less than 300 steps
    assert len(run.agent.replay_buffer.own_orders) == 1
    (noticed,) = suspected_at
    assert 600 < noticed < 900, "by its forecast, before the examination that is due"
    # Before a move is noticed, there, just after that, in the experiment, where it ends, and after it.
    stops = [noticed - 1, noticed, noticed + 1, noticed + 100, noticed + 250, noticed + 251, noticed + 260]
    assert differences(whole, stopped_and_resumed(options, tmp_path / "stopped", stops)) == []


@pytest.mark.parametrize("options", [{"algo": "sac"}, {"algo": "td3", "n_envs": 3}, {"algo": "td3", "hparams": "paper"}])
def test_a_replay_that_shrinks_goes_on_and_so_do_returns_that_lengthen(options, tmp_path, monkeypatch):
    def early(preset, planned_steps, **options):
        returns, capacity = build_callbacks(preset, planned_steps, **options)
        assert returns.after_steps == 18
        returns.after_steps, capacity.period_steps, capacity.threshold, capacity.min_size = 100, 30, 0.0, 65
        return [returns, capacity]

    monkeypatch.setattr(runs, "build_callbacks", early)
    options = {**QUICK, **options, "n_timesteps": 180, "recipe": "rlx2", "buffer_size": 70}
    run = prepare(RunConfig(**options, log_folder=str(tmp_path / "whole")))
    whole = carry_out(run)
    assert run.agent.replay_buffer.n_steps == 3
    assert not run.agent.replay_buffer.full, "it shrinks at 90, 120, 150 and 180 steps"
    # Before it shrinks, where it does, where the returns have just lengthened, and later.
    stopped = stopped_and_resumed(options, tmp_path / "stopped", [61, 90, 101, 165])
    assert differences(whole, stopped) == []


def test_the_comparison_sees_what_another_seed_changes(undisturbed, tmp_path):
    unlike = differences(undisturbed, carry_out(prepare(RunConfig(**QUICK, seed=1, log_folder=str(tmp_path)))))
    expected = {
        "0.monitor.csv",
        "results",
        "replay/rewards.npy",
        "state/generators/torch",
        "best/policy.pth/actor.mu.weight",
    }
    assert expected <= set(unlike)
    assert any(name.startswith("tensorboard/") for name in unlike)
    assert any("exp_avg" in name or "optimizer.pth/state" in name for name in unlike)


def test_an_older_checkpoint_will_do(undisturbed, tmp_path):
    folder = carry_out(prepare(RunConfig(**QUICK, log_folder=str(tmp_path / "stopped"))), 60)
    newest, older = checkpoints(folder)
    assert (newest.name, older.name) == ("checkpoint_60.zip", "checkpoint_35.zip")
    newest.write_bytes(newest.read_bytes()[:-1])
    assert differences(undisturbed, carry_out(resume({"trained_agent": str(folder)}))) == []


def test_a_prolonged_run_keeps_its_schedules_however_often_it_is_stopped(tmp_path):
    options = {**QUICK, **CASES["a density that falls"]}
    first = prepare(RunConfig(**options, log_folder=str(tmp_path / "whole")))
    whole = carry_out(first)
    prolonged = resume({"trained_agent": str(whole), "n_timesteps": 60})
    assert prolonged.policy_kwargs == first.policy_kwargs
    assert carry_out(prolonged) == whole
    folder = carry_out(prepare(RunConfig(**options, log_folder=str(tmp_path / "stopped"))))
    carry_out(resume({"trained_agent": str(folder), "n_timesteps": 60}), 190)
    carry_out(resume({"trained_agent": str(folder)}))
    assert differences(whole, folder) == []


class Drift(gym.Env):
    """A task of nobody's, whose state could be anywhere."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), 0.0, False, False, {}


def test_a_task_whose_state_cannot_be_taken_starts_a_new_episode_and_says_so(tmp_path, capsys):
    if "Drift-v0" not in gym.registry:
        gym.register("Drift-v0", Drift, max_episode_steps=20)
    options = {**QUICK, "env": "Drift-v0"}
    folder = stopped_and_resumed(options, tmp_path, [57])
    warnings = capsys.readouterr().err.splitlines()
    assert warnings == [
        "warning: the state of Drift-v0 cannot be saved: its episode is started anew, and the run will not end as it "
        "would have."
    ]
    lengths = [int(line.split(",")[1]) for line in (folder / "0.monitor.csv").read_text().splitlines()[2:]]
    assert lengths == [20] * 3  # two of 57 steps, one of the other 33
