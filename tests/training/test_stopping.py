"""Stopping: the first signal is remembered, the second one interrupts."""

import os
import signal

import pytest
from siftrl.training.stopping import StopOnRequest, Stopped, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered_and_the_second_interrupts(number):
    with StopRequest() as stop:
        callback = StopOnRequest(stop)
        callback.on_rollout_start()
        os.kill(os.getpid(), number)
        assert stop.signal == number
        assert callback._on_step()  # a step that was begun is ended
        with pytest.raises(Stopped):
            callback.on_rollout_start()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
