"""Options: one declaration, checked the same way in Python and on the command line."""

import math
from dataclasses import dataclass

import pytest
from siftrl.training.options import (
    AT_LEAST_ONE,
    DENSITY,
    NOISE_FRACTION,
    NOT_NEGATIVE,
    OptionParser,
    check_options,
    one_of,
    option,
)


@dataclass(frozen=True)
class Sample:
    steps: int = option(10, "steps", rule=AT_LEAST_ONE, short="-n")
    share: float | None = option(None, "share of 100 % of it", rule=NOISE_FRACTION)
    kind: str = option("cat", "kind", rule=one_of("cat", "dog"))
    loud: bool = option(False, "loud")

    def __post_init__(self):
        check_options(self)


def parse(*argv):
    parser = OptionParser(prog="sample")
    parser.add_options(Sample)
    return parser.parse_options(list(argv))


def test_flags_that_are_left_out_stay_out():
    assert parse() == {}
    assert parse("-n", "3", "--loud") == {"steps": 3, "loud": True}


@pytest.mark.parametrize("text", ["1000000", "1e6", "1_000_000"])
def test_whole_numbers_can_be_written_as_people_do(text):
    assert parse("--steps", text) == {"steps": 1_000_000}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--step", "3"), r"unknown argument --step\. Did you mean --steps\?"),
        (("--steps", "3.5"), "must be a whole number, not '3.5'"),
        (("--share", "much"), "must be a number, not 'much'"),
        (("--steps",), "expected one argument"),
        (("cat",), "unknown argument cat"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(argv, message):
    with pytest.raises(ValueError, match=message):
        parse(*argv)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 2.5}, "steps must be of type int, not 2.5"),
        ({"steps": True}, "steps must be of type int, not True"),
        ({"share": 1.0}, "share must be at least 0 and below 1, not 1.0"),
        ({"kind": "dgo"}, r"kind must be one of cat, dog, not 'dgo'\. Did you mean dog\?"),
        ({"loud": 1}, "loud must be of type bool, not 1"),
        ({"kind": None}, "kind must be of type str, not None"),
    ],
)
def test_values_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Sample(**options)


@pytest.mark.parametrize("rule", [AT_LEAST_ONE, DENSITY, NOISE_FRACTION, NOT_NEGATIVE])
def test_nothing_is_as_big_as_nan(rule):
    assert not rule.holds(math.nan)


def test_density_may_be_one_and_noise_may_not():
    assert DENSITY.holds(1)
    assert not NOISE_FRACTION.holds(1)


def test_help_shows_defaults_and_per_cent(capsys):
    parser = OptionParser(prog="sample")
    parser.add_options(Sample)
    with pytest.raises(SystemExit) as exit_:
        parser.parse_options(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "(default: 10)" in text
    assert "share of 100 % of it" in text
    assert "{cat,dog}" in text
