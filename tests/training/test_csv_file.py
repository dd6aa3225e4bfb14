"""CSV files that grow: read as they were written, and no row of another process is lost."""

from concurrent.futures import ThreadPoolExecutor

from siftrl.training.csv_file import read_rows, shared_rows, write_rows

COLUMNS = ("name", "value")


def test_rows_come_back_in_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    rows = [{"name": "Erdős–Rényi", "value": "1"}]
    write_rows(path, COLUMNS, rows)
    monkeypatch.setattr("io.text_encoding", lambda encoding, _level=2: encoding or "ascii")
    assert read_rows(path, COLUMNS, "the rows") == rows


def test_nobody_loses_a_row(tmp_path):
    path = tmp_path / "rows.csv"

    def add(value):
        with shared_rows(path, COLUMNS, "the rows") as rows:
            rows.append({"name": "x", "value": str(value)})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert sorted(int(row["value"]) for row in read_rows(path, COLUMNS, "the rows")) == list(range(40))


def test_what_is_not_added_to_is_not_written(tmp_path):
    path = tmp_path / "rows.csv"
    with shared_rows(path, COLUMNS, "the rows") as rows:
        assert rows == []
    assert not path.exists()
