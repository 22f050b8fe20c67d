"""What a recipe can say about the judge that scores clips."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Share
from rushes.roles import Spec


class SandboxJudgeSpec(Spec):
    """The learned question-answering model in the package."""

    kind: Literal["sandbox"] = "sandbox"


class JudgeSpec(Spec):
    """Who answers the questions, and how answers become a score."""

    judge: SandboxJudgeSpec | VlmJudgeSpec | PluginSpec = Field(default=SandboxJudgeSpec(), discriminator="kind")
    aggregate: Literal["mean", "product", "minimum"] = "mean"
    """How the probabilities of the expected answers become one score."""
    max_unscored: Share = 0.2
    """Share of unscored clips above which training is refused."""
