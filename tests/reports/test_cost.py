"""Costs are counted from links, and the dense ones from all places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from siftrl.envs import total_features
from siftrl.reports.cost import cost_rows, real_features
from siftrl.reports.saved_model import SavedLayer
from siftrl.training.config import RunConfig


@given(st.integers(1, 400), st.sampled_from([0, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999]) | st.floats(0, 0.99))
def test_the_real_features_are_found_from_the_total(n_real, noise):
    noise = round(noise, 6)
    assert real_features(total_features(n_real, noise), noise) == n_real


def test_a_total_that_no_task_has_is_refused():
    with pytest.raises(ValueError, match="171 features"):
        real_features(171, 0.9)


def test_the_rows_add_up():
    layers = [
        SavedLayer("actor", "latent_pi.0", (4, 30), 12, 100, False),
        SavedLayer("actor", "mu", (1, 4), 4, 20, False),
        SavedLayer("qf0", "0", (4, 31), 31, 300, False),
        SavedLayer("qf0", "0", (4, 31), 31, 300, True),
    ]
    links, action, update, memory, replay = cost_rows(layers, RunConfig(noise=0.9, buffer_size=1000))
    assert (links.here, links.dense, links.share) == ("47", "248", "19.0%")
    assert (action.here, action.dense) == (str(2 * 16), str(2 * 124))
    assert (update.here, update.dense) == (str(6 * 47), "1,488")
    dense = 4 * (120 + 4) + 4 * (4 + 1) + 2 * 4 * (124 + 4)
    assert (memory.here, memory.dense) == (f"{(720 + 8 * 47) / 1000:.1f} kB", f"{(dense + 8 * 248) / 1000:.1f} kB")
    assert replay.here == "60.0 kB"  # 1000 times 2 observations of 3 features, an action, and 32 bytes beside
    assert replay.dense == f"{1000 * (8 * 30 + 4 + 32) / 1000:.1f} kB"
