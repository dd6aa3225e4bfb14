"""The search: counts are exact, the recipe's own values come first, and no kill changes what comes of it."""

import dataclasses
import multiprocessing
import os
import signal

import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from siftrl.training.launch import hashed_folder
from siftrl.training.stopping import StopRequest
from siftrl.tuning import search as search_module
from siftrl.tuning.options import SearchOptions
from siftrl.tuning.plan import make_plan
from siftrl.tuning.search import search, study_of
from siftrl.tuning.trial import OWN, RUNS
from siftrl.tuning.trial_runs import RunFailed
from siftrl.tuning.values import Choices

BASE = {"recipe": "set", "env": "Pendulum-v1", "noise": 0.5, "n_timesteps": 1000}
TRIALS = 14  # more than ten, so that the last ones are modelled on the first


@pytest.fixture(scope="module")
def plan():
    return make_plan(BASE, SearchOptions(), {})


def run_search(plan, folder, trials=TRIALS, stop=None, workers=1):
    lines = []
    stop = stop or StopRequest()
    return search(plan, folder, trials, workers=workers, stop=stop, announce=lines.append), lines


def facts(plan, folder):
    """What a search has found, but for its times."""
    trials = study_of(plan, folder).trials
    return [[trial.number, trial.state, trial.params, trial.value, trial.intermediate_values] for trial in trials]


def in_a_fork(act, *args):
    """Do something in a process of its own, which may kill itself; its exit code."""
    process = multiprocessing.get_context("fork").Process(target=act, args=args)
    process.start()
    process.join(60)
    return process.exitcode


def killed_at(write, torn):
    """Make this process kill itself at its n-th write to the journal: before it, or in the middle of the line."""
    append, count = JournalFileBackend.append_logs, iter(range(1_000_000))

    def append_or_die(self, logs):
        if next(count) == write:
            if torn:
                with open(self._file_path, "ab") as file:
                    file.write(b'{"op_code":')
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, logs)

    JournalFileBackend.append_logs = append_or_die


def test_the_recipes_own_values_are_the_first_trial_and_are_run_without_any_parameter(plan, tmp_path, fake_runs):
    study, lines = run_search(plan, tmp_path, trials=1)
    assert [OWN in trial.user_attrs for trial in study.trials] == [True]
    folders = [path.parent.name for path in (tmp_path / RUNS).rglob("evaluations.npz")]
    assert sorted(folders) == sorted(hashed_folder(plan.config({}, seed), tmp_path).name for seed in (1000, 1001))
    assert study.trials[0].params == {
        "density": 0.2, "drop_fraction": 0.05, "learning_rate": 3e-4, "weight_decay": 0.0
    }  # fmt: skip
    assert "the recipe's own" in lines[0]


def test_a_trial_is_worth_the_mean_over_seeds_of_its_last_evaluations(plan, tmp_path, fake_runs):
    study, _ = run_search(plan, tmp_path, trials=1)
    last = [fake_runs(plan.config({}, seed), tmp_path / "x", threads=1).quality() - 1 for seed in (1000, 1001)]
    assert study.trials[0].value == pytest.approx(sum(last) / 2)
    assert study.trials[0].last_step == 2000


def test_finished_trials_count_and_the_same_call_goes_on(plan, tmp_path, fake_runs):
    run_search(plan, tmp_path, trials=3)
    before = facts(plan, tmp_path)
    _, lines = run_search(plan, tmp_path, trials=3)
    assert facts(plan, tmp_path) == before
    assert not lines
    run_search(plan, tmp_path, trials=5)
    assert len(facts(plan, tmp_path)) == 5
    assert facts(plan, tmp_path)[:3] == before


def test_the_number_of_workers_changes_nothing_but_the_time(plan, tmp_path, fake_runs):
    run_search(plan, tmp_path / "one", trials=8)
    run_search(plan, tmp_path / "two", trials=8, workers=2)
    assert facts(plan, tmp_path / "one") == facts(plan, tmp_path / "two")


def test_a_poor_trial_is_pruned_and_its_processes_die(tmp_path, fake_runs):
    plan = make_plan({**BASE, "recipe": "dense"}, SearchOptions(), {})
    study, lines = run_search(plan, tmp_path, workers=2)
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        assert 333 <= trial.last_step < 2000
        assert any(f"pruned at step {trial.last_step:,}" in line for line in lines)
    assert len(fake_runs.killed) >= len(pruned)
    assert OWN not in {name for trial in pruned for name in trial.user_attrs}


