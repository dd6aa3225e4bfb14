"""The command ``siftrl-tune``: search for hyper-parameters, show what was found, test it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..training.command import carry_out
from ..training.config import RunConfig
from ..training.device import spin_briefly
from ..training.options import OptionParser, options_in, spelling
from .options import NOT_OF_A_SEARCH, SearchOptions
from .seeds import named, seeds_for_test
from .values import Values, parse_name, parse_search

if TYPE_CHECKING:
    from optuna import Study

    from .plan import Plan

_PROG = "siftrl-tune"

_DESCRIPTION = """\
Search for the hyper-parameters with which an agent ends up best: density, period and fraction of rewirings, learning rate
and weight decay, as far as the recipe has them. An option that is given is fixed. The first trial has the recipe's own
values; poor trials are stopped early. Trials are trained on seeds from 1000 on, and tested on others.
"""

_EPILOG = """\
examples:
  # twenty trials of SET on Pendulum; again, with --trials 40: twenty more
  siftrl-tune --recipe set --env Pendulum-v1 --noise 0.5 -n 3000 --trials 20 --name demo
  # the learning rate fixed, the drop fraction the recipe's own, the density over less, and one more option searched
  siftrl-tune --recipe anf --learning-rate 3e-4 --keep drop-fraction --search input-density=0.01:0.1 --search width=64,256
  # the growth rule: at random, by gradient, by momentum
  siftrl-tune --recipe set --search recipe=set,rigl,snfs --name growth
  # what was found so far; and then the best beside the recipe's own on five fresh seeds
  siftrl-tune --name demo --show
  siftrl-tune --recipe set --env Pendulum-v1 --noise 0.5 -n 3000 --trials 20 --name demo --test-seeds 5

A search that was stopped (Ctrl-C) or killed goes on with the same command, and several processes may work on one. It
writes to <folder>/<name>/: search.json, journal.log (Optuna's), the runs, best.toml for a study, search.png.
"""


def main(argv: list[str] | None = None) -> int:
    """Search as the command line says.

    Args:
        argv: the arguments; ``None`` takes the process's own.

    Returns:
        0 after a whole search, 1 where a run failed it, 2 for wrong input, 128 + the signal's number after Ctrl-C or a
        termination request.
    """
    parser = OptionParser(prog=_PROG, usage="%(prog)s [options]", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_options(SearchOptions)
    space = parser.add_argument_group("search space")
    space.add_argument(
        "--search", action="append", default=[], metavar="OPTION=VALUES", help="search it over low:high or a,b,c; repeatable"
    )
    space.add_argument(
        "--keep", action="append", default=[], metavar="OPTION", help="leave it at the recipe's own value; repeatable"
    )
    parser.add_options(RunConfig, leave_out=NOT_OF_A_SEARCH)
    spin_briefly()
    return carry_out(_PROG, lambda: _tune(parser.parse_options(argv)), kept="The same command goes on.")


def _tune(given: dict[str, Any]) -> int:
    wishes = _wishes(given.pop("search"))
    kept = [parse_name(name, "keep") for name in given.pop("keep")]
    of_search = options_in(SearchOptions, "search", "result")
    options = SearchOptions(**{name: value for name, value in given.items() if name in of_search})
    given = {name: value for name, value in given.items() if name not in of_search}
    # Checked first: what follows loads torch, and takes seconds.
    base = RunConfig(**given)
    test_seeds = seeds_for_test(base.seed, options.test_seeds, base.n_envs)
    _require_optuna()
    folder = Path(options.folder) / options.name
    if options.show:
        return _show(folder)
    from .plan import make_plan

    return _search(make_plan(given, options, wishes, kept), folder, options, test_seeds)


def _wishes(texts: list[str]) -> dict[str, Values]:
    wishes: dict[str, Values] = {}
    for name, values in map(parse_search, texts):
        if name in wishes:
            raise ValueError(f"{spelling(name)} is searched twice: {wishes[name]} and {values}.")
        wishes[name] = values
    return wishes


def _require_optuna() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("a search needs Optuna: pip install 'siftrl[tune]'.")


def _show(folder: Path) -> int:
    from .plan import read_plan
    from .report import report
    from .search import study_of

    plan = read_plan(folder)
    report(study_of(plan, folder), plan, folder)
    return 0


def _search(plan: Plan, folder: Path, options: SearchOptions, test_seeds: range) -> int:
    from ..training.stopping import Stopped, StopRequest
    from .report import report
    from .search import search
    from .trial_runs import RunFailed

    stop, study, failed = StopRequest(), None, False
    try:
        with stop:
            study = search(plan, folder, options.trials, workers=options.workers, stop=stop, announce=_announce)
            if test_seeds and stop.signal is None:
                _test(study, plan, folder, options, test_seeds, stop)
    except RunFailed as failure:
        print(f"{_PROG}: error: {failure}", file=sys.stderr)
        failed = True
    except Stopped:
        pass
    if study is not None:  # also where its test failed
        report(study, plan, folder)
    if stop.signal is None:
        return int(failed)
    print("Stopped. The same command goes on with the search.")
    return 128 + stop.signal


def _test(study: Study, plan: Plan, folder: Path, options: SearchOptions, seeds: range, stop: Any) -> None:
    from .comparison import compare
    from .search import test_lock, unfinished
    from .trial import OWN

    if unfinished(study):
        _announce("Not tested: other processes are at their last trials. Give the command again when they are done.")
        return
    lock = test_lock(folder)
    if not lock.try_acquire():
        _announce("Not tested: another process is at it. Give the command again when it is done.")
        return
    try:
        best = study.best_trial
        parameters = {} if OWN in best.user_attrs else best.params
        _announce(f"Testing trial {best.number} beside the recipe's own values on {named(seeds)} ...")
        compare(plan, best.number, parameters, seeds, folder, workers=options.workers, stop=stop)
    finally:
        lock.release()


def _announce(line: str) -> None:
    # Flushed, so that a redirected search can be followed while it goes on.
    print(line, flush=True)
