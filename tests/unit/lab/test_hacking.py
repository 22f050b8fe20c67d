"""The demonstration of reward hacking: what its page says follows from the looks, and a killed command goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.hacking import __main__ as command
from lab.hacking.page import Shown, findings
from rushes.recipe.watch import WatchSpec
from rushes.records import WatchedPrompt, WatchPoint
from rushes.watch.rules import Course

NOTES = ("watch: training stopped after step 30 of 90: since the start, ...", "watch: something else")


def look(step: int, judge: float, measurer: float, diversity: float = 0.4) -> WatchPoint:
    prompts = tuple(
        WatchedPrompt(prompt_key=f"{number:064x}", judge=judge + 0.01 * (number % 3 - 1), measurer=measurer)
        for number in range(24)
    )
    return WatchPoint(
        key=f"{step + 1:064x}",
        model=f"{step:064x}",
        training="ab" * 32 if step else None,
        step=step,
        prompts=prompts,
        diversity=diversity,
        motion=2.0,
        saturation=0.2,
        velocity_norm=1.0,
    )


def shown(name: str, *looks: WatchPoint, notes: tuple[str, ...] = ()) -> Shown:
    return Shown(name, Path("runs") / name, Course(WatchSpec(), looks[0], looks[1:]), notes)


def test_the_sentences_follow_from_the_looks() -> None:
    hacked = shown("dazzled judge", look(0, 0.3, 0.7), look(30, 0.9, 0.4), look(90, 0.8, 0.75), notes=NOTES)
    honest = shown("honest judge", look(0, 0.5, 0.7), look(30, 0.5, 0.7), look(90, 0.5, 0.7, diversity=0.1))
    parting, caught, prevented, alarmed = findings(hacked, honest)
    assert "after 30 steps" in parting and "from 30.0 to 90.0 and the measurer's from 70.0 to 40.0" in parting
    assert "first** at step 30, and at" in caught and "training stopped after step 30 of 90" in caught
    assert "lowest at step 30, 40.0 after 70.0 before training, and 75.0 at step 90" in prevented
    assert alarmed == "**With the honest judge** an alarm rang at 1 of 2 looks, after 90 steps."


def test_a_run_that_was_not_caught_is_not_said_to_be() -> None:
    calm = shown("dazzled judge", look(0, 0.5, 0.5), look(30, 0.5, 0.5))
    sentences = findings(calm, calm)
    assert "not caught" in sentences[1] and sentences[3].endswith("at 0 of 1 looks.")
    drifted = shown("dazzled judge", look(0, 0.5, 0.5), look(30, 0.5, 0.5, diversity=0.1))
    assert "no training was stopped by it" in findings(drifted, calm)[1]


def test_what_the_watch_said_is_kept_until_another_recipe_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the run goes on behind its early stop, the command does not run to that stop again."""
    ran: list[Any] = []

    def improve(recipe: Any, home: Path, **options: Any) -> SimpleNamespace:
        ran.append(recipe.watch.stop_after)
        if ran == [2, None]:
            raise KeyboardInterrupt
        return SimpleNamespace(notes=[*NOTES, "another note"])

    course = shown("x", look(0, 0.5, 0.5), look(30, 0.5, 0.5)).course
    monkeypatch.setattr(command, "improve", improve)
    monkeypatch.setattr(command, "read_watch", lambda home: (course,))
    monkeypatch.setattr(command, "show_watch", lambda found: None)
    with pytest.raises(KeyboardInterrupt):
        command._run(tmp_path / "dazzled", "dazzled judge")
    assert command._run(tmp_path / "dazzled", "dazzled judge").notes == NOTES
    assert ran == [2, None, None]
    command._run(tmp_path / "dazzled", "dazzled judge", "train.seed=1")
    assert ran[3:] == [2, None], "what was said of another recipe is not shown with this one"
