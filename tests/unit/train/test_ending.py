"""Training processes that do not stop are waited for as long as that can gain something, then killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes.train import ending as module
from rushes.train.ending import GRACE_S, SAVING_S, Patience, ending


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def over_after(patience: Patience, clock: Clock, *, is_frozen: bool = False) -> float:
    """Seconds from now after which it is over, in halves."""
    began = clock.now
    while not patience.is_over(is_frozen=is_frozen):
        clock.now += 0.5
    return clock.now - began


def test_before_the_first_step_nothing_can_be_lost(clock: Clock) -> None:
    patience = Patience(clock)
    clock.now += 900
    assert over_after(patience, clock) == GRACE_S + 0.5


def test_a_step_may_take_as_long_as_the_longest_before_it(clock: Clock) -> None:
    patience = Patience(clock)
    for seconds in (20, 90, 10):
        clock.now += seconds
        patience.step_done()
    assert over_after(patience, clock) == 90.5


def test_quick_steps_get_a_moment(clock: Clock) -> None:
    patience = Patience(clock)
    for _ in range(3):
        clock.now += 0.1
        patience.step_done()
    assert over_after(patience, clock) == GRACE_S + 0.5


def test_a_halted_process_is_not_waited_for(clock: Clock) -> None:
    patience = Patience(clock)
    clock.now += 90
    patience.step_done()
    assert over_after(patience, clock, is_frozen=True) == GRACE_S + 0.5


def test_storing_the_state_has_time_of_its_own(clock: Clock) -> None:
    patience = Patience(clock)
    patience.step_done()
    assert not patience.is_over(is_frozen=False)
    clock.now += 2
    patience.told()
    assert over_after(patience, clock) == SAVING_S + 0.5


@pytest.fixture
def halted(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process at work in a folder, which has been halted."""
    command = [sys.executable, "-c", "input()", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists all processes in files")
def test_only_what_works_in_the_folder_is_killed_and_only_once_it_was_asked(
    halted: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    asked, was_polled, patience = threading.Event(), threading.Event(), Patience()

    def should_stop() -> bool:
        was_polled.set()
        return asked.is_set()

    with ending(tmp_path / "other", Patience(), lambda: True), ending(tmp_path, patience, should_stop):
        assert was_polled.wait(60)
        assert halted.poll() is None and not patience.has_ended_them
        asked.set()
        assert halted.wait(60) == -signal.SIGKILL
    assert patience.has_ended_them
