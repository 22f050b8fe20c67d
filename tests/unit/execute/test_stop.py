"""Ctrl-C asks politely once; the second one means it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from rushes.execute import StopSignal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_becomes_a_request_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = StopSignal()
    with stop.listening():
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_interrupts() -> None:
    with StopSignal().listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_have_nothing_to_listen_to() -> None:
    seen: list[bool] = []

    def listen() -> None:
        with StopSignal().listening() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [False]
