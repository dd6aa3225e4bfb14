"""The house rules that a machine can check: who may import whom, and what importing siftrl loads."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import siftrl

ROOT = Path(siftrl.__file__).parent
FOLDERS = ("agents", "envs", "export", "reports", "robustness", "selection", "sparse", "sweeps", "training", "tuning")
COMMANDS = ("train", "evaluate")
MODULES = ("names",)  # at the root, and not a command

# What each part of the package may import of the rest.
MAY_IMPORT = {
    "names": set(),
    "sparse": {"names"},
    "envs": {"names"},
    "reports": {"names", "sparse", "envs", "agents", "training"},
    "selection": {"sparse"},
    "agents": {"names", "sparse", "envs"},
    "training": {"names", "sparse", "envs", "agents"},
    "sweeps": {"names", "reports", "training"},
    "export": {"names", "sparse", "agents", "training"},
    "robustness": {"names", "envs", "reports", "training"},
    "tuning": {"names", "reports", "sparse", "agents", "training"},
    "train": {*MODULES, *FOLDERS},
    "evaluate": {*MODULES, *FOLDERS},
    "": {"envs"},  # the package itself
}

# Of the reports, what is about numbers alone and knows of no runs.
OF_NUMBERS = ("__init__", "curves", "figures", "scores", "statistics", "tables", "theme")

# What a part may not import while it is itself imported.
NOT_WHEN_IMPORTED = {
    "envs": {"torch", "numba", "stable_baselines3"},
    "sparse": {"gymnasium", "stable_baselines3", "sklearn"},
    "selection": {"gymnasium", "stable_baselines3"},
    "reports": {"torch", "numba", "stable_baselines3", "gymnasium", "sklearn", "scipy"},
    "sweeps": {"torch", "numba", "stable_baselines3", "ray"},
    "tuning": {"torch", "numba", "stable_baselines3"},
    "names": {"torch", "numba", "stable_baselines3", "gymnasium", "numpy"},
    "": {"torch", "numba", "stable_baselines3"},
}

SOURCES = sorted([*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))])
STUDIES = [path for folder in ("benchmarks", "experiments", "tests") for path in (ROOT / folder).rglob("*.py")]
EVERYWHERE = sorted([*SOURCES, *STUDIES])


def name_of(path):
    return str(path.relative_to(ROOT))


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ["siftrl", *(part for part in parts if part != "__init__")]


def part_of(module):
    """The part of the package that a module belongs to; "" is the package itself."""
    return module[1] if len(module) > 1 else ""


@cache
def parsed(path):
    return ast.parse(path.read_text())


def imports(path, *, at_import_only=False):
    """Absolute names of all modules that a file imports, with their line."""
    return [(module, line) for module, line, is_in_function in all_imports(path) if not (at_import_only and is_in_function)]


@cache
def all_imports(path):
    """The same, each with whether it stands in a function."""
    tree = parsed(path)
    inside_functions = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    found = []
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            # `from siftrl import sparse` and `from . import kernels` import modules by name.
            names = [alias.name for alias in node.names] if module == ["siftrl"] else [""]
            modules = [[*module, name] if name else module for name in names]
        found += [(module, node.lineno, id(node) in inside_functions) for module in modules]
    return found


def test_the_reader_of_imports_sees_every_form():
    found = {".".join(module) for module, _ in imports(ROOT / "agents" / "policies.py")}
    assert {"siftrl.sparse.convert", "stable_baselines3.sac.policies", "collections.abc"} <= found
    assert part_of(["siftrl", "sparse", "linear"]) == "sparse"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_down_only(path):
    own = part_of(module_of(path))
    allowed = {"", own, *MAY_IMPORT[own], "__version__"}
    parts = [(part_of(module), line) for module, line in imports(path) if module[0] == "siftrl"]
    wrong = [f"line {line}: {part}" for part, line in parts if part not in allowed]
    assert not wrong


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_statistics_know_of_no_runs(name):
    allowed = {*(f"siftrl.reports.{other}" for other in OF_NUMBERS), "siftrl.names"}
    modules = {".".join(module) for module, _ in imports(ROOT / "reports" / f"{name}.py") if module[0] == "siftrl"}
    assert modules <= allowed


@pytest.mark.parametrize("path", [path for path in SOURCES if part_of(module_of(path)) in NOT_WHEN_IMPORTED], ids=name_of)
def test_light_parts_load_nothing_heavy(path):
    forbidden = NOT_WHEN_IMPORTED[part_of(module_of(path))]
    wrong = [f"line {line}: {module[0]}" for module, line in imports(path, at_import_only=True) if module[0] in forbidden]
    assert not wrong


def test_nothing_is_imported_under_a_name_that_is_the_users():
    ours = {*FOLDERS, *COMMANDS, *MODULES}
    found = [(path, *found) for path in EVERYWHERE for found in imports(path)]
    assert found
    assert not [f"{name_of(path)}:{line}: {'.'.join(module)}" for path, module, line in found if module[0] in ours]


def test_every_folder_of_the_package_has_its_row():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == set(FOLDERS)
    assert {path.stem for path in ROOT.glob("*.py")} - {"__init__"} <= {*COMMANDS, *MODULES}


def test_no_file_is_called_utils():
    assert not [name_of(path) for path in EVERYWHERE if path.stem in ("utils", "util", "helpers", "misc", "common")]


def public(node, prefix=""):
    """Public classes, functions and methods below a node of the syntax tree, with their full names."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            # A property's setter is told of with its getter.
            if not any(ast.unparse(decorator).endswith(".setter") for decorator in child.decorator_list):
                yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_all_that_is_public_has_a_docstring(path):
    module = parsed(path)
    assert ast.get_docstring(module)
    assert not [name for name, node in public(module) if not ast.get_docstring(node)]


