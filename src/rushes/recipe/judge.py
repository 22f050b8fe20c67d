"""Recipe settings for the judge that scores clips."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Share
from rushes.roles import Spec

OneJudge = Annotated[VlmJudgeSpec | PluginSpec, Field(discriminator="kind")]
"""A judge: the built-in vision-language model, or a plug-in."""


class JudgeSpec(Spec):
    """Who judges clips, and how answers, values on scales or preferences become a score."""

    spec_name: ClassVar[str] = "judge"
    added_later: ClassVar[frozenset[str]] = frozenset({"by_dimension", "combine", "scales"})

    judge: OneJudge
    """Which judge judges, in every dimension without one of its own; `default` is another name of this setting."""
    by_dimension: dict[str, OneJudge] = Field(default_factory=dict)
    """Other judges for single dimensions, by their names: `{Camera_Motion: {use: ...}}`."""
    aggregate: Literal["mean", "product", "minimum"] = "mean"
    """How the probabilities of the expected answers become one score."""
    combine: Literal["standardised", "mean"] = "standardised"
    """How a judge's values on several scales become one. `standardised`: each counts in its spread among the takes of a
    prompt; `mean`: as they are, for scales of one unit."""
    scales: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Which scales count, and how much: `{VQ: 1.0, MQ: 0.5}`; empty: all of them, equally."""
    max_unscored: Share = 0.2
    """Share of unscored clips above which training is refused."""

    @property
    def named(self) -> dict[str, OneJudge]:
        """Every judge, by the setting that names it."""
        others = {f"judge.by_dimension.{name}": judge for name, judge in self.by_dimension.items()}
        return {"judge.judge": self.judge, **others}

    def of(self, dimension: str) -> JudgeSpec:
        """The same with the judge of one dimension as the only one."""
        if not self.by_dimension:
            return self
        judge = self.by_dimension.get(dimension, self.judge)
        return self.model_copy(update={"judge": judge, "by_dimension": {}})
