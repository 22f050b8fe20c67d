"""How often the training judge and the independent measurer agree, question by question, on the same clips. Pure.

The judge gives the rewards, so the model can learn to exploit its leniency: lenient cases are counted separately.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rushes.records import Answer, Measurement, Scored


@dataclass(frozen=True)
class Agreement:
    """The judge compared with the measurer in one dimension.

    Example: `Agreement("Composition", num_both_right=70, num_both_wrong=20, num_lenient=8, num_strict=2)`.
    """

    dimension: str
    """Quality dimension."""
    num_both_right: int = 0
    """Questions that both say the clip gets right."""
    num_both_wrong: int = 0
    """Questions that both say the clip gets wrong."""
    num_lenient: int = 0
    """Questions that only the judge says the clip gets right."""
    num_strict: int = 0
    """Questions that only the measurer says the clip gets right."""

    @property
    def num_questions(self) -> int:
        """Questions that both answered."""
        return self.num_both_right + self.num_both_wrong + self.num_lenient + self.num_strict

    @property
    def share(self) -> float | None:
        """Share of those on which they agree, 0 to 1; None if there are none."""
        return (self.num_both_right + self.num_both_wrong) / self.num_questions if self.num_questions else None


def agreement(answers: Iterable[Answer], measurements: Iterable[Measurement]) -> tuple[Agreement, ...]:
    """Compare them on every question that both answered about the same clip, per dimension, sorted by name.

    A judge's answer counts as right when it gives the expected answer at least probability 0.5; a measurement's part of
    the same name when its value is at least 0.5. Unscored answers and measurements are left out.

    Args:
        answers: of the judge, on any clips.
        measurements: of single clips; groups of takes are left out.
    """
    judged = {(each.clip_key, each.question.text): each.p_expected for each in answers}
    counts: dict[str, dict[tuple[bool, bool], int]] = {}
    for each in measurements:
        if len(each.subject) != 1 or not isinstance(each.outcome, Scored):
            continue
        for part in each.outcome.parts:
            p_expected = judged.get((each.subject[0], part.name))
            if p_expected is not None:
                cell = (p_expected >= 0.5, part.value >= 0.5)
                tally = counts.setdefault(each.dimension, {})
                tally[cell] = tally.get(cell, 0) + 1
    return tuple(
        Agreement(
            dimension=name,
            num_both_right=tally.get((True, True), 0),
            num_both_wrong=tally.get((False, False), 0),
            num_lenient=tally.get((True, False), 0),
            num_strict=tally.get((False, True), 0),
        )
        for name, tally in sorted(counts.items())
    )
