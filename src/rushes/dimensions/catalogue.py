"""Quality dimensions as frozen records, read from the YAML files beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, Literal, Self

import yaml
from pydantic import TypeAdapter, model_validator

from rushes.errors import RecipeError
from rushes.records import Question, Record
from rushes.records.base import Text

CatalogueName = Literal["sandbox", "vbench2"]
"""`sandbox`: the shape world's own; `vbench2`: the eighteen of VBench-2.0."""

CATALOGUES: Final[tuple[CatalogueName, ...]] = ("sandbox", "vbench2")
"""The catalogues in the package."""


class Dimension(Record):
    """One thing that a video can be good or bad at.

    Example:
        Dimension(name="Camera_Motion", description="The camera moves as the prompt says.", category="Controllability",
                  failure_modes=("it pans the wrong way",), examples=("the camera zooms in on a blue cross",),
                  group=False, vbench_name="Camera_Motion")
    """

    name: Text
    """Its name in records, recipes and tables; unique in a catalogue."""
    description: Text
    """What it means, in a sentence or two, for a person and for a language model."""
    failure_modes: tuple[Text, ...] = ()
    """What goes wrong when a model is weak in it, in a few words each."""
    examples: tuple[Text, ...] = ()
    """Seed prompts that exercise it; prompt writers go on by analogy."""
    example_questions: tuple[tuple[Question, ...], ...] = ()
    """Questions of each example, in the order of `examples`; empty when none are known."""
    category: Text
    """Family of dimensions that it is reported with."""
    group: bool = False
    """True when several takes of one prompt are measured together (Diversity): no single clip has a score in it."""
    vbench_name: Text | None = None
    """Identifier of the VBench-2.0 dimension that it is, or is the counterpart of; None when there is none."""

    @model_validator(mode="after")
    def _questions_fit_examples(self) -> Self:
        if self.example_questions and len(self.example_questions) != len(self.examples):
            raise ValueError(
                f"{self.name}: expected questions for each of {len(self.examples)} examples, "
                f"got {len(self.example_questions)}"
            )
        return self


def catalogue(name: str = "sandbox") -> tuple[Dimension, ...]:
    """The dimensions of a catalogue, in the order in which they are reported.

    Args:
        name: one of `CATALOGUES`.

    Raises:
        RecipeError: no catalogue has that name.
    """
    if name not in CATALOGUES:
        raise RecipeError(
            "there is no such catalogue of dimensions",
            expected=" or ".join(CATALOGUES),
            got=name,
            next_step="bring dimensions of your own with diagnose.extra; they join one of these catalogues",
        )
    return _read(name)


@cache
def _read(name: str) -> tuple[Dimension, ...]:
    text = (
        files({"sandbox": "rushes_sandbox", "vbench2": "rushes_vbench"}[name])
        .joinpath("dimensions.yaml")
        .read_text(encoding="utf-8")
    )
    rows = yaml.safe_load(text)
    for row in rows:
        row.pop("vbench", None)  # facts about the benchmark are for `rushes_vbench.catalogue`, no part of work keys
    return TypeAdapter(tuple[Dimension, ...]).validate_python(rows)
