"""Seeds: a search never sees those that its result is tested on."""

from __future__ import annotations

from collections.abc import Sequence

#: Runs of a search have seeds from here on, tests have seeds below. So do their training environments; evaluation adds the
#: same number to either (see ``training/environments.py``).
FIRST_TUNING_SEED = 1_000


def seeds_for_tuning(count: int) -> range:
    """The seeds of a trial's runs, the same for all trials.

    Example:
        >>> list(seeds_for_tuning(2))
        [1000, 1001]
    """
    return range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + count)


def seeds_for_test(first: int, count: int, n_envs: int = 1) -> range:
    """The seeds of ``count`` tests, ``first`` and those that follow.

    Args:
        first: the first one.
        count: how many.
        n_envs: training environments of a run, whose seeds follow the run's own.

    Raises:
        ValueError: where they reach those of the search.

    Example:
        >>> list(seeds_for_test(0, 3))
        [0, 1, 2]
    """
    last = first + max(count, 1) + n_envs - 2
    if last >= FIRST_TUNING_SEED:
        raise ValueError(
            f"seed and test-seeds must stay below {FIRST_TUNING_SEED}, from where the search has its own, but reach {last}."
        )
    return range(first, first + count)


def named(seeds: Sequence[int]) -> str:
    """Seeds that follow each other, in words.

    Example:
        >>> named([3]), named(range(5))
        ('seed 3', 'seeds 0 to 4')
    """
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
