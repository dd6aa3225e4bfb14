"""What commands do when something goes wrong."""

import errno

import pytest
from siftrl.training.command import carry_out

FULL = OSError(errno.ENOSPC, "No space left on device", "logs/table.csv")


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("noise must be below 1."), 2, "error: noise must be below 1."),
        (FULL, 1, "error: logs/table.csv: No space left on device. The rest is whole."),
        (OSError("encoder gave up"), 1, "error: encoder gave up. The rest is whole."),
        (MemoryError("9 GiB"), 1, "error: memory ran out: 9 GiB. The rest is whole."),
        (MemoryError(), 1, "error: memory ran out. The rest is whole."),
        (KeyboardInterrupt(), 130, "stopped. The rest is whole."),
    ],
)
def test_what_goes_wrong_gets_one_line_and_a_status(error, status, line, capsys):
    assert carry_out("siftrl-x", raising(error), kept="The rest is whole.") == status
    assert capsys.readouterr() == ("", f"siftrl-x: {line}\n")


def test_a_defect_is_not_hidden():
    with pytest.raises(KeyError):
        carry_out("siftrl-x", raising(KeyError("x")))


@pytest.mark.parametrize(("given", "status"), [(None, 0), (0, 0), (1, 1)])
def test_otherwise_the_work_decides(given, status, capsys):
    assert carry_out("siftrl-x", lambda: given) == status
    assert capsys.readouterr() == ("", "")
