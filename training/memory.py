"""Memory: whether the replay will fit, before anything is allocated."""

from __future__ import annotations

from pathlib import Path


def available_memory() -> int:
    """Bytes that this process can still take, the limit of a container included."""
    import psutil

    free = psutil.virtual_memory().available
    limit, used = (_read_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    return free if limit is None or used is None else min(free, max(limit - used, 0))


def _read_number(path: Path) -> int | None:
    # "max" means no limit; on other systems and older kernels the file does not exist.
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def human_bytes(count: float) -> str:
    """A number of bytes for people.

    Example:
        >>> human_bytes(278_400_000_000)
        '278.4 GB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def check_network_fits(n_features: int, width: int, available: int | None = None) -> None:
    """Refuse a network whose input layer would not fit: even a sparse one is drawn dense, one layer at a time.

    Args:
        n_features: that it reads.
        width: units of its first hidden layer.
        available: bytes that may be used; ``None`` asks the machine.

    Raises:
        ValueError: where they are too few.
    """
    available = available_memory() if available is None else available
    needed = 4 * n_features * width
    if needed > available:
        raise ValueError(
            f"an input layer of {width:,} units for {n_features:,} features takes {human_bytes(needed)} while it is drawn, "
            f"but {human_bytes(available)} are free. Use less noise, or a smaller width."
        )


def check_fits(nbytes: int, capacity: int, filled: int, available: int | None = None) -> None:
    """Refuse a replay that would not fit. It takes memory as it fills: a short run never needs all of a large one.

    Args:
        nbytes: what it takes when full.
        capacity: transitions it holds when full.
        filled: transitions it will hold at the end of the run.
        available: bytes that may be used; ``None`` asks the machine.

    Raises:
        ValueError: with a size that would fit.
    """
    available = available_memory() if available is None else available
    filled = min(filled, capacity)
    needed = nbytes * filled // capacity
    if needed <= available:
        return
    # Networks, batches and the environments want their share too.
    fitting = int(0.8 * available * capacity / nbytes)
    magnitude = 10 ** max(len(str(fitting)) - 1, 0)
    advice = f"a smaller replay (--buffer-size {fitting // magnitude * magnitude}), " if fitting else ""
    raise ValueError(
        f"a replay of {filled:,} transitions takes {human_bytes(needed)}, but {human_bytes(available)} are free. "
        f"Use {advice}less noise, or a task with fewer features."
    )
