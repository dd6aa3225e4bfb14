"""Commands on several runs go on without those that they cannot use."""

import pytest
from siftrl.training.leaving_out import LeavingOut


def test_what_is_refused_is_left_out_and_told(capsys):
    leaving_out = LeavingOut("siftrl-example")
    assert leaving_out.each(int, ["1", "one", "2"], "none is a number.") == [1, 2]
    (reason,) = leaving_out.reasons
    assert "'one'" in reason
    assert capsys.readouterr().err == f"siftrl-example: left out: {reason}\n"


def test_the_only_one_is_an_error_of_its_own():
    leaving_out = LeavingOut("siftrl-example")
    with pytest.raises(ValueError, match="'one'"):
        leaving_out.each(int, ["one"], "none is a number.")
    assert not leaving_out.reasons


def test_nothing_left_of_several_is_an_error_after_the_reasons():
    leaving_out = LeavingOut("siftrl-example")
    with pytest.raises(ValueError, match=r"none is a number\."):
        leaving_out.each(int, ["one", "two"], "none is a number.")
    assert len(leaving_out.reasons) == 2


def test_other_errors_are_nobodys_to_leave_out():
    with pytest.raises(TypeError):
        LeavingOut("siftrl-example").each(int, ["1", None], "none is a number.")


def test_where_that_is_as_well_nothing_need_be_left():
    leaving_out = LeavingOut("siftrl-example")
    assert leaving_out.each(int, ["one"]) == []
    assert len(leaving_out.reasons) == 1
