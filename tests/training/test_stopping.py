"""Stopping: the first signal is remembered, the second one interrupts."""

import os
import signal

import pytest
from siftrl.training.stopping import StopOnRequest, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_remembered_and_the_second_interrupts(number):
    with StopRequest() as stop:
        callback = StopOnRequest(stop)
        assert callback._on_step()
        os.kill(os.getpid(), number)
        assert stop.signal == number
        assert not callback._on_step()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
