"""Scores of one model on the benchmark: a value per clip, or none, with its coverage, from any source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from rushes.records import Clip, Measurement, Prompt, Record, Scored
from rushes.records.base import Count, Share, Text
from rushes_vbench.catalogue import SOURCE
from rushes_vbench.names import stem


class ClipValue(Record):
    """The value of one clip, or of one prompt where clips are compared.

    Example:
        ClipValue(prompt="A dog sits down.", sample=0, value=1.0)
    """

    prompt: Text
    """The part of the prompt that its file name keeps: its first 180 characters."""
    sample: Count
    """Which clip of the prompt; 0 if a prompt's clips share one value."""
    value: Share | None = None
    """Score; None if the clip is not applicable or could not be scored."""


class DimensionValues(Record):
    """All values of one dimension by one model.

    Example:
        DimensionValues(dimension="Material", values=(ClipValue(prompt="Blue paint meets red.", sample=0, value=1.0),))
    """

    dimension: Text
    """Exact identifier."""
    values: Annotated[tuple[ClipValue, ...], Field(min_length=1)]
    """One per clip."""

    @property
    def num_valid(self) -> int:
        """Clips that have a value."""
        return sum(each.value is not None for each in self.values)

    @property
    def coverage(self) -> float:
        """Share of the clips that have a value."""
        return self.num_valid / len(self.values)

    @property
    def mean(self) -> float | None:
        """The official score: mean over clips that have a value; None if none has."""
        return math.fsum(each.value or 0.0 for each in self.values) / self.num_valid if self.num_valid else None

    @property
    def covered_mean(self) -> float:
        """Mean over all clips, those without a value counted as 0, so that evading the question cannot raise it."""
        return math.fsum(each.value or 0.0 for each in self.values) / len(self.values)


@dataclass(frozen=True)
class ModelValues:
    """All values of one model.

    Example: `ModelValues("base", {"Material": values})`.
    """

    model: str
    """Name in tables."""
    dimensions: Mapping[str, DimensionValues]
    """By exact identifier; unmeasured dimensions are absent."""


def values_of_run(
    measurements: Iterable[Measurement], prompts: Mapping[str, Prompt], clips: Mapping[str, Clip], *, model: str
) -> ModelValues:
    """A run's own measurements of the suite's prompts, as values.

    Args:
        measurements: of one model; those of other prompts, and of probes, are left out.
        prompts: by key, at least those measured.
        clips: by key, at least those measured.
        model: name in tables.
    """
    found: dict[str, list[ClipValue]] = {}
    for each in measurements:
        prompt = prompts[each.prompt_key]
        if prompt.source == SOURCE and prompt.origin == "held_out":
            value = each.outcome.value if isinstance(each.outcome, Scored) else None
            sample = clips[each.subject[0]].seed_index if len(each.subject) == 1 else 0
            values = found.setdefault(each.dimension, [])
            values.append(ClipValue(prompt=stem(prompt.base_text), sample=sample, value=value))
    return ModelValues(
        model,
        {
            name: DimensionValues(dimension=name, values=tuple(sorted(values, key=lambda v: (v.prompt, v.sample))))
            for name, values in found.items()
        },
    )
