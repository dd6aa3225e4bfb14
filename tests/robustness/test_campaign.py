"""A campaign: what is recorded is not measured again, and rows are named as these agents differ."""

import pytest
from siftrl.robustness import campaign as campaigns
from siftrl.robustness.campaign import Campaign
from siftrl.robustness.measurements import Measurements
from siftrl.robustness.subjects import find_subjects, method_names
from siftrl.training.disturbance import Disturbance

CELLS = [Disturbance("bias", 1), Disturbance("fgsm", 5)]


def carry_out(subjects, path, cells=CELLS, **options):
    told = []
    settings = {"episodes": 2, "seed": 0, "features": "all", "device": "cpu", "weights_only": False, **options}
    campaign = Campaign(Measurements(path), **settings)
    methods = method_names([subject.config for subject in subjects])
    rows = []
    for subject, method in zip(subjects, methods, strict=True):
        rows += campaign.carry_out(subject, method, cells, lambda what, n_done: told.append(n_done))
    assert sum(told) == len(cells) * len(subjects)
    return rows


def test_a_campaign_that_was_stopped_goes_on_to_the_same_rows(runs, tmp_path, monkeypatch):
    subjects = find_subjects([runs])[1:]
    whole = carry_out(subjects, tmp_path / "whole.csv")
    cells = [("random", "0"), ("still", "0"), ("clean", "0"), ("bias", "1"), ("fgsm", "5")]
    assert [(row["corruption"], row["severity"]) for row in whole] == 2 * cells
    assert [row["method"] for row in whole] == ["", "", *["sac dense"] * 3, "", "", *["sac set"] * 3]

    with monkeypatch.context() as patch:
        patch.setattr(campaigns.Trial, "disturbed", _raising_at(3, campaigns.Trial.disturbed))
        with pytest.raises(InterruptedError):
            carry_out(subjects, tmp_path / "stopped.csv")
    assert len(Measurements(tmp_path / "stopped.csv").rows) == 6  # the references, and two of each agent
    assert carry_out(subjects, tmp_path / "stopped.csv") == whole


def _raising_at(call, method):
    calls = []

    def disturbed(self, disturbance):
        calls.append(disturbance)
        if len(calls) == call:
            raise InterruptedError
        return method(self, disturbance)

    return disturbed


def test_nothing_is_measured_twice_but_under_other_settings(runs, tmp_path, monkeypatch):
    subjects, path = find_subjects([runs])[:1], tmp_path / "results.csv"
    rows = carry_out(subjects, path)
    with monkeypatch.context() as patch:
        patch.setattr(campaigns, "Trial", None)
        patch.setattr(campaigns, "return_without_agent", None)
        assert carry_out(subjects, path) == rows
        assert carry_out(subjects, path, cells=CELLS[1:]) == [*rows[:3], rows[4]]
        with pytest.raises(TypeError):
            carry_out(subjects, path, episodes=1)
    carry_out(subjects, path, episodes=1)
    assert len(Measurements(path).rows) == 2 * len(rows)


def test_methods_are_named_as_the_agents_at_hand_differ(runs, save_agent, tmp_path):
    subjects = find_subjects([runs])[:1]
    carry_out(subjects, tmp_path / "results.csv", cells=[])
    wide = find_subjects([save_agent(tmp_path / "wide", recipe="dense", width=16)])
    rows = carry_out([*subjects, *wide], tmp_path / "results.csv", cells=[])
    assert [row["method"] for row in rows if row["corruption"] == "clean"] == ["sac dense, width 8", "sac dense, width 16"]
