"""The sparse engine: layers that hold their links and nothing else, and recipes that rewire them. Knows nothing of RL."""

from .convert import sparse_layers, sparsify
from .convolution import SparseConv
from .evolution import Evolution, evolve
from .linear import SparseLinear
from .recipes import Recipe
from .strength import feature_strength
from .topology import Topology

__all__ = [
    "Evolution",
    "Recipe",
    "SparseConv",
    "SparseLinear",
    "Topology",
    "evolve",
    "feature_strength",
    "sparse_layers",
    "sparsify",
]
