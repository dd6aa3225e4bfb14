"""Stopping early: the first Ctrl-C lets the current step and update end, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback


class StopRequest:
    """While entered, remembers SIGINT (Ctrl-C) and SIGTERM instead of letting them break into an optimiser step.

    A second one interrupts at once, as usual.

    Attributes:
        signal: number of the signal that asked for the stop; ``None`` before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python allows signal handlers in the main thread only.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


class Stopped(Exception):  # noqa: N818 - no error: the user asked for it
    """Leaves training at a point from which it can go on as if it had not been left."""


class StopOnRequest(BaseCallback):
    """Raises :class:`Stopped` before the next environment step once a stop was requested."""

    def __init__(self, request: StopRequest) -> None:
        super().__init__()
        self.request = request

    def _on_rollout_start(self) -> None:
        if self.request.signal is not None:
            raise Stopped

    def _on_step(self) -> bool:
        return True
