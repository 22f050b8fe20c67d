"""Facts about the sixteen dimensions that VBench-1's files and totals depend on, and the official totals. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import yaml
from pydantic import Field, TypeAdapter

from rushes.records import Record
from rushes.records.base import Size

BENCHMARK: Final = "VBench-1"
"""What its numbers are marked with wherever they are shown."""
Group = Literal["quality", "semantic"]
SHARES: Final[dict[Group, float]] = {"quality": 0.8, "semantic": 0.2}
"""Share of each group's score in the total: 4 to 1."""
I2V: Final = frozenset(("i2v_subject", "i2v_background"))
"""Names that only VBench-I2V has, the benchmark of image-to-video with other dimensions, weights and prompts."""


class Facts(Record):
    """What is fixed about one dimension.

    Example:
        Facts(group="semantic", num_prompts=86, low=0.0, high=0.8222, is_over_frames=True)
    """

    group: Group
    """The score that it is part of."""
    num_prompts: Size
    """Prompts of the official list."""
    num_samples: Size = 5
    """Clips of each prompt."""
    low: float
    """Score that counts as 0 in the totals."""
    high: float
    """Score that counts as 1; a higher one counts as more."""
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    """Weight in the mean of its group."""
    lowest: float = 0.0
    """Lowest possible score: -1 for a cosine of a text and a clip; the highest is 1."""
    row_scale: float = 1.0
    """What a row of a file is divided by to give a score."""
    is_over_frames: bool = False
    """True where the official score is a mean over frames and not over clips."""
    leaves_out: bool = False
    """True where the official method leaves clips out: in which the thing was not found, or that are not still."""

    @property
    def num_rows(self) -> int:
        """Rows of a complete file."""
        return self.num_prompts * self.num_samples


@cache
def facts() -> dict[str, Facts]:
    """The facts by exact identifier, in the benchmark's order."""
    text = files("rushes_vbench.vbench1").joinpath("dimensions.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Facts]).validate_python(yaml.safe_load(text))


def identifier(spelling: str) -> str | None:
    """The exact identifier for a spelling, whatever its case and separators; None if VBench-1 has no such dimension."""
    return next((name for name in facts() if _folded(name) == _folded(spelling)), None)


def _folded(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def normalised(dimension: str, score: float) -> float:
    """A score as it enters the totals: 0 at the dimension's `low`, 1 at its `high`, not cut off beyond them.

    Args:
        dimension: exact identifier.
        score: as the official file states it.
    """
    fact = facts()[dimension]
    return (score - fact.low) / (fact.high - fact.low)


def totals(scores: Mapping[str, float]) -> dict[str, float]:
    """Quality, semantic and total score as the official script computes them, of those whose dimensions are all there.

    The official script counts a dimension that is missing as a score of 0, which is below some dimensions' `low` and
    means nothing. Here a sum that lacks a dimension is not given.

    Args:
        scores: per exact identifier, the score as stated.
    """
    found: dict[str, float] = {}
    for group in SHARES:
        names = [name for name, fact in facts().items() if fact.group == group]
        if all(name in scores for name in names):
            weighed = math.fsum(facts()[name].weight * normalised(name, scores[name]) for name in names)
            found[group] = weighed / math.fsum(facts()[name].weight for name in names)
    if len(found) == len(SHARES):
        found["total"] = math.fsum(share * found[group] for group, share in SHARES.items())
    return found
