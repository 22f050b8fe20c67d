"""Recipe settings for the final comparison."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.recipe.generate import GenerateSpec
from rushes.recipe.models import VlmMeasurerSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records import SamplerSettings
from rushes.records.base import Count, Size
from rushes.roles import Spec

Split = Literal["development", "test", "seen"]
"""Held-out prompts to choose a recipe by, to confirm it by, and those that were used up for confirming."""


class MeasureSpec(Spec):
    """The final comparison: held-out prompts, same seeds, an independent measurer."""

    spec_name: ClassVar[str] = "measure"

    measurer: VlmMeasurerSpec | PluginSpec = Field(discriminator="kind")
    """Which measurer scores the comparison; never the judge that gives the rewards."""
    same_model_as_judge: bool = False
    """True allows the measurer to use the judge's model; the comparison then shows how well training pleased that
    model, which is not an independent measurement."""
    suite: PluginSpec | None = None
    """External prompts for probes and the held-out comparison, such as `{use: vbench2, options: {path: VBench}}`; they
    are never trained on. Null lets the prompt writer write them."""
    num_prompts: Count = 32
    """Held-out prompts per dimension; 0 measures nothing, where only real clips are trained on."""
    num_extra_focus_prompts: Count = 0
    """Additional held-out prompts for each focus dimension, so that a smaller gain can be detected there."""
    num_takes: Size = 1
    """Seeds per prompt."""
    num_diversity_prompts: Count = 10
    """Prompts for Diversity; 0 leaves it out. A verdict among nine dimensions takes at least 9, among eighteen 10."""
    num_diversity_takes: Annotated[int, Field(ge=2)] = 6
    """Takes per Diversity prompt."""
    sampler: SamplerSettings = GenerateSpec().sampler
    num_bootstrap: Annotated[int, Field(ge=100)] = 2000
    """Resamples of the paired bootstrap. 1,000 or more are usual; with fewer the ends of intervals are rough."""
    split: Split = "development"
    """Which held-out prompts to use; use `test` only to confirm a finished recipe. `seen` are those that were called
    `test` until results on them had been looked at several times: to compare with runs from then, or to search by.
    Prompts of no split are ever trained on."""
    only_focus: bool = False
    """True compares the focus dimensions only: faster, but losses in other dimensions are not detected."""

    @model_validator(mode="after")
    def _suite_has_split(self) -> Self:
        if self.suite is not None and self.split == "seen":
            raise ValueError(
                "measure.split: seen is of prompts that the writer writes, and measure.suite has none: set it to "
                "development or test"
            )
        return self
