"""The examples in the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest
import siftrl

MODULES = ["siftrl", *(module.name for module in pkgutil.walk_packages(siftrl.__path__, "siftrl."))]
# The repository's root is the package: its folders of tests and studies are not modules of it.
MODULES = [name for name in MODULES if name.split(".")[1:2] not in (["tests"], ["benchmarks"], ["experiments"], ["docs"])]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    with_examples = {name for name in MODULES if any(test.examples for test in finder.find(importlib.import_module(name)))}
    assert {"siftrl.sparse.linear", "siftrl.sparse.evolution", "siftrl.agents.policies", "siftrl.envs.make"} <= with_examples