def test_tests_stand_where_their_subjects_do():
    subjects = {path.relative_to(ROOT).with_suffix("") for path in EVERYWHERE}
    names = ("test_architecture", "test_docs", "test_safety", "test_crafted_files", "test_own_task")
    # The subjects of these are no modules: study files, tables of several scripts, a page, and what several modules do.
    others = ("experiments/test_studies", "experiments/test_tables", "docs/test_reproduce", "sparse/test_falling_density")
    of_the_project = {Path(name) for name in (*names, *others)}
    for path in (ROOT / "tests").rglob("test_*.py"):
        relative = path.relative_to(ROOT / "tests").with_suffix("")
        assert relative in of_the_project or relative.with_name(relative.name.removeprefix("test_")) in subjects, relative
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import siftrl.envs", ("torch", "numba", "stable_baselines3", "mujoco", "siftrl.sparse")),
        ("import siftrl.sparse", ("gymnasium.envs.mujoco", "stable_baselines3", "siftrl.agents", "sklearn")),
        ("import siftrl.reports", ("torch", "stable_baselines3", "gymnasium.envs.mujoco", "matplotlib", "scipy")),
        ("import siftrl.selection", ("gymnasium.envs.mujoco", "stable_baselines3", "siftrl.agents")),
        ("import siftrl.export.runner", ("torch", "stable_baselines3", "onnx", "onnxruntime", "gymnasium.envs.mujoco")),
        ("import siftrl.export.command", ("torch", "stable_baselines3", "onnx", "onnxruntime")),
        ("import siftrl.tuning.command", ("torch", "stable_baselines3", "optuna", "matplotlib")),
    ],
)
def test_importing_loads_no_more_than_it_must(statement, absent):
    code = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_siftrl_registers_the_environments_and_loads_nothing_heavy():
    heavy = ("torch", "numba", "stable_baselines3", "sklearn", "matplotlib")
    code = (
        "import sys, siftrl, gymnasium; "
        f"print('siftrl/ENE-HalfCheetah-v5' in gymnasium.registry, [name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True []"
