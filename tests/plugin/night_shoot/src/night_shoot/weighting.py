"""A weighting that keeps the best takes of each prompt, weighed by their score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rushes.records import Score, Scored
from rushes.roles import Runtime, Spec, Weighting


class BestTakesSpec(Spec):
    """What the recipe can set."""

    spec_name: ClassVar[str] = "night_shoot.weighting"
    """Its name in work keys: it begins with the package and never changes."""

    num_best: int = 1
    """Takes of each prompt to keep; equally good ones are kept together."""

    def build(self, runtime: Runtime) -> Weighting:
        """The weighting."""
        return BestTakes(self.num_best)


@dataclass(frozen=True)
class BestTakes:
    """w = r for the best takes of each prompt, 0 for the others."""

    num_best: int

    def weigh(self, scores: Sequence[Score]) -> list[float]:
        """One weight per score, in order; an unscored clip weighs 0."""
        takes: dict[str, list[float]] = {}
        for score in scores:
            if isinstance(score.outcome, Scored):
                takes.setdefault(score.prompt_key, []).append(score.outcome.value)
        least = {key: sorted(values, reverse=True)[: self.num_best][-1] for key, values in takes.items()}
        return [
            score.outcome.value
            if isinstance(score.outcome, Scored) and score.outcome.value >= least[score.prompt_key]
            else 0.0
            for score in scores
        ]
