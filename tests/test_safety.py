"""What a stranger's file can do to those who load it: no code of this project runs strings, shells or pickles unseen."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import siftrl

ROOT = Path(siftrl.__file__).parent
FOLDERS = [folder for folder in ROOT.iterdir() if folder.is_dir() and (folder.name == ".ci" or folder.name[0] != ".")]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [
        *ROOT.glob("*.py"),
        *(path for folder in FOLDERS if folder.name != "build" for path in folder.rglob("*.py")),
    ]
)

# Names that run code which came as data, wherever they stand: called, passed on, or imported.
RUN_STRINGS = {"eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "os.system", "os.popen"}
RUN_PICKLES = {"pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "joblib.load"}
RUN_OTHERS = {"marshal.loads", "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle"}
FORBIDDEN = RUN_STRINGS | RUN_PICKLES | RUN_OTHERS

# What may be there all the same, and why.
_OWN_BYTES = {"pickle.load", "pickle.loads"}  # the test has pickled them a line before
ALLOWED = {
    # SB3's own load unpickles; README's section on safety says so, and evaluate.py --weights-only goes another way.
    "training/agent.py": {"algorithm.load"},
    # What the same process has encoded a line before, to see how it acts.
    "export/pt2.py": {"torch.export.load"},
    "export/torchscript.py": {"torch.jit.load"},
    "tests/agents/test_replay.py": _OWN_BYTES,
    "tests/envs/test_noise_source.py": _OWN_BYTES,
    "tests/envs/test_permute.py": _OWN_BYTES,
    "tests/envs/test_recording.py": _OWN_BYTES,
    "tests/sparse/test_convolution.py": _OWN_BYTES,
    "tests/sparse/test_density.py": _OWN_BYTES,
    "tests/sparse/test_drop.py": _OWN_BYTES,
    "tests/sparse/test_evolution.py": _OWN_BYTES,
    "tests/sparse/test_grow.py": _OWN_BYTES,
    "tests/sparse/test_linear.py": {*_OWN_BYTES, "torch.load"},
    "tests/sparse/test_recipes.py": _OWN_BYTES,
    "tests/sparse/test_schedules.py": _OWN_BYTES,
    "tests/test_evaluate.py": {"exec"},  # a model that would run it, to see that it does not
}

# What a loader must be given to be safe, by the loader's name.
SAFE_WITH = {
    "numpy.load": {"allow_pickle": (False, None)},  # None: left out
    "numpy.lib.format.read_array": {"allow_pickle": (False,)},
    "torch.load": {"weights_only": (True,)},
    "stable_baselines3.common.save_util.load_from_zip_file": {"load_data": (False,)},
}
# Other functions called `load` that read nothing but arrays or JSON, and those that emit an instruction of that name.
HARMLESS_LOADS = {"json.load", "tomllib.load", "FeatureHistogram.load", "inside.load"}


def full_names(tree):
    """The name under which a module knows something, to the full name of what it means."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def full_name(node, names):
    """The dotted name of an expression, such as ``numpy.load``; "" for what has none."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def keywords_of(call):
    """A call's keyword arguments; what is no constant counts as given and unknown."""
    return {keyword.arg: getattr(keyword.value, "value", ...) for keyword in call.keywords}


def dangers(source, *, of_the_package=True):
    """What in a module's source may run code that came as data, by name."""
    tree = ast.parse(source)
    names = full_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and full_name(node, names) in FORBIDDEN:
            yield full_name(node, names)
        if isinstance(node, ast.Call):
            yield from _dangers_of_call(node, full_name(node.func, names), of_the_package)


def _dangers_of_call(call, name, of_the_package):
    keywords = keywords_of(call)
    required = SAFE_WITH.get(name, {})
    if any(keywords.get(keyword) not in values for keyword, values in required.items()):
        yield name
    if keywords.get("allow_pickle", False) is not False or keywords.get("shell", False) is not False:
        yield name
    if name.startswith("subprocess.") and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
        yield name
    is_load = name.endswith((".load", ".load_replay_buffer", ".load_from_pkl"))
    if of_the_package and is_load and name not in SAFE_WITH and name not in HARMLESS_LOADS | FORBIDDEN:
        yield name


@cache
def dangers_of(name):
    """The same for a file of the repository."""
    return set(dangers((ROOT / name).read_text(), of_the_package=not name.startswith("tests/")))


def test_no_code_that_came_as_data_is_run():
    assert FILES
    found = {name: dangers_of(name) - ALLOWED.get(name, set()) for name in FILES}
    assert not {name: names for name, names in found.items() if names}


def test_every_exception_is_still_needed():
    assert not [name for name, allowed in ALLOWED.items() if not dangers_of(name) & allowed]


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "return_value = exec, (text,)",
        "import os\nos.system('ls')",
        "from os import system as run\nrun('ls')",
        "import pickle\npickle.load(file)",
        "from pickle import loads\nloads(content)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.lib.format.read_array(file)",
        "import torch\ntorch.load(path)",
        "import torch as th\nth.load(path, weights_only=False)",
        "import torch as th\nth.load(path, weights_only=wanted)",
        "import yaml\nyaml.load(text)",
        "from stable_baselines3.common.save_util import load_from_zip_file\nload_from_zip_file(path)",
        "from stable_baselines3 import SAC\nSAC.load(path)",
        "model.load_replay_buffer(path)",
        "import subprocess\nsubprocess.run('ls -l')",
        "import subprocess\nsubprocess.run(f'ls {path}')",
        "import subprocess\nsubprocess.run(['ls'], shell=True)",
    ],
)
def test_the_reader_of_dangers_sees_every_form(source):
    assert list(dangers(source))


@pytest.mark.parametrize(
    "source",
    [
        "net.eval()",
        "import numpy as np\nnp.load(path)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import json\njson.loads(text)",
        "import subprocess\nsubprocess.run(['ls', path], check=True)",
        "import re\nre.compile(pattern)",
    ],
)
def test_the_reader_of_dangers_lets_the_rest_pass(source):
    assert not list(dangers(source))


def test_the_commands_write_where_they_were_told_and_nowhere_else(tmp_path):
    folders = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "work")}
    for folder in folders.values():
        folder.mkdir()
    environment = {**os.environ, **{name: str(path) for name, path in folders.items() if name != "work"}}

    task = ["--env", "InvertedPendulum-v5", "--noise", "0.5", "--width", "8", "--buffer-size", "200", "--recipe", "set"]
    trained = [*task, "-n", "120", "--eval-freq", "60", "--eval-episodes", "1", "-f", "told", "-P"]
    evaluated = ["told", "--episodes", "1", "--json", "told/figures.json"]
    code = f"import siftrl.train, siftrl.evaluate as e, sys; sys.exit(siftrl.train.main({trained}) or e.main({evaluated}))"
    subprocess.run([sys.executable, "-c", code], cwd=folders["work"], env=environment, check=True, capture_output=True)
    written = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {("work", "told")}
