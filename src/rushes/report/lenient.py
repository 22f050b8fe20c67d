"""Signs that a model learned to please its judge: clips that only the judge calls right have become common. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rushes.display.words import readable
from rushes.judge.agreement import Agreement
from rushes.report.data import Missing

MIN_CASES: Final = 10
"""Fewer answers that only the judge calls right after training are no sign of anything."""
FACTOR: Final = 2.0
"""How many times as common they must have become."""


def warnings(before: Sequence[Agreement] | Missing, after: Sequence[Agreement] | Missing) -> tuple[str, ...]:
    """A sentence for each dimension in which the judge has become much more lenient than the measurer.

    It states counts, and is no test: the clips of both models are of the same prompts and seeds.

    Args:
        before: agreement on the untouched model's held-out clips.
        after: on the tuned model's.
    """
    if isinstance(before, Missing) or isinstance(after, Missing):
        return ()
    was = {each.dimension: each for each in before if each.num_questions}
    return tuple(
        f"{readable(now.dimension)}: the judge alone calls {now.num_lenient} of {now.num_questions} answers right, "
        f"and before training {was[now.dimension].num_lenient} of {was[now.dimension].num_questions}. The model may "
        "have learned to please the judge there: look at its clips."
        for now in after
        if now.dimension in was and _is_sign(was[now.dimension], now)
    )


def _is_sign(was: Agreement, now: Agreement) -> bool:
    if now.num_lenient < MIN_CASES:
        return False
    return now.num_lenient / now.num_questions >= FACTOR * was.num_lenient / was.num_questions
