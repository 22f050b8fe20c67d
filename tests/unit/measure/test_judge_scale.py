"""A judge that scores on a scale of its own, in the scorecard: its unit, its gain, the warning that it is pleased."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from pydantic import ValidationError
from rich.console import Console

from rushes.measure.compare import Contest, compare
from rushes.measure.pairs import pair_up
from rushes.records import DimensionRow, Scorecard, Scored
from rushes.report.table import print_scorecard
from rushes.statistics.resampling import Resampling
from tests.support.measured_clips import Stand

UNIT = "points from -3 to 5"
SAME = [0.0, 1.0] * 8


def scorecard(judge: tuple[Sequence[float], Sequence[float]], after: Sequence[float] = SAME) -> Scorecard:
    """Measured the same before and `after`; the judge's numbers are put on the scale -3 to 5."""
    stand = Stand().add("A", SAME, list(after), (list(judge[0]), list(judge[1])))
    judged = [
        each.model_copy(update={"outcome": Scored(value=8 * each.outcome.value - 3, unit=UNIT)})
        for each in stand.judged
        if isinstance(each.outcome, Scored)
    ]
    clusters = {each.prompt_key: each.prompt_key for each in (*stand.before, *stand.after)}
    contest = Contest(base_model="base", tuned_model="tuned", judge="judge", focus=("A",))
    pairing = pair_up(stand.before, stand.after, stand.clips)
    return compare(pairing, clusters, contest, Resampling(num_resamples=400), judged=judged)


def test_means_are_on_the_scale_with_its_unit() -> None:
    (row,) = scorecard(([0.3, 0.5] * 8, [0.6, 0.9] * 8)).rows
    assert (row.judge_before, row.judge_after, row.judge_unit) == (pytest.approx(0.2), pytest.approx(3.0), UNIT)


def test_a_pleased_judge_is_told_in_its_unit() -> None:
    notes = scorecard(([0.3, 0.5] * 8, [0.6, 0.9] * 8)).notes
    assert any(f"the judge sees +2.80 {UNIT}, the measurer does not" in note for note in notes)
    assert not any("280" in note for note in notes)


def test_a_rise_that_is_small_beside_the_judge_s_spread_is_no_news() -> None:
    before = [0.1, 0.9] * 8
    assert scorecard((before, [value + 0.01 for value in before])).notes == ()


def test_a_gain_that_the_measurer_sees_too_is_no_flattery() -> None:
    assert scorecard(([0.3, 0.5] * 8, [0.6, 0.9] * 8), [1.0] * 16).notes == ()


def test_the_terminal_shows_no_points_of_100() -> None:
    out = io.StringIO()
    print_scorecard(scorecard(([0.3, 0.5] * 8, [0.6, 0.9] * 8)), Console(file=out, width=140))
    assert f"0.2, 3 {UNIT}" in out.getvalue() and "300.0" not in out.getvalue()


def test_a_score_above_1_needs_a_unit() -> None:
    row = scorecard(([0.3, 0.5] * 8, [0.6, 0.9] * 8)).rows[0].model_dump()
    with pytest.raises(ValidationError, match="without a unit must be from 0 to 1"):
        DimensionRow.model_validate({**row, "judge_unit": None})
    with pytest.raises(ValidationError, match="without a unit must be from 0 to 1"):
        Scored(value=1.37)
