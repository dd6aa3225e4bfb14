"""Say how the environment that runs this differs from constraints.txt: other versions, and what is not pinned at all.

python .ci/pins.py          # prints, and ends with 1 if anything that siftrl installs has another version or no pin
python .ci/pins.py --show   # prints, and ends with 0
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
INSTALLERS = {"pip", "setuptools", "wheel", "siftrl"}


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """The versions in constraints.txt, by name."""
    lines = CONSTRAINTS.read_text().splitlines()
    return {canonical(name): version for name, version in (line.split("==") for line in lines if "==" in line)}


def installed() -> dict[str, str]:
    """The versions here, by name, without the label of a build: ``2.13.0`` for ``2.13.0+cpu``."""
    found = {canonical(there.metadata["Name"]): there.version.partition("+")[0] for there in distributions()}
    return {name: version for name, version in sorted(found.items()) if name not in INSTALLERS}


def main() -> int:
    """Print the differences."""
    pins = pinned()
    lines = [
        f"{name} {there}: {pins.get(name, 'not')} pinned" for name, there in installed().items() if pins.get(name) != there
    ]
    print("\n".join(lines) or "All that is installed has the version that constraints.txt pins.")
    return 1 if lines and "--show" not in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
