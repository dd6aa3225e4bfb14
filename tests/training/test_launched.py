"""The program of a launched run: how it ends where something fails it."""

import io
import signal

import pytest
from siftrl.training import launched
from siftrl.training.config import RunConfig
from siftrl.training.divergence import Diverged
from siftrl.training.resume import ForeignStateError


class FailingRun:
    """Takes the place of a run."""

    agent = None
    error = None

    def carry_out(self):
        raise self.error


@pytest.fixture(autouse=True)
def _nothing_of_a_process(monkeypatch):
    """The options come in, and neither threads nor signals go out."""
    monkeypatch.setattr("sys.stdin", io.StringIO(RunConfig(env="Pendulum-v1").to_json().replace("\n", "") + "\n"))
    monkeypatch.setattr(launched._Attended, "_watch", lambda self: None)
    monkeypatch.setattr(launched, "_note_steps", lambda run, over: None)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(28, "No space left on device"), 1, "error: cannot write to"),
        (MemoryError("2 GB"), 1, "error: memory ran out: 2 GB. What was saved before is whole."),
        (Diverged("training has diverged"), 1, "error: training has diverged. What was saved before is whole."),
        (ForeignStateError("the state is another run's"), 2, "error: the state is another run's"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "stopped at once"),
    ],
)
def test_what_fails_a_run_is_one_sentence_and_a_code(error, code, sentence, tmp_path, capsys, monkeypatch):
    run = FailingRun()
    run.error = error
    monkeypatch.setattr(launched, "_prepared", lambda config, lock: run)
    assert launched.main(tmp_path) == code
    errors = capsys.readouterr().err
    assert errors.startswith(sentence)
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(("error", "code"), [(OSError("full"), 1), (MemoryError("2 GB"), 1), (ValueError("wrong"), 2)])
def test_what_fails_its_start_too(error, code, tmp_path, capsys, monkeypatch):
    def prepared(config, lock):
        raise error

    monkeypatch.setattr(launched, "_prepared", prepared)
    assert launched.main(tmp_path) == code
    assert len(capsys.readouterr().err.splitlines()) == 1
