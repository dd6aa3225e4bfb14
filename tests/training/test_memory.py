"""Memory: a replay that does not fit is refused with one that does."""

import re

import pytest
from siftrl.training.memory import available_memory, check_fits, check_network_fits, human_bytes

GB = 10**9


def test_this_machine_has_some_memory():
    assert available_memory() > 0


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (1500, "1.5 kB"), (2.884e9, "2.9 GB"), (1.5e15, "1500.0 TB")])
def test_bytes_for_people(count, text):
    assert human_bytes(count) == text


def test_what_fits_passes():
    check_fits(10 * GB, 1_000_000, 1_000_000, available=10 * GB)


def test_a_short_run_never_fills_a_large_replay():
    check_fits(278 * GB, 1_000_000, 10_000, available=10 * GB)


def test_the_advised_size_fits():
    with pytest.raises(ValueError, match=r"takes 278\.0 GB, but 24\.0 GB are free") as refusal:
        check_fits(278 * GB, 1_000_000, 1_000_000, available=24 * GB)
    advised = int(re.search(r"--buffer-size (\d+)", str(refusal.value)).group(1))
    assert advised == 60_000
    check_fits(278 * GB * advised // 1_000_000, advised, advised, available=24 * GB)


def test_no_size_is_advised_where_none_fits():
    with pytest.raises(ValueError, match="Use less noise"):
        check_fits(10 * GB, 1, 1, available=GB)


def test_a_network_that_fits_passes_and_one_that_does_not_is_refused():
    check_network_fits(1_000_000, 256, available=2 * GB)
    with pytest.raises(ValueError, match=r"256 units for 10,000,000 features takes 10\.2 GB .* but 2\.0 GB are free"):
        check_network_fits(10_000_000, 256, available=2 * GB)
