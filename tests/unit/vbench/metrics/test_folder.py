"""Files: read once, broken ones named, Diversity from all clips of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes.store.video import read_video
from rushes_vbench.metrics import folder
from rushes_vbench.metrics.folder import Piece, score_pieces
from rushes_vbench.metrics.scorer import Models
from rushes_vbench.metrics.trackers import LucasKanade
from tests.support.vbench_clips import ScriptedJudge, entry, moved
from tests.unit.vbench.metrics.test_diversity import TinyNet

PAN, ASKED, ALL = entry("Camera_Motion", "pan_right"), entry("Mechanics", "a?"), entry("Diversity")


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


def values(found: Sequence[Outcome | Failed]) -> list[float]:
    return [each.value for each in found if isinstance(each, Scored)]


def test_each_file_is_read_once_for_all_metrics(reads: list[str]) -> None:
    clips = tuple(Path(f"clip{i}.mp4") for i in range(2))
    pieces = [Piece(each, i, (clips[i],)) for i in range(2) for each in (PAN, ASKED)]
    models = Models(judge=ScriptedJudge(0.9, 0.1), tracker=LucasKanade(), features=TinyNet())
    found = values(score_pieces([Piece(ALL, 0, clips), *pieces], "fixed", models))
    assert reads == ["clip0.mp4", "clip1.mp4"]
    assert found[0] > 0.0 and found[1:] == [1.0, 1.0, 1.0, 0.0]


def test_a_broken_file_is_unscored_and_loses_nothing_else(reads: list[str], tmp_path: Path) -> None:
    empty = tmp_path / "broken.mp4"
    empty.touch()
    clips = (Path("clip0.mp4"), empty, tmp_path / "absent.mp4")
    models = Models(judge=ScriptedJudge(0.9), tracker=LucasKanade(), features=TinyNet())
    pieces = [*(Piece(PAN, i, (path,)) for i, path in enumerate(clips)), Piece(ALL, 0, clips)]
    good, zero_bytes, absent, whole = score_pieces(pieces, "fixed", models)
    assert isinstance(good, Scored)
    assert isinstance(zero_bytes, Unscored) and "empty" in zero_bytes.reason
    assert isinstance(absent, Unscored) and "missing" in absent.reason
    assert isinstance(whole, Unscored) and "broken.mp4" in whole.reason and "absent.mp4" in whole.reason


def test_a_short_clip_spoils_diversity_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "read_video", lambda path: Video(np.zeros((1, 32, 32, 3), np.uint8), 8.0))
    clips = tuple(Path(f"clip{i}.mp4") for i in range(2))
    (whole,) = score_pieces([Piece(ALL, 0, clips)], "fixed", Models(features=TinyNet()))
    assert isinstance(whole, Unscored) and "1 frame" in whole.reason


def test_files_of_several_prompts_are_asked_about_together(reads: list[str]) -> None:
    class Counting(ScriptedJudge):
        sizes: ClassVar[list[int]] = []

        def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
            self.sizes.append(len(requests))
            return super().answer(requests)

    pieces = [Piece(entry("Mechanics", "a?", prompt=prompt), 0, (Path(f"clip{prompt}.mp4"),)) for prompt in "abc"]
    found = score_pieces(pieces, "fixed", Models(judge=Counting(0.9, 0.1, 0.9)))
    assert values(found) == [1.0, 0.0, 1.0] and Counting.sizes == [3]
