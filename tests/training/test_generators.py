"""Global generators: all three go on from where they were."""

import random

import numpy as np
import torch
from siftrl.training.generators import generator_states, set_generator_states


def draws():
    return [random.random(), random.gauss(0, 1), np.random.normal(), np.random.randint(9), *torch.randn(3).tolist()]


def test_draws_repeat_from_a_state():
    draws()  # an odd number of normal draws: the second of a pair is kept for later
    states = generator_states()
    first = draws()
    assert draws() != first
    set_generator_states(states)
    assert draws() == first
