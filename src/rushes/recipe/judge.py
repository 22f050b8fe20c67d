"""Recipe settings for the judge that scores clips."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Share
from rushes.roles import Spec


class JudgeSpec(Spec):
    """Who answers the questions, and how answers become a score."""

    spec_name: ClassVar[str] = "judge"

    judge: VlmJudgeSpec | PluginSpec = Field(discriminator="kind")
    """Which judge answers."""
    aggregate: Literal["mean", "product", "minimum"] = "mean"
    """How the probabilities of the expected answers become one score."""
    max_unscored: Share = 0.2
    """Share of unscored clips above which training is refused."""
