"""Values to try, as a user writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.training.config import RunConfig
from siftrl.training.options import value_types
from siftrl.tuning.values import SEARCHABLE, Choices, Range, parse_name, parse_search


def test_what_makes_the_agent_can_be_searched_and_nothing_else():
    assert {"recipe", "density", "learning_rate", "period_updates", "width"} <= {*SEARCHABLE}
    assert not {"env", "noise", "seed", "n_timesteps", "eval_freq", "device"} & {*SEARCHABLE}


@given(st.floats(1e-8, 1), st.floats(1e-8, 1))
def test_a_range_is_read_as_it_is_printed(one, other):
    if one == other:
        return
    values = Range(min(one, other), max(one, other))
    assert parse_search(f"density={values}") == ("density", values)


@pytest.mark.parametrize("values", [Choices((0.0, 1e-6, 1e-3)), Range(0.0, 0.5)])
def test_values_are_read_as_they_are_printed(values):
    assert parse_search(f"weight_decay={values}") == ("weight_decay", values)


def test_values_have_the_type_of_their_option():
    assert parse_search("batch-size=64:1e3") == ("batch_size", Range(64, 1000))
    assert parse_search("period_updates=100,1000")[1].values == (100, 1000)
    assert parse_search("density=1,0.5")[1].values == (1.0, 0.5)
    for name in SEARCHABLE:
        kind = value_types(RunConfig)[name]
        text = "erk,er" if kind is str else "1,2"
        assert {type(value) for value in parse_search(f"{name}={text}")[1].values} == {kind}


def test_what_a_range_holds():
    assert 0.2 in Range(0.1, 0.5)
    assert 0.6 not in Range(0.1, 0.5)
    assert "set" not in Range(0.1, 0.5)
    assert 1e-6 in Choices((0.0, 1e-6))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("densty=0.1:0.5", r"the option of search must be one of .*, not 'densty'\. Did you mean density\?"),
        ("env=Hopper-v5,Ant-v5", "the option of search must be one of"),
        ("density", "search must give density its values, as in density=low:high"),
        ("density=", "search must give density its values"),
        ("density=0.5:0.1", r"the range of density must be two numbers low:high, low below high, not '0\.5:0\.1'"),
        ("density=0.1:0.2:0.3", "the range of density must be two numbers"),
        ("density=a:0.3", "the values of density must be numbers, not 'a'"),
        ("density=0.1,", "the values of density must be numbers, not ''"),
        ("batch-size=1.5,2", r"the values of batch-size must be whole numbers, not '1\.5'"),
        ("batch-size=nan:3", "the values of batch-size must be whole numbers, not 'nan'"),
        ("batch-size=1:inf", "the values of batch-size must be whole numbers, not 'inf'"),
        ("recipe=a:b", "the range of recipe must be two numbers"),
        ("recipe=set,set", "the choices of recipe must differ"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_search(text)


def test_names_are_found_in_either_spelling():
    assert parse_name("drop-fraction", "keep") == parse_name("drop_fraction", "keep") == "drop_fraction"
