"""Judges of values and of preferences under audit: what they put above the unchanged clip, and what they ignore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rushes.audit.compared import PreferencesAsAnswers, ScoresAsAnswers
from rushes.audit.records import ControlResult, DimensionAudit
from rushes.audit.run import Settings, Witness, audit_judge
from rushes.audit.sources import Source
from rushes.feedback import GivenPreference, PreferenceRequest, ScaleValue, ScoreRequest
from rushes.recipe.judge import JudgeSpec
from rushes.roles import Judge, Video
from tests.support.audited import make_cases, sees

CASES = make_cases(12)
DIMENSION = CASES[0].dimension
SETTINGS = Settings(num_resamples=200, batch_size=24, compared=frozenset({DIMENSION}), aggregate="product")
RATER, CHOOSER = (
    JudgeSpec.model_validate({"judge": {"kind": "plugin", "use": f"tests.support.raters:{name}"}, "scales": scales})
    for name, scales in (("RaterSpec", {"look": 1.0}), ("ChooserSpec", {}))
)


def fits(video: Video, text: str) -> float:
    """How well a toy clip shows its text: its colour and which way it goes, -3 to 5."""
    colour, way = text.split()[1], text.split()[4].rstrip(",")
    return -3.0 + 4.0 * sees(video, f"is it {colour}?") + 4.0 * sees(video, f"does it get {way}?")


class Scores:
    """Values on two scales, of which the recipe counts one; it repeats itself but for `wander`."""

    def __init__(self, wander: float = 0.0) -> None:
        self.wander, self.num = wander, 0

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[ScaleValue, ...]]:
        self.num += len(requests)
        return [
            (ScaleValue("motion", 0.0), ScaleValue("look", fits(each.video, each.text) + self.wander * self.num))
            for each in requests
        ]


class Chooses:
    """Prefers what fits better, with a bias for the first place."""

    def prefer(self, requests: Sequence[PreferenceRequest]) -> list[GivenPreference]:
        gaps = [fits(each.first, each.text) - fits(each.second, each.text) for each in requests]
        return [GivenPreference(min(1.0, 0.6 + 0.4 * (gap > 0) - 0.5 * (gap < 0))) for gap in gaps]


def audited(judge: Judge, folder: Path) -> tuple[DimensionAudit, dict[str, ControlResult], tuple[str, ...]]:
    made = audit_judge(Witness("toy", "toy", judge), Source("toy clips", CASES, True), folder, SETTINGS)
    (found,) = made.dimensions
    return found, {each.control: each for each in found.controls}, made.notes


def test_a_judge_of_values_is_audited_by_what_it_puts_above_the_unchanged_clip(tmp_path: Path) -> None:
    found, results, notes = audited(ScoresAsAnswers(RATER, Scores()), tmp_path)
    for control in ("wrong_prompt", "black_video", "frozen_frame", "reversed_time", "shuffled_frames"):
        result = results[control]
        assert (result.mean_original, result.finding) == (0.5, "passes") and result.auc is not None, control
        assert result.mean_control == pytest.approx(0.0, abs=0.1) and result.auc.value > 0.9, control
    assert results["double_rate"].mean_control == 0.5, "as good as the unchanged clip: a tie, not a loss"
    assert results["negated_question"].unscored_reason == "this judge is asked no questions"
    assert found.consistency is not None and found.consistency.share_same == 1.0
    assert any("answers no questions" in note for note in notes)


def test_a_judge_of_values_that_contradicts_itself_is_found_out(tmp_path: Path) -> None:
    found, _, _ = audited(ScoresAsAnswers(RATER, Scores(wander=-0.01)), tmp_path)
    assert found.consistency is not None and found.consistency.share_same == 0.5
    assert any(reason.startswith("asked again: AUC 1.00") for reason in found.reasons)
    assert found.verdict == "do not trust"


def test_a_judge_of_preferences_sees_both_clips_in_both_orders(tmp_path: Path) -> None:
    found, results, _ = audited(PreferencesAsAnswers(CHOOSER, Chooses()), tmp_path)
    assert results["reversed_time"].auc is not None and results["reversed_time"].auc.value == 1.0
    assert results["reversed_time"].mean_control == pytest.approx(0.05), "the mean of 0.1 and 1 - 1.0"
    assert results["double_rate"].mean_control == pytest.approx(0.5), "its bias for the first place is gone"
    assert results["wrong_prompt"].unscored_reason == "this judge compares two clips, and the control changes none"
    assert found.consistency is None


def test_an_unchanged_clip_is_asked_about_once(tmp_path: Path) -> None:
    """Not once for each of its controls; and a clip asked again is asked about again."""
    judge = Scores()
    audited(ScoresAsAnswers(RATER, judge), tmp_path)
    num_changed = 9  # eight changes of pixels, and the wrong prompt
    assert judge.num == len(CASES) * (1 + num_changed + 1)
