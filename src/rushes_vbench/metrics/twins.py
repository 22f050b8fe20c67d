"""Negated twins: each question is also asked in its negated form, to measure how far the judge tends to say yes.

A judge without bias gives a question and its twin probabilities of yes that add up to 1. The excess over 1 is its
yes-bias. The mean of p(yes) and 1 - p(yes of the twin) cancels a bias that is the same for both. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final, Literal

from rushes.audit.negation import negated
from rushes.records import Outcome, Part, Scored
from rushes.roles import GivenAnswer
from rushes_vbench.metrics.questions import Ask

Twins = Literal["none", "probe", "average"]
"""`none`: not asked. `probe`: asked and stored as parts; the value uses the questions alone. `average`: the value
uses the mean of both answers."""

_OTHER: Final[dict[str, Literal["yes", "no"]]] = {"yes": "no", "no": "yes"}


def twins_of(asks: Sequence[Ask]) -> tuple[Ask | None, ...]:
    """The negated twin of each question about the same frames; None if no negation is sure to reverse the answer."""
    return tuple(_twin(ask) for ask in asks)


def _twin(ask: Ask) -> Ask | None:
    text = negated(ask.question.text)
    if text is None:
        return None
    turned = {"text": text, "expected": _OTHER[ask.question.expected]}
    return replace(ask, question=ask.question.model_copy(update=turned))


def averaged(own: GivenAnswer, twin: GivenAnswer | None) -> GivenAnswer:
    """The mean of what both answers say about the question; the original answer if the twin has none.

    Args:
        own: the answer to the question.
        twin: the answer to its twin; None if it was not asked.
    """
    if own.p_yes is None or twin is None or twin.p_yes is None:
        return own
    return replace(own, p_yes=(own.p_yes + 1.0 - twin.p_yes) / 2)


def with_twins(outcome: Outcome, twins: Sequence[Ask | None], answers: Sequence[GivenAnswer | None]) -> Outcome:
    """A score with one more part for each answered twin: the probability of its expected answer.

    Args:
        outcome: of the questions; an unscored one is returned unchanged.
        twins: from `twins_of`.
        answers: to the twins, aligned; None if there is no twin.
    """
    if not isinstance(outcome, Scored):
        return outcome
    parts = []
    for twin, given in zip(twins, answers, strict=True):
        if twin is not None and given is not None and given.p_yes is not None:
            parts.append(Part(name=twin.question.text, value=twin.question.p_expected(given.p_yes)))
    return outcome.model_copy(update={"parts": (*outcome.parts, *parts)})


@dataclass(frozen=True)
class YesBias:
    """How far a judge tends to say yes.

    Example: `YesBias(value=0.12, num_pairs=240)`: questions and twins got 0.12 more yes than they should have.
    """

    value: float
    """Mean of p(yes) + p(yes of the twin) - 1, from -1 (always no) to 1 (always yes); 0 for no bias."""
    num_pairs: int
    """Questions whose twin was answered too."""


def yes_bias(outcomes: Iterable[Outcome]) -> YesBias | None:
    """The yes-bias over the parts of scores measured with `probe`; None if no twin was asked.

    Uses the questions that can have a twin, all of which have the expected answer yes. After `average` the parts of the
    questions are already means, so only half of the bias is visible.

    Args:
        outcomes: of clips, any dimensions.
    """
    found = []
    for outcome in outcomes:
        if not isinstance(outcome, Scored):
            continue
        good = {part.name: part.value for part in outcome.parts}
        # p(yes) + p(yes of the twin) - 1, where p(yes of the twin) is 1 - the probability of its expected no.
        twins = {name: negated(name) for name in good}
        found += [good[name] - good[twin] for name, twin in twins.items() if twin is not None and twin in good]
    return YesBias(fmean(found), len(found)) if found else None
