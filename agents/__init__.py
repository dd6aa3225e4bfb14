"""SAC and TD3 with sparse actors and critics, on Stable-Baselines3."""

from .oracle import Oracle
from .policies import SparseSACPolicy, SparseTD3Policy
from .quiet_start import QuietStart
from .replay import NoiseReplayBuffer
from .sac import SAC
from .sift import Sift
from .td3 import TD3

__all__ = ["SAC", "TD3", "NoiseReplayBuffer", "Oracle", "QuietStart", "Sift", "SparseSACPolicy", "SparseTD3Policy"]
