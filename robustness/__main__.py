"""``python -m siftrl.robustness``, the same as ``siftrl-robustness``."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
