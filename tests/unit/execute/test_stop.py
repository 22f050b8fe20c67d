"""Ctrl-C asks politely once; the second one means it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from rushes.execute import StopSignal
from rushes.execute.stop import HEARD


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


def test_the_first_ctrl_c_is_answered_at_once_and_only_once(capfd: pytest.CaptureFixture[str]) -> None:
    with StopSignal().listening():
        os.kill(os.getpid(), signal.SIGINT)
        # Read inside the block: the item in hand is not over yet.
        assert capfd.readouterr().err.strip() == HEARD.strip()
        assert "again to stop at once" in HEARD
        os.kill(os.getpid(), signal.SIGTERM)
        assert capfd.readouterr().err == ""


def test_a_closed_terminal_does_not_turn_the_request_into_an_error() -> None:
    kept = os.dup(2)
    try:
        with StopSignal().listening() as stop:
            os.close(2)
            os.kill(os.getpid(), signal.SIGTERM)
            os.dup2(kept, 2)
            assert stop.requested
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_other_threads_have_nothing_to_listen_to() -> None:
    seen: list[bool] = []

    def listen() -> None:
        with StopSignal().listening() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [False]
