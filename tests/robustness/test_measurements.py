"""The record: what tells rows apart, and what survives."""

import pytest
from siftrl.robustness.measurements import COLUMNS, Measurements
from siftrl.training.evaluation import Episodes

KEY = {
    "agent": "0123456789ab", "env": "Ant-v5", "corruption": "bias", "severity": 2, "features": "all", "episodes": 2,
    "episode_seed": 0,
}  # fmt: skip
TOLD = {"method": "sac set", "task": "Ant-v5", "seed": 4}


def test_a_row_is_found_again_by_its_key_alone(tmp_path):
    path = tmp_path / "results.csv"
    measurements = Measurements(path)
    assert measurements.find(**KEY) is None
    row = measurements.add(Episodes((1.0, 4.0), (9, 9)), **TOLD, **KEY)
    assert list(row) == list(COLUMNS)
    assert (row["mean_return"], row["std_return"], row["level"]) == ("2.5", "1.5", "0.1")
    for again in (measurements, Measurements(path)):
        assert again.find(**KEY) == row
        for name in KEY:
            assert again.find(**{**KEY, name: 7}) is None
    measurements.add(Episodes((1.0,), (9,)), **TOLD, **{**KEY, "corruption": "clean", "severity": 0})
    assert [row["level"] for row in Measurements(path).rows] == ["0.1", ""]


def test_two_processes_keep_each_others_rows(tmp_path):
    path = tmp_path / "results.csv"
    one, other = Measurements(path), Measurements(path)
    first = one.add(Episodes((1.0,), (9,)), **TOLD, **KEY)
    other.add(Episodes((2.0,), (9,)), **TOLD, **{**KEY, "severity": 3})
    assert [row["severity"] for row in Measurements(path).rows] == ["2", "3"]
    # Both were at it: what was recorded first counts.
    assert other.add(Episodes((1.5,), (9,)), **TOLD, **KEY) == first
    assert len(Measurements(path).rows) == 2


@pytest.mark.parametrize("content", ["a,b\n1,2\n", ",".join(COLUMNS) + "\n1,2\n", "\x00", b"\xff\xfe\x00"])
def test_another_file_gets_one_sentence(content, tmp_path):
    path = tmp_path / "results.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match="measurements"):
        Measurements(path)
