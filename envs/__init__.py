"""Extremely noisy environments (ENE): Gymnasium wrappers that bury a task in noise, or let its sensors fail."""

from .corrupt import CorruptFeatures
from .corruptions import CORRUPTIONS
from .histogram import FeatureHistogram
from .make import make_ene, register_envs
from .noise import NoiseFeatures, total_features
from .noise_source import NoiseSource
from .permute import Permutations, PermuteFeatures

__all__ = [
    "CORRUPTIONS",
    "CorruptFeatures",
    "FeatureHistogram",
    "NoiseFeatures",
    "NoiseSource",
    "Permutations",
    "PermuteFeatures",
    "make_ene",
    "register_envs",
    "total_features",
]
