"""Which observation spaces the wrappers of this package take."""

import gymnasium as gym


def flat_box(env: gym.Env, needed_by: str) -> gym.spaces.Box:
    """Return the environment's observation space if it is a vector of numbers.

    Args:
        env: the environment.
        needed_by: who asks, for the error message.

    Raises:
        TypeError: the observation space is no Box.
        ValueError: the Box has another number of axes than one.

    Example:
        >>> flat_box(gym.make("CartPole-v1"), "NoiseFeatures").shape
        (4,)
    """
    space = env.observation_space
    if not isinstance(space, gym.spaces.Box):
        raise TypeError(f"{needed_by} needs an environment with a Box observation space, got {space}")
    if len(space.shape) != 1:
        raise ValueError(
            f"{needed_by} needs observations with one axis, got shape {space.shape}: "
            "wrap the environment in gymnasium.wrappers.FlattenObservation first"
        )
    return space
