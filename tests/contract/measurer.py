"""The contract of the role Measurer: a score or a reason per subject, the same for the same pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Failed, Measurer, Subject

Found = Outcome | Failed


def check_measurer(measurer: Measurer, subjects: Sequence[Subject], *, tolerance: float = 1e-4) -> None:
    """Put a measurer through the contract.

    Args:
        measurer: built.
        subjects: at least two different ones that it can measure.
        tolerance: how far a score may move with the companions in a batch: rounding, not opinion.
    """
    assert len(subjects) >= 2, "give the contract at least two subjects"
    before = [[clip.frames_THWC.copy() for clip in subject.clips] for subject in subjects]
    outcomes = _listed(measurer.measure(subjects))
    _check_shape(outcomes, len(subjects))
    assert any(isinstance(each, Scored) for each in outcomes), (
        f"give the contract subjects that the measurer can score; it gave {outcomes!r}"
    )
    for copies, subject in zip(before, subjects, strict=True):
        for frames, clip in zip(copies, subject.clips, strict=True):
            assert (clip.frames_THWC == frames).all(), "a measurer must not write into the frames it is shown"
    assert list(_listed(measurer.measure([]))) == [], "no subjects must give no measurements"
    _check_same(outcomes, _listed(measurer.measure(subjects)), 0.0, "measured again, a clip must score the same")
    backwards = list(_listed(measurer.measure(subjects[::-1])))[::-1]
    _check_same(outcomes, backwards, tolerance, "the order of subjects must change no score")
    alone = [each for subject in subjects for each in _listed(measurer.measure([subject]))]
    _check_same(outcomes, alone, tolerance, "measured alone, a clip must score the same")
    unknown = replace(subjects[0], dimension="No_Such_Dimension", questions=())
    (found,) = _listed(measurer.measure([unknown]))
    assert not isinstance(found, Scored), (
        f"a dimension that the measurer does not know, without questions, must be unscored, got {found!r}"
    )


def _listed(results: Any) -> Any:
    """The results of an iterator as a list; anything else as it is, to be checked."""
    return list(results) if isinstance(results, Iterator) else results


def _check_shape(outcomes: object, num: int) -> None:
    assert isinstance(outcomes, list), f"expected a list, got {type(outcomes).__name__}"
    assert len(outcomes) == num, f"expected one outcome for each of {num} subjects, got {len(outcomes)}"
    for each in outcomes:
        assert isinstance(each, Scored | Unscored | Failed), f"expected Scored, Unscored or Failed, got {each!r}"


def _check_same(first: Sequence[Found], second: Sequence[Found], tolerance: float, rule: str) -> None:
    assert len(first) == len(second), f"{rule}: {len(first)} outcomes, then {len(second)}"
    for one, other in zip(first, second, strict=True):
        assert type(one) is type(other), f"{rule}: {one!r}, then {other!r}"
        if isinstance(one, Scored) and isinstance(other, Scored):
            assert abs(one.value - other.value) <= tolerance, f"{rule}: {one!r}, then {other!r}"
