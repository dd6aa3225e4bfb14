"""Settings of the whole suite."""

import torch
from hypothesis import settings

# Networks this small only wait for a second thread, for seconds on a busy machine.
torch.set_num_threads(1)

# The suite asserts no times: a first call compiles a kernel, and the machine may be busy.
settings.register_profile("siftrl", deadline=None)
settings.load_profile("siftrl")
