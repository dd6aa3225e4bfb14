"""Records of the experiments: what is there is not measured again, and what was measured before a failure stays."""

import threading

import pytest
from siftrl.experiments.record import complete, read

COLUMNS = ("method", "density", "step", "value")
KEYS = [("a", 0.1), ("b", 1.0), ("a", 1.0)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_record_is_completed_once(workers, tmp_path, capsys):
    measured = []

    def measure(method, density):
        if (method, density) == broken:
            raise RuntimeError
        measured.append((method, density))
        for step in (1, 2):
            yield {"method": method, "density": density, "step": step, "value": f"{step},5"}

    path, broken = tmp_path / "rows.csv", KEYS[2]
    with pytest.raises(RuntimeError):
        complete(path, COLUMNS, KEYS, measure, workers)
    assert [(row["method"], row["density"], row["value"]) for row in read(path, COLUMNS)] == [
        (method, str(density), value) for method, density in KEYS[:2] for value in ("1,5", "2,5")
    ]
    broken = None
    complete(path, COLUMNS, iter(KEYS), measure, workers)
    complete(path, COLUMNS, KEYS, measure, workers)
    assert sorted(measured) == sorted(KEYS)
    assert len(read(path, COLUMNS)) == 6
    assert capsys.readouterr().out.splitlines()[-1] == "a, 1.0, 2, 2,5"


def test_one_at_a_time_is_measured_in_the_thread_that_asks(tmp_path):
    threads = []

    def measure(name):
        threads.append(threading.current_thread())
        return [{"name": name}]

    complete(tmp_path / "rows.csv", ("name",), [("a",), ("b",)], measure)
    assert threads == [threading.current_thread()] * 2


def test_a_file_of_other_columns_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("name\na\n")
    with pytest.raises(ValueError, match=r"the record .*rows.csv must have the columns method,density,step,value"):
        complete(tmp_path / "rows.csv", COLUMNS, KEYS, lambda *key: [])
