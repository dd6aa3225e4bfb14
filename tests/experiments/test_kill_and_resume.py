"""Killed processes: a real run that is killed, also while it saves, ends to the bit as one that was not."""

import random

from siftrl.experiments.kill_and_resume import checkpoints, differences, run_killed, run_through

OPTIONS = (
    "--env Pendulum-v1 --recipe set --noise 0.5 -n 240 --learning-starts 20 --width 32 --eval-freq 70 --eval-episodes 1 "
    "--save-freq 30 --threads 1"
)


def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path):
    options = [*OPTIONS.split(), "--verbose", "0"]
    undisturbed = run_through(options, tmp_path / "undisturbed")
    # Killed after the first checkpoint, then while another one is being written.
    killed = run_killed(options, tmp_path / "killed", kills=2, rng=random.Random(42))
    assert killed.kills == 2
    assert killed.while_saving >= 1
    assert (killed.folder / "command.txt").read_text().count(" -i ") == 2
    assert differences(undisturbed, killed.folder) == []
    assert not list(killed.folder.glob(".*.tmp"))
    assert len(checkpoints(killed.folder)) == 2
