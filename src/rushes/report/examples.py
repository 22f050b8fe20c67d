"""Which clips a report shows: chosen by rule from the measurements, never by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from rushes.measure.pairs import Pair
from rushes.measure.shown import own_parts
from rushes.records import Outcome, Scored

RULE: Final = (
    "All held-out pairs of a dimension are ordered by the gain in score; the first, the middle and the last are shown. "
    "Ties are ordered by the share of questions with the right answer, then by the prompt's key, "
    "which does not depend on how a clip looks."
)
"""The rule in words, for the report."""


@dataclass(frozen=True)
class Choice:
    """A pair to show."""

    rule: str
    """"largest gain", "typical" or "largest loss"; "smallest gain" or "smallest loss" if nothing fell or rose."""
    pair: Pair
    """The measurements before and after."""


def choose_examples(pairs: Iterable[Pair], dimensions: Sequence[str]) -> tuple[Choice, ...]:
    """The largest gain, the typical pair (the median) and the largest loss of each dimension.

    Args:
        pairs: of any dimensions, in any order; unscored ones and groups of takes are ignored.
        dimensions: which to show, in this order.

    Returns:
        Up to three choices per dimension, each pair once; fewer if there are fewer pairs.
    """
    usable = [pair for pair in pairs if pair.scores is not None and len(pair.seed_indices) == 1]
    chosen: list[Choice] = []
    for name in dimensions:
        ranked = sorted((pair for pair in usable if pair.dimension == name), key=_order)
        chosen.extend(_three(ranked))
    return tuple(chosen)


def _order(pair: Pair) -> tuple[float, float, str, tuple[int, ...]]:
    return -_gain(pair), -_parts_gain(pair), pair.prompt_key, pair.seed_indices


def _gain(pair: Pair) -> float:
    before, after = pair.scores or (0.0, 0.0)
    return after - before


def _parts_gain(pair: Pair) -> float:
    return _share_right(pair.after.outcome) - _share_right(pair.before.outcome)


def _share_right(outcome: Outcome) -> float:
    parts = own_parts(outcome) if isinstance(outcome, Scored) else ()
    return fmean(part.value for part in parts) if parts else 0.0


def _three(ranked: Sequence[Pair]) -> list[Choice]:
    if not ranked:
        return []
    first, last, middle = ranked[0], ranked[-1], ranked[(len(ranked) - 1) // 2]
    named = [
        Choice("largest gain" if _gain(first) > 0 else "no gain" if _gain(first) == 0 else "smallest loss", first),
        Choice("typical", middle),
        Choice("largest loss" if _gain(last) < 0 else "no loss" if _gain(last) == 0 else "smallest gain", last),
    ]
    # One pair is shown once; with two pairs the first is also the middle.
    return [choice for i, choice in enumerate(named) if all(choice.pair is not other.pair for other in named[:i])]
