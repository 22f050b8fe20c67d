"""Scores -> preferences: which of a prompt's takes to move towards, and which away from. Pure functions of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rushes.records import Score, Scored


def above_siblings(r: Sequence[float], prompt: Sequence[str]) -> list[float]:
    """r - mean of r over the takes of its prompt.

    Args:
        r: scores.
        prompt: which prompt each clip was generated from, any text.
    """
    takes: dict[str, list[float]] = {}
    for score, key in zip(r, prompt, strict=True):
        takes.setdefault(key, []).append(score)
    means = {key: fmean(values) for key, values in takes.items()}
    return [score - means[key] for score, key in zip(r, prompt, strict=True)]


def advantages(r: Sequence[float], prompt: Sequence[str]) -> list[float]:
    """(r - mean of r over the takes of its prompt) / Z, Z the root mean square of these distances over all clips.

    The only take of a prompt gets 0, and so do takes with equal scores.

    Args:
        r: scores.
        prompt: which prompt each clip was generated from, any text.
    """
    apart = above_siblings(r, prompt)
    scale = math.sqrt(math.fsum(value * value for value in apart) / len(apart)) if apart else 0.0
    return [value / scale if scale else 0.0 for value in apart]


def preference(r: Sequence[float], prompt: Sequence[str]) -> list[float]:
    """1/2 + 1/2 clip(advantage, -1, 1), for negative-aware training: a typical distance already counts in full.

    (DiffusionNFT, Zheng et al. 2025, the reward normalisation of section 3.3.) 1 is wholly good, 0 wholly bad, 1/2 is
    neutral: the only take of a prompt gets 1/2, and so do takes with equal scores.

    Args:
        r: scores.
        prompt: which prompt each clip was generated from, any text.
    """
    return [0.5 + 0.5 * max(-1.0, min(1.0, value)) for value in advantages(r, prompt)]


def partners(r: Sequence[float], prompt: Sequence[str]) -> list[int | None]:
    """Which take each is paired with: the best with the worst of its prompt, the second best with the second worst.

    So every take is in one pair at most, and the first pairs are the clearest. The middle one of an odd number has no
    partner. Equal scores are paired too; training leaves such pairs out.

    Args:
        r: scores.
        prompt: which prompt each clip was generated from, any text.

    Returns:
        A position in `r` for each, or None.
    """
    takes: dict[str, list[int]] = {}
    for position, key in enumerate(prompt):
        takes.setdefault(key, []).append(position)
    found: list[int | None] = [None] * len(r)
    for positions in takes.values():
        order = sorted(positions, key=lambda position: (r[position], position))
        for one, other in zip(order, reversed(order), strict=True):
            found[one] = other if one != other else None
    return found


@dataclass(frozen=True)
class Compared:
    """What a clip's score says beside those of its siblings."""

    score: float
    """The score itself, 0 to 1, or a reward of `rushes.judge.reward`."""
    preference: float
    """See `preference`."""
    advantage: float
    """See `advantages`."""
    partner: str | None
    """Key of the clip that it is paired with."""


def compared(scores: Sequence[Score]) -> dict[str, Compared]:
    """Every scored clip of a round beside its siblings, by key. A clip without a score is not among them."""
    scored = [(score, score.outcome.value) for score in scores if isinstance(score.outcome, Scored)]
    r, prompt = [value for _, value in scored], [score.prompt_key for score, _ in scored]
    columns = zip(scored, preference(r, prompt), advantages(r, prompt), partners(r, prompt), strict=True)
    return {
        score.clip_key: Compared(value, p, advantage, None if other is None else scored[other][0].clip_key)
        for (score, value), p, advantage, other in columns
    }
