"""The program of a launched run: what it does before it trains, and how it ends where something fails it."""

import io
import signal
import threading

import pytest
from siftrl.training import launched
from siftrl.training.config import RunConfig
from siftrl.training.divergence import Diverged
from siftrl.training.folder import FolderLock
from siftrl.training.resume import ForeignStateError


class FailingRun:
    """Takes the place of a run."""

    agent = None
    error = None

    def carry_out(self):
        raise self.error


def standard_input(config):
    return io.StringIO(config.to_json().replace("\n", "") + "\n")


@pytest.fixture(autouse=True)
def _nothing_of_a_process(monkeypatch):
    """The options come in, and neither threads nor signals go out."""
    monkeypatch.setattr("sys.stdin", standard_input(RunConfig(env="Pendulum-v1")))
    monkeypatch.setattr(launched._Attended, "_watch", lambda self: None)
    monkeypatch.setattr(launched, "_note_steps", lambda run, over: None)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(28, "No space left on device"), 1, "error: cannot write to"),
        (MemoryError("2 GB"), 1, "error: memory ran out: 2 GB. What was saved before is whole."),
        (Diverged("training has diverged"), 3, "error: training has diverged. What was saved before is whole."),
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


def test_options_that_cannot_work_are_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", standard_input(RunConfig(env="Pendulm-v1")))
    assert launched.main(tmp_path) == 2
    errors = capsys.readouterr().err
    assert errors == "error: env_id must be a registered environment, not 'Pendulm-v1'. Did you mean Pendulum-v1?\n"


def test_a_folder_is_waited_for(tmp_path):
    lock, found = FolderLock(tmp_path), []
    waiting = threading.Thread(target=lambda: found.append(launched._locked(tmp_path)), daemon=True)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    lock.release()
    waiting.join(60)
    found[0].release()


def test_events_elsewhere_that_a_killed_run_left_are_removed(tmp_path):
    config = RunConfig(env="Pendulum-v1", recipe="dense", buffer_size=10, verbose=0, tensorboard_log=str(tmp_path / "tb"))
    folder, events = tmp_path / "sac-dense" / "run", tmp_path / "tb" / "sac-dense" / "run"
    for path in (folder / "config.json", events / "events.out.tfevents.1"):
        path.parent.mkdir(parents=True)
        path.write_text("half")
    launched._prepared(config, FolderLock(folder))
    (own,) = events.iterdir()
    assert own.read_bytes() != b"half"
