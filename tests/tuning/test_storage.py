"""The journal: readable after any kill."""

import optuna
import pytest
from siftrl.tuning.storage import JOURNAL, cut_broken_line, open_study
from siftrl.tuning.values import Range

SPACE = {"density": Range(0.01, 0.5)}


def opened(folder):
    return open_study(folder, SPACE, sampler_seed=0, warmup_steps=100)


@pytest.mark.parametrize(
    ("content", "whole"), [(b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb\nc", b"a\nb\n"), (b"broken", b""), (b"\n", b"\n")]
)
def test_only_whole_lines_stay(tmp_path, content, whole):
    path = tmp_path / "file"
    path.write_bytes(content)
    cut_broken_line(path)
    assert path.read_bytes() == whole


def test_a_study_with_a_broken_last_line_goes_on(tmp_path):
    study = opened(tmp_path)
    study.tell(study.ask(), 1.0)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code":5,"work')
    study = opened(tmp_path)
    study.tell(study.ask(), 2.0)
    assert [trial.value for trial in opened(tmp_path).trials] == [1.0, 2.0]


def test_the_study_maximises_and_prunes_below_the_median(tmp_path):
    study = opened(tmp_path)
    for number in range(5):
        trial = study.ask()
        for step in (50, 150):
            trial.report(float(number), step)
        study.tell(trial, float(number))
    assert study.best_value == 4.0
    poor, fair = study.ask(), study.ask()
    poor.report(1.0, 50)
    assert not poor.should_prune(), "too early to tell"
    poor.report(1.0, 150)
    fair.report(3.0, 150)
    assert poor.should_prune()
    assert not fair.should_prune()
    study.tell(poor, state=optuna.trial.TrialState.PRUNED)