def test_no_kill_at_any_moment_loses_a_trial_or_changes_one(plan, tmp_path, fake_runs):
    run_search(plan, tmp_path / "whole")
    expected = facts(plan, tmp_path / "whole")
    n_writes = len((tmp_path / "whole" / "journal.log").read_text().splitlines())

    def search_and_die(folder, write, trials):
        killed_at(write, torn=write % 2)
        run_search(plan, folder, trials)

    # The first writes one by one: there the study and its first trial come to be. Then here and there.
    early, late = dict.fromkeys(range(2, 8), 3), dict.fromkeys(range(9, n_writes, n_writes // 4), TRIALS)
    for write, trials in (early | late).items():
        folder = tmp_path / str(write)
        assert in_a_fork(search_and_die, folder, write, trials) == -signal.SIGKILL
        run_search(plan, folder, trials)
        assert facts(plan, folder) == expected[:trials], write


def test_two_processes_share_a_search(plan, tmp_path, fake_runs):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run_search, args=(plan, tmp_path)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    trials = study_of(plan, tmp_path).trials
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state.is_finished() for trial in trials)
    starts = [path.read_text().split() for path in (tmp_path / RUNS).rglob("starts.txt")]
    assert {len(pids) for pids in starts} == {1}
    assert sum(OWN in trial.user_attrs for trial in trials) == 1


def test_a_trial_that_ends_while_it_is_looked_at_is_not_carried_out_again(plan, tmp_path, fake_runs, monkeypatch):
    run_search(plan, tmp_path, trials=1)
    study = study_of(plan, tmp_path)
    running = study.ask()
    stale = search_module.unfinished(study)
    study.tell(running, 1.0)
    seen = iter([stale])
    monkeypatch.setattr(search_module, "unfinished", lambda study: next(seen, []))
    run_search(plan, tmp_path, trials=3)
    assert [trial.state for trial in study_of(plan, tmp_path).trials] == [TrialState.COMPLETE] * 3
    assert study_of(plan, tmp_path).trials[1].value == 1.0


def test_a_stop_leaves_the_trial_to_the_next_call(plan, tmp_path, fake_runs, monkeypatch):
    stop, stopped = StopRequest(), []
    poll = fake_runs.poll

    def poll_and_stop(self):
        if self.config.learning_rate is not None and self.config.seed == 1001 and not stopped:
            stopped.append(True)
            stop.signal = signal.SIGINT
        return poll(self)

    monkeypatch.setattr(fake_runs, "poll", poll_and_stop)
    run_search(plan, tmp_path / "stopped", stop=stop)
    assert [trial[1] for trial in facts(plan, tmp_path / "stopped")] == [TrialState.COMPLETE, TrialState.RUNNING]
    run_search(plan, tmp_path / "stopped", trials=4)
    run_search(plan, tmp_path / "whole", trials=4)
    assert facts(plan, tmp_path / "stopped") == facts(plan, tmp_path / "whole")


def test_a_trial_whose_run_breaks_fails_and_the_search_goes_on(plan, tmp_path, fake_runs, monkeypatch):
    poll = fake_runs.poll
    monkeypatch.setattr(fake_runs, "poll", lambda self: 3 if (self.config.learning_rate or 0) > 1e-3 else poll(self))
    study, lines = run_search(plan, tmp_path, trials=8)
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert failed
    assert all(trial.params["learning_rate"] > 1e-3 for trial in failed)
    assert len(study.trials) == 8
    assert any("failed: error: it broke" in line for line in lines)


def test_where_the_recipes_own_values_fail_the_search_ends_and_tries_them_again(plan, tmp_path, fake_runs, monkeypatch):
    poll = fake_runs.poll
    monkeypatch.setattr(fake_runs, "poll", lambda self: 2)
    with pytest.raises(RunFailed, match="the recipe's own values cannot be trained with: error: it broke"):
        run_search(plan, tmp_path, trials=2)
    monkeypatch.setattr(fake_runs, "poll", poll)
    study, _ = run_search(plan, tmp_path, trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert [OWN in trial.user_attrs for trial in study.trials] == [True, True, False]


def test_another_search_of_the_same_name_is_refused(plan, tmp_path, fake_runs):
    run_search(plan, tmp_path, trials=1)
    other = make_plan({**BASE, "noise": 0.9}, SearchOptions(), {})
    with pytest.raises(ValueError, match=r"was begun with noise 0\.5, not 0\.9: give the options"):
        run_search(other, tmp_path, trials=1)


def test_parameters_that_come_again_are_not_trained_again(tmp_path, fake_runs):
    plan = make_plan(BASE, SearchOptions(), {"width": Choices((32, 64))}, ["density", "period_updates", "drop_fraction"])
    plan = dataclasses.replace(plan, space={"width": plan.space["width"]})
    study, _ = run_search(plan, tmp_path, trials=8)
    first = {}
    for trial in study.trials[1:]:
        assert trial.state == TrialState.COMPLETE
        assert trial.value == first.setdefault(trial.params["width"], trial.value)
    starts = [len(path.read_text().split()) for path in tmp_path.rglob("starts.txt")]
    assert starts == [1] * (plan.tuning_seeds * (1 + len(first)))


def test_a_disk_that_is_full_ends_the_search_and_costs_no_trial(plan, tmp_path, fake_runs, monkeypatch):
    poll = fake_runs.poll
    monkeypatch.setattr(fake_runs, "poll", lambda self: 1 if self.config.learning_rate else poll(self))
    with pytest.raises(RunFailed, match="error: it broke"):
        run_search(plan, tmp_path / "full", trials=4)
    monkeypatch.setattr(fake_runs, "poll", poll)
    run_search(plan, tmp_path / "full", trials=4)
    run_search(plan, tmp_path / "whole", trials=4)
    assert facts(plan, tmp_path / "full") == facts(plan, tmp_path / "whole")
