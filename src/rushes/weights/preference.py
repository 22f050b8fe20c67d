"""Scores -> preferences: which of a prompt's takes to move towards, and which away from. Pure functions of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def preference(r: Sequence[float], prompt: Sequence[str]) -> list[float]:
    """1/2 + 1/2 clip((r - mean of r over the takes of its prompt) / Z, -1, 1), for negative-aware training.

    Z is the root mean square of these distances over all clips, so a typical distance already counts in full
    (DiffusionNFT, Zheng et al. 2025, the reward normalisation of section 3.3). 1 is wholly good, 0 wholly bad, 1/2 is
    neutral: the only take of a prompt gets 1/2, and so do takes with equal scores.

    Args:
        r: scores.
        prompt: which prompt each clip was generated from, any text.
    """
    apart = above_siblings(r, prompt)
    scale = math.sqrt(math.fsum(value * value for value in apart) / len(apart)) if apart else 0.0
    return [0.5 + 0.5 * max(-1.0, min(1.0, value / scale)) if scale else 0.5 for value in apart]


def preferences(scores: Sequence[Score]) -> list[float]:
    """The preference of each clip of a round, in order, 0 to 1; 1/2 for a clip without a score."""
    scored = [(score.outcome.value, score.prompt_key) for score in scores if isinstance(score.outcome, Scored)]
    found = iter(preference([value for value, _ in scored], [key for _, key in scored]))
    return [next(found) if isinstance(score.outcome, Scored) else 0.5 for score in scores]
