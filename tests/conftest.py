"""Settings of the whole suite."""

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from siftrl.envs import noise_source, noise_tables
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]

# Networks this small only wait for a second thread, for seconds on a busy machine.
torch.set_num_threads(1)
threadpool_limits(1, user_api="blas")

# The suite asserts no times: a first call compiles a kernel, and the machine may be busy.
settings.register_profile("siftrl", deadline=None)
settings.load_profile("siftrl")


# Handed out first: they take minutes, and whoever got one last would be waited for.
LONG = (
    "sweeps/test_command.py",
    "experiments/test_kill_and_resume.py",
    "training/test_run_state.py",
    "training/test_launch.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


class RootIsNoPackageOfTests:
    """Keeps pytest from importing the root by its folder's name, which need be no identifier: ``siftrl-main``."""

    def pytest_collect_directory(self, path, parent):
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config):
    config.pluginmanager.register(RootIsNoPackageOfTests())


@pytest.fixture(scope="module")
def short_tables():
    """Tables of noise that are quick to make, for tests whose results do not hang on how long they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise_tables, "_LENGTH", 2**18)
        patch.setattr(noise_tables, "_SHORTEST_PART", 2**12)
        patch.setattr(noise_source, "table", lru_cache(noise_tables.table.__wrapped__))
        yield
