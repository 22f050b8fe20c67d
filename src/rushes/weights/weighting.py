"""Scores -> weights. Pure functions in the paper's symbols: r is a clip's score in [0, 1], w its weight. With judges
that give scores or preferences, r counts standard deviations among the takes of a prompt (`rushes.judge.reward`).

The paper trains on E[ r ||u - v||^2 ], so its weight is the score itself (`raw`). The others are how related work
sharpens it. The functions get scored clips only. Their scale has no meaning: `rushes.weights.weigh` scales all weights
to mean 1 over the scored clips, so that a learning rate means the same under every weighting.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rushes.recipe.weights import WeightsSpec
from rushes.records import Score, Scored
from rushes.weights.preference import above_siblings, preference

_ROUNDING: Final = 1e-9
"""Scores are means of probabilities; differences up to this are their rounding."""


def uniform(r: Sequence[float]) -> list[float]:
    """w = 1: plain fine-tuning on the model's own clips."""
    return [1.0] * len(r)


def raw(r: Sequence[float]) -> list[float]:
    """w = r: the paper's reward-weighted loss."""
    return list(r)


def filtered(r: Sequence[float], threshold: float) -> list[float]:
    """w = 1 where r >= threshold, else 0: the paper's "filtered SFT" and rejection sampling."""
    return [1.0 if score >= threshold - _ROUNDING else 0.0 for score in r]


def exponential(r: Sequence[float], temperature: float) -> list[float]:
    """w = exp((r - max r) / temperature): reward-weighted regression (Peters & Schaal, 2007).

    Args:
        r: scores.
        temperature: above 0; small values keep only the best clips, large values approach `uniform`.
    """
    best = max(r, default=0.0)
    return [math.exp((score - best) / temperature) for score in r]


def rank(r: Sequence[float]) -> list[float]:
    """w = share of clips that are worse, ties counted half: (#{r_j < r_i} + #{r_j = r_i} / 2) / n.

    Only the order counts, so a judge that is too lenient or too strict gives the same weights.
    """
    ordered = sorted(r)
    return [(bisect_left(ordered, score) + bisect_right(ordered, score)) / (2 * len(ordered)) for score in r]


def centred(r: Sequence[float], prompt: Sequence[str], floor: float = 0.0) -> list[float]:
    """w = max(0, r - mean of r over the takes of its prompt): only takes better than their siblings count.

    Easy prompts, where all takes are good, then get no more weight than hard ones. It is the positive part of the
    group-relative advantage (GRPO: Shao et al., 2024) without the division by the standard deviation.

    Args:
        r: scores.
        prompt: which prompt each clip was generated from, any text; a prompt with one take gives it weight 0.
        floor: differences below this get weight 0.
    """
    above = above_siblings(r, prompt)
    return [gap if gap > max(_ROUNDING, floor - _ROUNDING) else 0.0 for gap in above]


def contrast(r: Sequence[float], prompt: Sequence[str]) -> list[float]:
    """w = |2 p - 1|, p the preference of negative-aware training: the best and the worst of a prompt's takes count.

    Only for an objective that moves away from bad clips (`nft`): they are drawn as often as good ones.
    """
    return [abs(2 * p - 1) for p in preference(r, prompt)]


@dataclass(frozen=True)
class BuiltInWeighting:
    """The `Weighting` of a recipe's `weights.kind`."""

    spec: WeightsSpec
    """Which formula, and its constants."""

    def weigh(self, scores: Sequence[Score]) -> list[float]:
        """One weight >= 0 per score, unscaled, in order; an unscored clip gets 0."""
        scored = [(score.outcome.value, score.prompt_key) for score in scores if isinstance(score.outcome, Scored)]
        w = iter(self._formula([value for value, _ in scored], [key for _, key in scored]))
        return [next(w) if isinstance(score.outcome, Scored) else 0.0 for score in scores]

    def _formula(self, r: Sequence[float], prompt: Sequence[str]) -> list[float]:
        match self.spec.kind:
            case "uniform":
                return uniform(r)
            case "raw":
                return raw(r)
            case "filter":
                return filtered(r, self.spec.threshold)
            case "exponential":
                return exponential(r, self.spec.temperature)
            case "rank":
                return rank(r)
            case "centred":
                return centred(r, prompt, self.spec.floor)
            case "contrast":
                return contrast(r, prompt)
            case "plugin":
                raise ValueError("a plug-in weighting is built from its own spec, see build_weighting")
