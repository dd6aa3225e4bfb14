"""The examples in docstrings and pages run, and print what they say."""

import doctest
import importlib.util
import pkgutil
import re
import runpy
from pathlib import Path

import pytest
import siftrl

ROOT = Path(siftrl.__file__).parent

MODULES = ["siftrl", *(module.name for module in pkgutil.walk_packages(siftrl.__path__, "siftrl."))]
# The repository's root is the package: its folders of tests and studies are not modules of it.
MODULES = [name for name in MODULES if name.split(".")[1:2] not in (["tests"], ["benchmarks"], ["experiments"], ["docs"])]


WITH_EXAMPLES = [name for name in MODULES if ">>>" in Path(importlib.util.find_spec(name).origin).read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_the_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failed, attempted = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert attempted > 0
    assert failed == 0


def test_there_are_examples():
    assert {"siftrl.sparse.linear", "siftrl.sparse.evolution", "siftrl.agents.policies", "siftrl.envs.make"} <= {
        *WITH_EXAMPLES
    }


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_of_the_pages_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text(block)
    defined = {name for name in runpy.run_path("example.py") if not name.startswith("__")}
    assert defined, "the example does nothing"


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_page_of_methods_is_what_the_code_says():
    methods = runpy.run_path(str(ROOT / "docs" / "methods.py"))
    assert methods["PAGE"].read_text() == methods["render"](), "run `make docs`"
