"""Recipe settings for dimensions: which exist, which the user adds, how the weak ones are found."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.records.base import Share, Size
from rushes.roles import Spec


class ExampleSpec(Spec):
    """A seed example of a dimension that the user adds."""

    spec_name: ClassVar[str] = "example"

    prompt: str
    """A prompt that exercises the dimension."""
    questions: dict[str, Literal["yes", "no"]] = Field(default_factory=dict)
    """Questions with the answers expected of a clip of this prompt."""


class DimensionSpec(Spec):
    """A dimension that the user adds, as in the paper."""

    spec_name: ClassVar[str] = "dimension"

    name: str
    """Its name in tables."""
    description: str
    """What it means, in a sentence or two."""
    examples: Annotated[tuple[ExampleSpec, ...], Field(min_length=1)]
    """Seed examples; the writer continues by analogy."""


class DiagnoseSpec(Spec):
    """How weak dimensions are found."""

    spec_name: ClassVar[str] = "diagnose"

    catalogue: str
    """The available dimensions: your own YAML file, or one inside an installed package,
    `rushes_sandbox:dimensions.yaml` (the sandbox's) or `rushes_vbench:dimensions.yaml` (the 18 of VBench-2.0)."""
    dimensions: tuple[str, ...] = ()
    """Dimensions to probe; empty for the whole catalogue."""
    focus: tuple[str, ...] = ()
    """Dimensions to improve, by name; empty lets the probes decide."""
    num_focus: Size = 3
    """How many dimensions the probes may choose at most."""
    num_prompts: Size = 24
    """Probe prompts per dimension."""
    num_takes: Size = 1
    """Takes of each probe prompt."""
    choose: Literal["gap", "headroom", "picked"] = "gap"
    """How the probes rank dimensions. `gap`: by the distance from the mean score to the target, as in the paper.
    `headroom`: by the part of that gap that the model can already close, which is how far a prompt's best take scores
    above its mean take. `picked`: the same for the take that the judge likes best. A dimension has a gap but nothing to
    learn from if no take is ever right, or if the judge cannot recognise the right ones. `headroom` and `picked` count
    less their standard error over probe prompts, and need at least two takes and two prompts."""
    target: Share = 1.0
    """The score that a dimension is measured against; its gap is the distance to it."""
    min_score: Share = 0.0
    """Dimensions with a lower mean score are not chosen: where hardly a take is right, they are right by luck, and
    comparing them with the others teaches little. Dimensions named in `focus` are kept."""
    extra: tuple[DimensionSpec, ...] = ()
    """Your own dimensions, in addition to the catalogue's."""

    @model_validator(mode="after")
    def _takes_are_compared(self) -> Self:
        if self.choose != "gap" and self.num_takes < 2:
            raise ValueError(
                f"diagnose.choose: {self.choose} compares takes of one prompt: set diagnose.num_takes to 2 or more"
            )
        if self.choose != "gap" and self.num_prompts < 2:
            raise ValueError(
                f"diagnose.choose: {self.choose} compares gains with their error over prompts: set "
                "diagnose.num_prompts to 2 or more"
            )
        return self
