"""A run: what it writes about itself."""

from siftrl.training.config import RunConfig
from siftrl.training.run import prepare


def test_commands_are_kept_in_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    config = RunConfig(env="Pendulum-v1", noise=0.5, recipe="dense", width=16, buffer_size=100, log_folder=str(tmp_path))
    run = prepare(config, command="siftrl-train -f läufe")
    monkeypatch.setattr("io.text_encoding", lambda encoding, _level=2: encoding or "ascii")
    run.record("siftrl-train -i läufe/1")
    text = (run.folder / "command.txt").read_bytes().decode()
    assert text == "siftrl-train -f läufe\nsiftrl-train -i läufe/1\n"
