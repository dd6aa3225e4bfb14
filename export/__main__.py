"""``python -m siftrl.export``, the same as ``siftrl-export``."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
