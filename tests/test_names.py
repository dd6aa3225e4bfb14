"""Names: a valid one passes, an unknown one is answered with what was meant, and with nothing absurd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.names import did_you_mean, known

RECIPES = ("dense", "static", "set", "rigl", "anf", "ds")


@given(st.sampled_from(RECIPES))
def test_a_valid_name_passes_and_is_its_own_closest(name):
    assert known(name, RECIPES, "recipe") == name
    assert did_you_mean(name.upper(), RECIPES) == f" Did you mean {name}?"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("riglet", " Did you mean rigl?"),
        ("afn", " Did you mean anf?"),
        ("SET", " Did you mean set?"),
        ("adaptive", ""),
        ("", ""),
        (0, ""),
    ],
)
def test_an_unknown_name_gets_the_closest_or_none(name, answer):
    assert did_you_mean(name, RECIPES) == answer
    with pytest.raises(ValueError) as error:
        known(name, RECIPES, "recipe")
    assert str(error.value) == f"recipe must be one of dense, static, set, rigl, anf, ds, not {name!r}.{answer}"


def test_the_answer_is_spelt_as_the_valid_name_is():
    assert did_you_mean("halfcheetah-v5", ["Ant-v5", "HalfCheetah-v5"]) == " Did you mean HalfCheetah-v5?"


def test_where_nothing_is_valid_nothing_is_proposed():
    assert did_you_mean("set", []) == ""
