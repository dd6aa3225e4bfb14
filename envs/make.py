"""Build extremely noisy environments from their task's id, and register them with Gymnasium."""


def register_envs() -> None:
    """Register the ``siftrl/ENE-*`` ids with Gymnasium."""
