"""Progress: plain lines at a bearable rate, a bar on a terminal, the time left."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from dataclasses import replace
from typing import Any

import pytest

from rushes.execute.display import ProgressDisplay
from rushes.execute.progress import ProgressUpdate, duration_text, progress_line
from rushes.execute.stop import HEARD, StopSignal


def update(num_done: int, elapsed_s: float, *, num_before: int = 0, num_failed: int = 0) -> ProgressUpdate:
    return ProgressUpdate("clips", 40, num_before, num_done, num_failed, elapsed_s)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_time_left_counts_only_what_this_call_did() -> None:
    assert update(20, 0.0, num_before=20).left_s is None
    assert update(30, 10.0, num_before=20).left_s == 10.0
    assert update(30, 10.0, num_before=20, num_failed=10).left_s == 0.0


def test_lines_say_what_matters() -> None:
    assert progress_line(update(12, 30.0, num_failed=1)) == "clips 12/40, 1 failed, 30 s, 1 min 02 s left"
    assert progress_line(update(40, 30.0)) == "clips 40/40, 30 s"
    assert progress_line(update(10, 0.0, num_before=10)) == "clips 10/40, 10 from before, 0 s"


def test_plain_lines_are_rate_limited_and_the_last_one_always_shows() -> None:
    stream = io.StringIO()
    events: list[dict[str, Any]] = []
    now = 0.0
    with ProgressDisplay(stream, lambda event, **fields: events.append(fields), clock=lambda: now) as display:
        for step in range(41):
            now = step * 1.0
            display(update(step, now))
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"clips {n}/40" for n in (0, 10, 20, 30, 40)]
    assert [event["num_done"] for event in events] == [0, 10, 20, 30, 40]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def last(self) -> list[str]:
        """What the last drawing left, line by line."""
        text = re.sub(r"\x1b\[\??[\d;]*[A-Za-z]", "\r", re.sub(r"\x1b\[[\d;]*m", "", self.getvalue()))
        return [line.strip() for line in re.split(r"\r+", text)[-2].splitlines()]


def shown_on(columns: int, *updates: ProgressUpdate, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with ProgressDisplay(stream) as display:
        for each in updates:
            display(each)
    return stream.last


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = [replace(update(step, step * 1.0), note="mean 0.50") for step in (0, 20, 40)]
    (line,) = shown_on(100, *updates, monkeypatch=monkeypatch)
    assert line.startswith("clips") and "━" in line and line.endswith("40/40      0 s mean 0.50")
    (line,) = shown_on(60, *updates, monkeypatch=monkeypatch)
    assert line == "clips 40/40 0 s mean 0.50"


def test_passes_over_one_kind_of_work_are_added_up_and_stages_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(stage: str, num: int) -> list[ProgressUpdate]:
        return [ProgressUpdate("clips", num, 0, done, 0, 1.0, during=stage) for done in (0, num)]

    lines = shown_on(60, *part("diagnose", 4), *part("measure", 4), *part("measure", 2), monkeypatch=monkeypatch)
    assert lines == ["measure: clips 6/6 0 s"]
    resumed = [ProgressUpdate("clips", 9, 4, 9, 0, 1.0, during="measure")]
    lines = shown_on(60, *part("measure", 4), *resumed, monkeypatch=monkeypatch)
    assert lines == ["measure: clips 9/9 0 s"]
    assert progress_line(part("measure", 2)[-1]) == "measure: clips 2/2, 1 s"


def test_ctrl_c_is_answered_below_the_bars_and_not_through_them(capfd: pytest.CaptureFixture[str]) -> None:
    stream = Terminal()
    with StopSignal().listening():
        with ProgressDisplay(stream) as display:
            display(update(1, 1.0))
            os.kill(os.getpid(), signal.SIGINT)
            until = time.monotonic() + 20
            while HEARD.strip() not in stream.getvalue() and time.monotonic() < until:
                time.sleep(0.01)
            assert HEARD.strip() in stream.getvalue()
        assert capfd.readouterr().err == "", "it would move the cursor away from the bars"
    assert [line.split()[0] for line in stream.last] == ["clips"], "the hint goes when the bars are done"
    with StopSignal().listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert capfd.readouterr().err.strip() == HEARD.strip()
