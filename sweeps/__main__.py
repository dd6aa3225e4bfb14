"""``python -m siftrl.sweeps``: the same as ``siftrl-sweep``."""

import sys

from .command import main

sys.exit(main())
