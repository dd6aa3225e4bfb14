"""The kinds of noise with a memory, against theory."""

import numpy as np
import pytest
from siftrl.envs.noise_tables import KINDS, autoregressive, brownian, shadow
from siftrl.envs.recording import Recording


def series_of(table):
    """The table's series, float32 (time steps, series)."""
    return table.numbers[: table.length].reshape(-1, table.stride)


@pytest.fixture(scope="module")
def ar():
    return autoregressive(1.0, 0.95)


@pytest.fixture(scope="module")
def walks():
    return brownian(1.0)


def autocorrelation(series, lag):
    return float((series * np.roll(series, -lag, axis=0)).mean() / np.square(series).mean())


@pytest.mark.parametrize("lag", [1, 2, 5, 20, 60])
def test_autoregressive_noise_forgets_as_theory_says(lag, ar):
    # 2²⁴ numbers, of which (1 − c²) / (1 + c²) count as independent: standard error below 0.0012.
    assert autocorrelation(series_of(ar), lag) == pytest.approx(0.95**lag, abs=0.006)


def test_each_coefficient_is_kept_at_the_ends_of_its_range():
    for correlation in (0.0, 0.999):
        series = series_of(autoregressive(2.0, correlation))
        assert autocorrelation(series, 1) == pytest.approx(correlation, abs=0.002)
        assert series.std() == pytest.approx(2.0, rel=0.02)


def test_autoregressive_noise_is_normal_at_all_times(ar):
    series = series_of(ar)
    for part in np.split(series, 8):
        assert abs(part.mean()) < 0.03
        assert part.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(np.quantile(series, [0.025, 0.25, 0.75, 0.975]), [-1.96, -0.6745, 0.6745, 1.96], atol=0.02)


def test_series_are_independent_of_each_other(ar):
    series = series_of(ar)[:, :400]
    across = series.T @ series / len(series) - np.diag(np.square(series).mean(axis=0))
    error = np.sqrt((1 + 0.95**2) / (1 - 0.95**2) / len(series))
    assert across.std() == pytest.approx(error, rel=0.1)
    assert np.abs(across).max() < 6 * error


def test_no_seam_is_visible_where_series_begin_again(ar, walks):
    series = series_of(ar)
    news = series - 0.95 * np.roll(series, 1, axis=0)
    assert news[0].std() == pytest.approx(news.std(), rel=0.1)
    assert abs(np.corrcoef(news[0], news[1])[0, 1]) < 0.15
    steps = np.abs(series_of(walks) - np.roll(series_of(walks), 1, axis=0))
    assert steps[0].mean() == pytest.approx(steps.mean(), rel=0.1)
    for table in (ar, walks):
        end = table.numbers[table.length : table.length + 256]
        np.testing.assert_array_equal(end, table.numbers[:256], err_msg="a window in the last row goes on in the first")
        assert not table.numbers[-256:].any()


def test_walks_are_anywhere_between_their_walls_equally_often(walks):
    series = series_of(walks)
    assert np.abs(series).max() <= np.float32(np.sqrt(3))
    np.testing.assert_allclose(
        np.quantile(series, [0.1, 0.25, 0.75, 0.9]), np.array([-0.8, -0.5, 0.5, 0.8]) * 3**0.5, atol=0.05
    )
    assert series.std() == pytest.approx(1, abs=0.02)
    steps = np.diff(series, axis=0)
    away = np.abs(series[:-1]) < 1.4  # where no wall is in reach
    assert steps[away].std() == pytest.approx(0.05, rel=0.01)
    assert abs(np.corrcoef(steps[:-1, :200].ravel(), steps[1:, :200].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("lag", [1, 100, 500, 1_500])
def test_walks_forget_as_theory_says(lag, walks):
    """The correlation of a Brownian motion between two reflecting walls, by its eigenfunctions."""
    n = np.arange(1, 60, 2)
    theory = np.sum(96 / (np.pi * n) ** 4 * np.exp(-((n * np.pi * 0.05) ** 2) * lag / 24))
    assert autocorrelation(series_of(walks), lag) == pytest.approx(theory, abs=0.03)


def test_a_shadow_is_the_recording(tmp_path):
    file = tmp_path / "recording.npz"
    np.savez(file, observations=np.arange(12.0).reshape(4, 3))
    table = shadow(2.0, Recording.load(file))
    assert table.numbers[:12].tolist() == [2.0 * i for i in range(12)]
    assert not table.numbers[12:].any()
    assert (table.length, table.stride, table.whole_rows) == (12, 3, True)


def test_options_know_what_kinds_there_are():
    from siftrl.training.config import DISTRIBUTIONS

    assert DISTRIBUTIONS.choices == tuple(KINDS)
