"""Scaled runs: fewer steps, the same shape."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from siftrl.sweeps.scale import MIN_EVALUATIONS, kept_seeds, scaled
from siftrl.training.config import RunConfig


def test_every_count_of_steps_shrinks():
    config = RunConfig(n_timesteps=1_000_000, eval_freq=5_000, save_freq=50_000, permute_every=200_000)
    changed = scaled(config, 0.1, learning_starts=25_000)
    assert changed == dataclasses.replace(
        config, n_timesteps=100_000, eval_freq=5_000, save_freq=5_000, permute_every=20_000, buffer_size=100_000,
        learning_starts=2_500,
    )  # fmt: skip


def test_the_whole_run_is_left_as_it_is():
    assert scaled(RunConfig(), 1, learning_starts=100) == RunConfig()


def test_what_is_off_stays_off():
    changed = scaled(RunConfig(eval_freq=0, save_freq=0), 0.5, learning_starts=0)
    assert (changed.eval_freq, changed.save_freq, changed.permute_every, changed.learning_starts) == (0, 0, None, 0)


def test_the_few_random_steps_of_sb3_stay():
    assert scaled(RunConfig(), 0.01, learning_starts=100).learning_starts == 100
    assert scaled(RunConfig(), 0.01, learning_starts=10_000).learning_starts == 100


@given(st.integers(1, 10**7), st.integers(1, 10**6), st.floats(1e-4, 0.9999))
def test_evaluations_remain_and_divide_the_steps(n_timesteps, eval_freq, scale):
    changed = scaled(RunConfig(n_timesteps=n_timesteps, eval_freq=eval_freq), scale, learning_starts=100)
    assert changed.n_timesteps % changed.eval_freq == 0
    assert changed.eval_freq <= eval_freq
    evaluations = max(1, min(MIN_EVALUATIONS, n_timesteps // eval_freq))
    wanted = max(1, round(scale * n_timesteps))
    assert changed.n_timesteps // changed.eval_freq >= min(evaluations, wanted)
    assert abs(changed.n_timesteps - wanted) <= max(changed.eval_freq, 1)


@given(st.integers(1, 1000), st.floats(1e-4, 1))
def test_at_least_one_seed_is_kept_and_never_more_than_there_are(n_seeds, scale):
    kept = kept_seeds(n_seeds, scale)
    assert 1 <= kept <= n_seeds
    assert n_seeds * scale <= kept + 1e-9


def test_shares_are_those_that_are_written():
    assert kept_seeds(10, 0.7) == 7
