"""SiftRL: sparse reinforcement-learning agents that rewire themselves and find the sensors that matter.

Importing this package registers the ``siftrl/ENE-*`` environments with Gymnasium and loads neither torch nor numba.
"""

from .envs.make import register_envs

__version__ = "0.1.0"

register_envs()
