"""What a recipe can say about dimensions: which there are, which the user brings, how the weak ones are found."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.records.base import Share, Size
from rushes.roles import Spec


class ExampleSpec(Spec):
    """A seed example of a dimension that the user brings."""

    spec_name: ClassVar[str] = "example"

    prompt: str
    """A text that exercises the dimension."""
    questions: dict[str, Literal["yes", "no"]] = Field(default_factory=dict)
    """Questions with the answers that a clip of this prompt should get."""


class DimensionSpec(Spec):
    """A dimension that the user brings, as the paper's user does."""

    spec_name: ClassVar[str] = "dimension"

    name: str
    """Its name in tables."""
    description: str
    """What it means, in a sentence or two."""
    examples: Annotated[tuple[ExampleSpec, ...], Field(min_length=1)]
    """Seed examples; the writer goes on by analogy."""


class DiagnoseSpec(Spec):
    """How weak dimensions are found."""

    spec_name: ClassVar[str] = "diagnose"

    catalogue: str
    """The dimensions there are: a YAML file of yours, or one inside an installed package,
    `rushes_sandbox:dimensions.yaml` (the sandbox's) or `rushes_vbench:dimensions.yaml` (the 18 of VBench-2.0)."""
    dimensions: tuple[str, ...] = ()
    """Dimensions to probe; empty for all of the catalogue."""
    focus: tuple[str, ...] = ()
    """Dimensions to aim at, named by the user; empty lets the probes decide."""
    num_focus: Size = 3
    """How many dimensions the probes may choose."""
    num_prompts: Size = 24
    """Probe prompts per dimension."""
    num_takes: Size = 1
    """Takes of each probe prompt."""
    choose: Literal["gap", "headroom", "picked"] = "gap"
    """What the probes choose by: the widest gap to the target, as in the paper; `headroom`, of that gap, what the model
    reaches by itself, which is how far a prompt's best take lies above its mean take; `picked`, the same for the take
    that the judge likes best. A dimension in which no take is ever right, or whose right takes the judge cannot tell,
    has a gap but nothing to learn from. The last two need two takes or more."""
    target: Share = 1.0
    """The score that a dimension is measured against; its gap is the distance to it."""
    extra: tuple[DimensionSpec, ...] = ()
    """Dimensions that the user brings."""

    @model_validator(mode="after")
    def _takes_are_compared(self) -> Self:
        if self.choose != "gap" and self.num_takes < 2:
            raise ValueError(
                f"diagnose.choose: {self.choose} compares takes of one prompt: set diagnose.num_takes to 2 or more"
            )
        return self
