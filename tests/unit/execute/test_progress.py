"""Progress: plain lines at a bearable rate, a bar on a terminal, the time left."""

from __future__ import annotations

import io
from typing import Any

import pytest

from rushes.execute.progress import ProgressDisplay, ProgressUpdate, duration_text, progress_line


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


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with ProgressDisplay(stream) as display:
        for step in (0, 20, 40):
            display(update(step, step * 1.0, num_failed=0))
    assert "clips" in stream.getvalue()
    assert "40/40" in stream.getvalue()
