"""One torch thread for the whole suite: networks this small only wait for a second one, for seconds on a busy machine."""

import torch

torch.set_num_threads(1)
