"""Scores -> preferences: which of a prompt's takes to move towards, and which away from. Pure functions of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from rushes.records import Score, Scored


def preferences(scores: Sequence[Score]) -> list[float]:
    """r = 1/2 + 1/2 clip((s - mean of s over the takes of its prompt) / Z, -1, 1), as negative-aware training wants it.

    Z is the root mean square of these distances over all scored clips, so a usual distance already counts in full
    (DiffusionNFT, Zheng et al. 2025, the reward normalisation of section 3.3). 1 is wholly good, 0 wholly bad; 1/2 says
    nothing: it is what the only take of a prompt gets, takes that are all alike, and a clip without a score.

    Args:
        scores: of one round's own clips.

    Returns:
        One number from 0 to 1 per score, in order.
    """
    takes: dict[str, list[float]] = {}
    for score in scores:
        if isinstance(score.outcome, Scored):
            takes.setdefault(score.prompt_key, []).append(score.outcome.value)
    means = {prompt: fmean(values) for prompt, values in takes.items()}
    apart = [
        score.outcome.value - means[score.prompt_key] if isinstance(score.outcome, Scored) else 0.0 for score in scores
    ]
    num = sum(len(values) for values in takes.values())
    scale = math.sqrt(math.fsum(value * value for value in apart) / num) if num else 0.0
    if scale == 0.0:
        return [0.5] * len(scores)
    return [0.5 + 0.5 * max(-1.0, min(1.0, value / scale)) for value in apart]
