"""The table of expectations against eyes that see: on rendered clips, the controls that must separate do.

The measurer answers the questions from pixels; were the table wrong, a judge that sees right would be condemned by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rushes.audit.run import Settings, Witness, audit_judge
from rushes.audit.sources import Choice, find_clips
from rushes.recipe.base import ShapeSpec
from rushes.roles import Failed, GivenAnswer, JudgeRequest

CONTROLS = ("wrong_prompt", "black_video", "frozen_frame", "reversed_time", "shuffled_frames")


class Eyes:
    """Looks at each clip once and answers what can be told; what cannot is a no, as for something that is not seen."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [self._one(request) for request in requests]

    def _one(self, request: JudgeRequest) -> tuple[GivenAnswer, ...]:
        from rushes_sandbox.perception import Unclear, answer, perceive
        from rushes_sandbox.questions import read

        seen = perceive(request.video.frames_THWC)
        given = []
        for question in request.questions:
            check = read(question.text)
            assert check is not None, question.text
            found = answer(check, seen)
            given.append(GivenAnswer(0.0 if isinstance(found, Unclear) else float(found)))
        return tuple(given)


@pytest.mark.slow
def test_eyes_that_see_pass_the_audit(tmp_path: Path) -> None:
    source = find_clips("sandbox", Choice(8), ShapeSpec())
    settings = Settings(controls=CONTROLS, num_resamples=200, batch_size=80)
    made = audit_judge(Witness("eyes", "eyes", Eyes()), source, tmp_path, settings)
    failed = {
        (each.dimension, result.control): result.auc
        for each in made.dimensions
        for result in each.controls
        if result.finding == "fails"
    }
    assert not failed
    assert set(made.with_verdict("trust")) == {each.dimension for each in made.dimensions}, made.dimensions
