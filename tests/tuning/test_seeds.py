"""Seeds of searches and of tests have nothing in common, whatever is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.training.environments import evaluation_seed
from siftrl.tuning.seeds import FIRST_TUNING_SEED, seeds_for_test, seeds_for_tuning


def environments(seeds, n_envs):
    """The seeds of all environments of runs with these seeds."""
    training = {seed + rank for seed in seeds for rank in range(n_envs)}
    return training | {evaluation_seed(seed) for seed in seeds}


@given(st.integers(0, 1200), st.integers(0, 300), st.integers(1, 50), st.integers(1, 300))
def test_no_environment_of_a_test_has_a_seed_of_the_search(first, n_test, n_envs, n_tuning):
    try:
        tested = seeds_for_test(first, n_test, n_envs)
    except ValueError:
        assert first + max(n_test, 1) + n_envs - 2 >= FIRST_TUNING_SEED
        return
    assert len(tested) == n_test
    assert not environments(tested, n_envs) & environments(seeds_for_tuning(n_tuning), n_envs)


def test_overlap_is_refused_in_one_sentence():
    assert list(seeds_for_test(995, 5)) == [995, 996, 997, 998, 999]
    with pytest.raises(ValueError, match=r"seed and test-seeds must stay below 1000, .*, but reach 1000\.$"):
        seeds_for_test(996, 5)
    with pytest.raises(ValueError, match="but reach 1000"):
        seeds_for_test(999, 1, n_envs=2)
