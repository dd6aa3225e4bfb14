"""The options of a search, besides those of its runs."""

from __future__ import annotations

from dataclasses import dataclass

from ..training.options import AT_LEAST_ONE, NOT_EMPTY, NOT_NEGATIVE, Rule, check_options, option

_SEARCH, _TEST = "search", "result"
_FOLDER_NAME = Rule("the name of one folder", lambda name: name.strip() not in ("", ".", "..") and not {*name} & {*"/\\"})

#: Options of a run that mean nothing in a search, which has a folder of its own and shows its own progress.
NOT_OF_A_SEARCH = ("trained_agent", "log_folder", "tensorboard_log", "progress", "verbose")


@dataclass(frozen=True)
class SearchOptions:
    """What decides a search, besides its runs and its space; checked on construction.

    Raises:
        ValueError: for a value outside its range.

    Example:
        >>> SearchOptions(name="demo").trials
        20
    """

    name: str = option("search", "name of the search; the same name goes on with it", rule=_FOLDER_NAME, group=_SEARCH)
    folder: str = option("searches", "where searches go", rule=NOT_EMPTY, group=_SEARCH, metavar="DIR")
    trials: int = option(20, "trials in all, those of earlier calls included", rule=AT_LEAST_ONE, group=_SEARCH)
    tuning_seeds: int = option(
        2, "runs of a trial, with seeds from 1000 on; their mean counts", rule=AT_LEAST_ONE, group=_SEARCH
    )
    sampler_seed: int = option(0, "seed of the draws of parameters", rule=NOT_NEGATIVE, group=_SEARCH)
    workers: int = option(1, "runs side by side, each on --threads threads (1)", rule=AT_LEAST_ONE, group=_SEARCH)
    test_seeds: int = option(
        0,
        "at the end, train the best parameters and the recipe's own on N seeds from --seed on, which the search never saw",
        rule=NOT_NEGATIVE,
        group=_TEST,
    )
    show: bool = option(False, "show what the search --name has found so far, and start nothing", group=_TEST)

    def __post_init__(self) -> None:
        check_options(self)
