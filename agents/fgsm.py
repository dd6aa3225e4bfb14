"""An adversary between the sensors and the policy: the fast gradient sign method."""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

_FIRST_STEP = 0.5  # share of epsilon


class FastGradientSign(VecEnvWrapper):
    """Shift each feature by epsilon standard deviations, to where the policy's deterministic action changes most.

    The gradient is that of the squared change of the action. At no shift at all it is zero, so it is taken after a shift by
    half of epsilon in a random direction. The task goes on as it is: only what is seen of it changes.

    Args:
        venv: the environments.
        policy: an SB3 policy with continuous actions that reads their observations; its weights are left alone.
        epsilon: size of the shift of each feature, in its standard deviations.
        std: of each feature, float (n_features,).
        seed: of the random directions.

    Raises:
        ValueError: where actions or observations are no vectors of numbers, or an argument is out of its range.

    Source:
        Goodfellow et al., Explaining and harnessing adversarial examples (ICLR 2015); the change of action as the goal and
        the random start are Zhang et al., Robust deep reinforcement learning against adversarial perturbations on state
        observations (NeurIPS 2020), with one step instead of many.

    Example:
        >>> from stable_baselines3 import TD3
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> model = TD3("MlpPolicy", "Pendulum-v1", seed=0, buffer_size=1)
        >>> clean, seen = make_vec_env("Pendulum-v1", seed=0), make_vec_env("Pendulum-v1", seed=0)
        >>> seen = FastGradientSign(seen, model.policy, epsilon=0.5, std=np.array([0.1, 0.1, 1.0]))
        >>> np.abs(seen.reset() - clean.reset()).round(4)
        array([[0.05, 0.05, 0.5 ]], dtype=float32)
    """

    def __init__(self, venv: VecEnv, policy: BasePolicy, epsilon: float, std: np.ndarray, seed: int = 0) -> None:
        if not isinstance(policy.action_space, spaces.Box):
            raise ValueError(f"fgsm needs continuous actions (a Box), not {policy.action_space}.")
        shape = venv.observation_space.shape
        if not isinstance(venv.observation_space, spaces.Box) or len(shape) != 1:
            raise ValueError(f"fgsm needs vectors of numbers as observations, not {venv.observation_space}.")
        if not 0 <= epsilon < np.inf:
            raise ValueError(f"epsilon must be 0 or more, not {epsilon!r}.")
        if np.shape(std) != shape or not (np.isfinite(std) & (np.asarray(std) >= 0)).all():
            raise ValueError(f"std must be numbers of 0 or more, of shape {shape}.")
        super().__init__(venv, observation_space=spaces.Box(-np.inf, np.inf, shape, venv.observation_space.dtype))
        self.policy = policy
        self.shift = epsilon * np.asarray(std, np.float64)
        self._rng = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        """Reset the environments and shift what they observe."""
        return self._shifted(self.venv.reset())

    def step_wait(self) -> VecEnvStepReturn:
        """Step the environments and shift what they observe."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return self._shifted(observations), rewards, dones, infos

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the environments, and the random directions with them."""
        self._rng = np.random.default_rng(seed)
        return self.venv.seed(seed)

    def _shifted(self, observations: np.ndarray) -> np.ndarray:
        directions = self._rng.choice((-1.0, 1.0), observations.shape)
        gradient = self._gradient(observations, observations + _FIRST_STEP * self.shift * directions)
        return (observations + self.shift * np.sign(gradient)).astype(observations.dtype)

    def _gradient(self, observations: np.ndarray, shifted: np.ndarray) -> np.ndarray:
        """Of the squared change of the action, with respect to the shifted observations; float64 as they."""
        self.policy.set_training_mode(False)
        device = self.policy.device
        with th.no_grad():
            action = self.policy._predict(th.as_tensor(observations, dtype=th.float32, device=device), deterministic=True)
        seen = th.as_tensor(shifted, dtype=th.float32, device=device).requires_grad_()
        change = (self.policy._predict(seen, deterministic=True) - action).square().sum()
        (gradient,) = th.autograd.grad(change, seen)
        return gradient.cpu().numpy()
