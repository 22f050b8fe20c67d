"""What a recipe can say about the final comparison."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rushes.recipe.generate import GenerateSpec
from rushes.recipe.models import VlmMeasurerSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records import SamplerSettings
from rushes.records.base import Count, Size
from rushes.roles import Spec


class MeasureSpec(Spec):
    """The final comparison: held-out prompts, same seeds, an independent measurer."""

    spec_name: ClassVar[str] = "measure"

    measurer: VlmMeasurerSpec | PluginSpec = Field(discriminator="kind")
    """Who measures; never the judge that gives the rewards."""
    same_model_as_judge: bool = False
    """True lets a model measure that also gives the rewards: it then reports how well it was pleased."""
    suite: PluginSpec | None = None
    """Prompts that come from outside, such as `{use: vbench2, options: {path: VBench}}`: they are then the probe and
    held-out ones, and are never trained on. None lets the prompt writer write them."""
    num_prompts: Size = 32
    """Held-out prompts per dimension."""
    num_extra_focus_prompts: Count = 0
    """Held-out prompts more for each focus dimension, where the gain is to be seen through the noise."""
    num_takes: Size = 1
    """Seeds per prompt."""
    num_diversity_prompts: Count = 10
    """Prompts for Diversity; 0 leaves it out. A verdict among nine dimensions takes at least 9, among eighteen 10."""
    num_diversity_takes: Annotated[int, Field(ge=2)] = 6
    """Takes per Diversity prompt."""
    sampler: SamplerSettings = GenerateSpec().sampler
    num_bootstrap: Annotated[int, Field(ge=100)] = 2000
    """Resamples of the paired bootstrap. 1,000 or more are usual; with fewer the ends of intervals are rough."""
    split: Literal["development", "test"] = "development"
    """Which held-out prompts: `test` only to confirm a finished recipe."""
    only_focus: bool = False
    """True compares in the focus dimensions alone: quicker, but what got worse elsewhere goes unseen."""
