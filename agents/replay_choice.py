"""Which replay buffer an agent gets: the one that regenerates noise where the environment has some, else SB3's own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize

from .replay import NO_VECNORMALIZE, NoiseReplayBuffer

_CHOSEN = "siftrl_replay_kwargs"  # an attribute of the model, saved with it: which replay_buffer_kwargs were chosen here


def noise_replay_kwargs(env: VecEnv) -> dict[str, Any] | None:
    """Read from the environments what a :class:`~siftrl.agents.replay.NoiseReplayBuffer` must know of them.

    Args:
        env: a vector of environments.

    Returns:
        ``noise_source`` and ``permutations`` for ``replay_buffer_kwargs``, or ``None`` where the environments have no
        noise features or show them otherwise than they come.

    Raises:
        ValueError: environments with different noise or orders, or within a VecNormalize.
    """
    if not env.has_attr("noise_source"):
        return None
    if env.has_attr("corrupts_noise") and any(env.get_attr("corrupts_noise")):
        return None
    sources = set(env.get_attr("noise_source"))
    series = set(env.get_attr("permutations")) if env.has_attr("permutations") else {None}
    if len(sources) > 1 or len(series) > 1:
        raise ValueError(
            f"env must be a vector of equal environments, got {len(sources)} noise sources and {len(series)} permutations"
        )
    source, permutations = sources.pop(), series.pop()
    if env.observation_space.shape != (source.n_features,):
        return None
    if unwrap_vec_normalize(env) is not None:
        raise ValueError(NO_VECNORMALIZE)
    if permutations is not None and permutations.n_features != source.n_features:
        permutations = None  # the task's own features are permuted, below the noise
    return {"noise_source": source, "permutations": permutations}


def choose_replay_buffer(model: OffPolicyAlgorithm) -> None:
    """Let an agent use :class:`~siftrl.agents.replay.NoiseReplayBuffer` if its environment is an extremely noisy one.

    A ``replay_buffer_class`` of the user's own stays. Elsewhere the agent keeps SB3's buffer, with a warning if options
    of the noise replay were given. What was chosen here for an agent that was saved since is chosen anew.

    Args:
        model: whose ``replay_buffer_class`` and ``replay_buffer_kwargs`` are set; it has no buffer yet.

    Raises:
        ValueError: see :func:`noise_replay_kwargs`.
    """
    if model.env is None:
        return
    chosen = getattr(model, _CHOSEN, [])
    if chosen and model.replay_buffer_class is NoiseReplayBuffer:
        model.replay_buffer_class = None
    given = {name: value for name, value in model.replay_buffer_kwargs.items() if name not in chosen}
    model.replay_buffer_kwargs = given
    setattr(model, _CHOSEN, [])
    if model.replay_buffer_class not in (None, NoiseReplayBuffer):
        return
    from_env = noise_replay_kwargs(model.env)
    if from_env is not None:
        model.replay_buffer_class = NoiseReplayBuffer
        defaults = {"n_steps": model.n_steps, "gamma": model.gamma, "seed": model.seed}
        model.replay_buffer_kwargs = {**defaults, **given, **from_env}
        setattr(model, _CHOSEN, [name for name in model.replay_buffer_kwargs if name not in given])
    elif model.replay_buffer_class is None:
        unused = [name for name in ("replay_noise", "on_permute") if name in model.replay_buffer_kwargs]
        model.replay_buffer_kwargs = {k: v for k, v in model.replay_buffer_kwargs.items() if k not in unused}
        if unused:
            warnings.warn(
                f"{' and '.join(unused)} have no effect: the environment has no noise features to regenerate, "
                "so SB3's own replay buffer stores whole observations",
                stacklevel=3,
            )


@contextlib.contextmanager
def n_steps_taken_over() -> Iterator[None]:
    """Keep SB3 quiet within the block about ``n_steps`` and a replay of another class, where that is ours and has them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*n_steps=.* is ignored .*NoiseReplayBuffer")
        yield
