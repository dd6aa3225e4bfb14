"""An adversary between the sensors and the policy: the fast gradient sign method."""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn


class FastGradientSign(VecEnvWrapper):
    """Shift each feature by epsilon standard deviations, so that the policy's deterministic action goes astray.

    The gradient is that of the sum of the action's components, each times 1 or -1, drawn once for each episode: an adversary
    that changes its mind in every step pushes actions to and fro, and does little. The task goes on as it is: only what is
    seen of it changes.

    Args:
        venv: the environments.
        policy: an SB3 policy with continuous actions that reads their observations; its weights are left alone.
        epsilon: size of the shift of each feature, in its standard deviations.
        std: of each feature, float (n_features,).
        seed: of the sides to which actions are pushed.

    Raises:
        ValueError: where actions or observations are no vectors of numbers, or an argument is out of its range.

    Source:
        Goodfellow et al., Explaining and harnessing adversarial examples (ICLR 2015), for policies Huang et al., Adversarial
        attacks on neural network policies (2017). They raise the loss of the action that was meant, which is at its least
        without a shift where actions are continuous; the side that is kept for an episode is ours.

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
        self._sides = self._drawn(self.num_envs)

    def reset(self) -> np.ndarray:
        """Reset the environments and shift what they observe."""
        self._sides = self._drawn(self.num_envs)
        return self._shifted(self.venv.reset())

    def step_wait(self) -> VecEnvStepReturn:
        """Step the environments and shift what they observe."""
        observations, rewards, dones, infos = self.venv.step_wait()
        self._sides[dones] = self._drawn(int(dones.sum()))
        return self._shifted(observations), rewards, dones, infos

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the environments, and the sides with them."""
        self._rng = np.random.default_rng(seed)
        return self.venv.seed(seed)

    def _shifted(self, observations: np.ndarray) -> np.ndarray:
        return (observations + self.shift * np.sign(self._gradient(observations))).astype(observations.dtype)

    def _drawn(self, n: int) -> np.ndarray:
        return self._rng.choice((-1.0, 1.0), (n, *self.policy.action_space.shape))

    def _gradient(self, observations: np.ndarray) -> np.ndarray:
        """Of how far the action is on its side, with respect to the observations, float32."""
        self.policy.set_training_mode(False)
        device = self.policy.device
        seen = th.as_tensor(observations, dtype=th.float32, device=device).requires_grad_()
        actions = self.policy._predict(seen, deterministic=True)
        sides = th.as_tensor(self._sides, dtype=th.float32, device=device)
        (gradient,) = th.autograd.grad((actions * sides).sum(), seen)
        return gradient.cpu().numpy()
