"""Files: read once, broken ones named, Diversity from all clips of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from rushes.records import Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes.store.video import read_video
from rushes_vbench.metrics import folder
from rushes_vbench.metrics.folder import ClipFile, Finding, score_files
from rushes_vbench.metrics.scorer import Models
from rushes_vbench.metrics.trackers import LucasKanade
from tests.support.vbench_clips import ScriptedJudge, entry, moved
from tests.unit.vbench.metrics.test_diversity import TinyNet

ENTRIES = (entry("Camera_Motion", "pan_right"), entry("Mechanics", "a?"), entry("Diversity"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files read; reading gives pans of different speed, without a codec."""
    seen: list[str] = []

    def read(path: Path) -> Video:
        if not path.name.startswith("clip"):
            return read_video(path)
        seen.append(path.name)
        return moved(right=-1.0 - 0.2 * len(seen))

    monkeypatch.setattr(folder, "read_video", read)
    return seen


def by_dimension(found: list[Finding]) -> dict[str, list[Finding]]:
    return {name: [each for each in found if each.dimension == name] for name in (e.dimension for e in ENTRIES)}


def test_each_file_is_read_once_for_all_metrics(reads: list[str]) -> None:
    files = [ClipFile(Path(f"clip{i}.mp4"), i, ENTRIES) for i in (1, 0)]
    models = Models(judge=ScriptedJudge(0.9, 0.1), tracker=LucasKanade(), features=TinyNet())
    found = by_dimension(list(score_files(files, "fixed", models)))
    assert reads == ["clip0.mp4", "clip1.mp4"]
    assert [f.sample for f in found["Camera_Motion"]] == [0, 1]
    values = {n: [f.outcome.value for f in fs if isinstance(f.outcome, Scored)] for n, fs in found.items()}
    assert values["Camera_Motion"] == [1.0, 1.0] and values["Mechanics"] == [1.0, 0.0]
    assert len(values["Diversity"]) == 1 and values["Diversity"][0] > 0.0


def test_a_judge_that_fails_for_a_moment_loses_no_score(reads: list[str]) -> None:
    class Busy(ScriptedJudge):
        num_calls = 0

        def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
            self.num_calls += 1
            return [Failed("Http500", "busy")] * len(requests) if self.num_calls < 3 else super().answer(requests)

    files = [ClipFile(Path("clip0.mp4"), 0, ENTRIES[:2])]
    found = by_dimension(list(score_files(files, "fixed", Models(judge=Busy(0.9), tracker=LucasKanade()))))
    assert [isinstance(each.outcome, Scored) for each in found["Mechanics"]] == [True]


def test_a_broken_file_is_unscored_and_loses_nothing_else(reads: list[str], tmp_path: Path) -> None:
    empty = tmp_path / "broken.mp4"
    empty.touch()
    files = [
        ClipFile(Path("clip0.mp4"), 0, ENTRIES),
        ClipFile(empty, 1, ENTRIES),
        ClipFile(tmp_path / "absent.mp4", 2, ENTRIES),
    ]
    models = Models(judge=ScriptedJudge(0.9), tracker=LucasKanade(), features=TinyNet())
    found = by_dimension(list(score_files(files, "fixed", models)))
    good, zero_bytes, absent = (f.outcome for f in found["Camera_Motion"])
    assert isinstance(good, Scored)
    assert isinstance(zero_bytes, Unscored) and "empty" in zero_bytes.reason
    assert isinstance(absent, Unscored) and "missing" in absent.reason
    (whole,) = found["Diversity"]
    assert isinstance(whole.outcome, Unscored) and "clip 1" in whole.outcome.reason and "clip 2" in whole.outcome.reason


def test_a_short_clip_spoils_diversity_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "read_video", lambda path: Video(np.zeros((1, 32, 32, 3), np.uint8), 8.0))
    files = [ClipFile(Path(f"clip{i}.mp4"), i, ENTRIES[2:]) for i in range(2)]
    (whole,) = score_files(files, "fixed", Models(features=TinyNet()))
    assert isinstance(whole.outcome, Unscored) and "1 frame" in whole.outcome.reason


def test_files_of_several_prompts_are_asked_about_together(reads: list[str]) -> None:
    class Counting(ScriptedJudge):
        sizes: ClassVar[list[int]] = []

        def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
            self.sizes.append(len(requests))
            return super().answer(requests)

    a, b = (entry("Mechanics", "a?", prompt=prompt) for prompt in "ab")
    both = (a, entry("Diversity", prompt="a"))
    files = [ClipFile(Path(f"clip{i}.mp4"), i, (b,) if i % 2 else both) for i in range(4)]
    models = Models(judge=Counting(0.9, 0.1, 0.9, 0.1), features=TinyNet())
    found = list(score_files(files, "fixed", models, num_at_once=3))
    places = [(each.prompt, each.dimension, each.sample) for each in found]
    told = [("a", "Mechanics", 0), ("a", "Mechanics", 2)], [("b", "Mechanics", 1), ("b", "Mechanics", 3)]
    assert places == [*told[0], ("a", "Diversity", 0), *told[1]] and Counting.sizes == [3, 1]
    values = [each.outcome.value for each in found if isinstance(each.outcome, Scored)]
    assert [*values[:2], *values[3:]] == [1.0, 0.0, 1.0, 0.0]
