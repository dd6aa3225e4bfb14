"""The table of methods: its figures, its warnings, and comparisons that it refuses."""

import pytest
from siftrl.reports.tables import comparison, comparison_table


def rows(method, n_seeds, gain, task="Ant-v5", n_evaluations=20):
    return [
        {"method": method, "task": task, "seed": seed, "step": 1000 * k, "mean_return": gain * k + 10 * seed}
        for seed in range(n_seeds)
        for k in range(1, n_evaluations + 1)
    ]


def cells(table, method, task="Ant-v5"):
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {task} | {method} |")]
    header = table.splitlines()[0]
    return dict(zip(header.strip("| ").split(" | "), [cell.strip() for cell in line[1:-1].split("|")], strict=True))


ROWS = [*rows("anf", 5, 200), *rows("dense", 5, 100)]


def test_every_column_has_its_value():
    found = cells(comparison_table(ROWS, baseline="dense", levels={"Ant-v5": 1000}), "anf")
    assert found["seeds"] == "5"
    assert found["final return, IQM"] == "3,920"  # (19 + 20) / 2 * 200 + 20
    low, high = map(int, found["95 % interval"].replace(",", "").split(" to "))
    assert 3900 <= low < 3920 < high <= 3940
    assert found["area under curve, IQM"] == "2,120"
    assert found["steps to level, median"] == "6,000 (6,000 to 6,000)"
    assert found["P(better than dense)"] == "1 (1 to 1)"


def test_a_baseline_is_not_compared_with_itself_and_without_options_columns_are_left_out():
    assert cells(comparison_table(ROWS, baseline="dense"), "dense")["P(better than dense)"] == ""
    assert list(cells(comparison_table(ROWS), "anf"))[-1] == "area under curve, IQM"


def test_a_level_that_no_run_reaches_is_never_reached():
    table = comparison_table(ROWS, levels={"Ant-v5": 3000})
    assert cells(table, "dense")["steps to level, median"] == "never (never to never)"
    assert "Level: Ant-v5 3,000;" in table


def test_tasks_without_a_level_or_the_baseline_have_empty_cells():
    table = comparison_table([*ROWS, *rows("anf", 5, 1, task="Hopper-v5")], baseline="dense", levels={"Ant-v5": 1000})
    found = cells(table, "anf", "Hopper-v5")
    assert (found["steps to level, median"], found["P(better than dense)"]) == ("", "")


def test_few_seeds_are_warned_of_and_enough_are_not():
    assert "too few" not in comparison_table(ROWS)
    table = comparison_table([*ROWS, *rows("set", 3, 1), *rows("rigl", 1, 1), *rows("static", 3, 1)])
    assert table.splitlines()[-1] == "set on Ant-v5, static on Ant-v5: 3 seeds: too few for a claim, which takes 5."
    assert table.splitlines()[-3].startswith("rigl on Ant-v5: 1 seed: too few")


def test_one_run_of_one_evaluation_has_a_return_and_nothing_else():
    found = cells(comparison_table(rows("anf", 1, 200, n_evaluations=1)), "anf")
    assert (found["final return, IQM"], found["95 % interval"], found["area under curve, IQM"]) == ("200", "", "")


def test_methods_are_compared_after_the_same_number_of_steps():
    uneven = [*rows("anf", 5, 200), *rows("dense", 5, 100, n_evaluations=10)]
    with pytest.raises(ValueError, match=r"Ant-v5 must be trained equally long .* anf to step 20000, dense to step 10000"):
        comparison_table(uneven)
    assert cells(comparison_table(uneven, until=10_000), "anf")["final return, IQM"] == "2,020"


def test_names_that_are_not_there_are_answered_with_those_that_are():
    with pytest.raises(ValueError, match="baseline must be one of anf, dense, not 'dens'"):
        comparison_table(ROWS, baseline="dens")
    with pytest.raises(ValueError, match="levels must be one of Ant-v5, not 'Ant-v4'"):
        comparison_table(ROWS, levels={"Ant-v4": 3})


def test_a_comparison_has_the_cells_of_its_markdown():
    rows = [{"method": "anf", "task": "t", "seed": 0, "step": step, "mean_return": step} for step in (10, 20)]
    found = comparison(rows)
    assert found.rows == [["t", "anf", "1", "20", "", "15"]]
    assert found.notes == ["anf on t: 1 seed: too few for a claim, which takes 5."]
    assert comparison_table(rows).splitlines()[2:] == ["| t | anf | 1 | 20 |  | 15 |", "", found.notes[0]]


def test_what_parts_columns_is_escaped_in_names():
    table = comparison_table(rows("a|b", 5, 100))
    assert "| Ant-v5 | a\\|b | 5 |" in table
