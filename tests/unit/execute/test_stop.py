"""Ctrl-C asks politely once; the second one means it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rushes.execute import StopSignal
from rushes.execute import stop as stop_module
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


def within_a_long_call(num: int) -> None:
    """Press Ctrl-C while the main thread is in a call of a library, which lets other threads run."""

    def press() -> None:
        for _ in range(num):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        pressed.set()

    pressed = threading.Event()
    thread = threading.Thread(target=press)
    thread.start()
    while not pressed.is_set():
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)
    thread.join()


def test_two_that_come_within_one_call_of_a_library_are_two() -> None:
    """Python then calls a handler once for both."""
    with pytest.raises(KeyboardInterrupt), StopSignal().listening():
        within_a_long_call(2)
        threading.Event().wait(60)


def test_one_that_comes_within_a_call_of_a_library_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    """Although two threads hear of it."""
    with StopSignal().listening() as stop:
        within_a_long_call(1)
        assert stop.requested
    assert capfd.readouterr().err.strip() == HEARD.strip()


ENDLESS = """
import ctypes, threading
from rushes.execute import stop
stop.LAST_S = 0.1
with stop.exiting(130), stop.StopSignal().listening():
    mutex = ctypes.create_string_buffer(256)
    threading.Timer(0.5, lambda: print("ready", flush=True)).start()  # by then the main thread is in the call
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)  # the second time without end
"""


def test_a_call_that_does_not_come_back_is_ended_by_the_second_ctrl_c() -> None:
    command = [sys.executable, "-c", ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert "press Ctrl-C again to stop at once" in process.stderr.readline() + process.stderr.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "run the same command to resume" in process.stderr.read()


def test_a_program_that_is_not_ours_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook, for example: there the exception is all."""
    ended: list[int] = []
    monkeypatch.setattr(stop_module, "LAST_S", 0.0)
    monkeypatch.setattr(os, "_exit", ended.append)
    with StopSignal().listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        (counter,) = [each for each in threading.enumerate() if each.name == "rushes-stop"]
    counter.join(60)
    assert not counter.is_alive() and not ended


def test_a_forked_process_does_not_speak_for_its_parent() -> None:
    with StopSignal().listening() as stop:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, lambda number, frame: os._exit(7))
            os.kill(os.getpid(), signal.SIGINT)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)  # a second one would be heard within that
        assert stop.requested
