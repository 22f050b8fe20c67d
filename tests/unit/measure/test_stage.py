"""Reading clips for a measurer: a clip that several subjects share is read once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rushes.measure.stage import Seen, look
from rushes.records import BlobRef, Measurement, Outcome, Scored
from rushes.roles import Failed, Subject
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from tests.support.judged import make_prompt
from tests.unit.measure.measured_clips import clip, key

PROMPT = make_prompt("glass")


class FirstPixel:
    """Scores a clip by its first pixel, and keeps what it was shown."""

    def __init__(self) -> None:
        self.asked: list[Subject] = []

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        self.asked.extend(subjects)
        return [Scored(value=float(each.clips[0].frames_THWC[0, 0, 0, 0]) / 255) for each in subjects]


def test_a_clip_that_serves_two_dimensions_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, reads = Blobs(tmp_path), list[BlobRef]()
    dark, light = (blobs.put_video(np.full((3, 8, 8, 3), value, np.uint8)) for value in (51, 255))
    read = Blobs.read_video

    def counted(self: Blobs, ref: BlobRef) -> npt.NDArray[np.uint8]:
        reads.append(ref)
        return read(self, ref)

    monkeypatch.setattr(Blobs, "read_video", counted)
    chunk = [
        Work(key("m", number), Seen((clip("base", dimension, 0).model_copy(update={"video": video}),), PROMPT))
        for number, (dimension, video) in enumerate([("Material", dark), ("Mechanics", dark), ("Material", light)])
    ]
    measurer = FirstPixel()
    found = look(measurer, chunk, blobs=blobs, name="tester")
    assert reads == [dark, light]
    values = [m.outcome.value for m in found if isinstance(m, Measurement) and isinstance(m.outcome, Scored)]
    assert values == pytest.approx([0.2, 0.2, 1.0])
    first, second, _ = measurer.asked
    assert first.clips[0].frames_THWC is second.clips[0].frames_THWC
