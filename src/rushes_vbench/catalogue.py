"""Facts about the eighteen dimensions that the benchmark's files and scores depend on; data, read from YAML."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import yaml
from pydantic import Field, TypeAdapter

from rushes.dimensions import Dimension, catalogue
from rushes.errors import InputError
from rushes.records import Record
from rushes.records.base import Count, Size, Text

JudgeKind = Literal["questions", "questions_and_text", "tracker", "detector", "features"]
"""What measures the clips: a vision-language model; the same plus a judge of texts; a point tracker; detectors with
classifiers or embeddings; a feature network over several clips."""

ReferenceKind = Literal["none", "questions", "composition", "actions", "events", "camera", "counts"]
"""What the suite provides for a prompt besides its text: yes/no questions; things to look for, with two flags; two
actions in order; events in order; the name of a camera motion; how many of what."""


class ModelNeeded(Record):
    """A model that the official scoring of a dimension loads, and what its licence allows.

    Example:
        ModelNeeded(name="VGG19", licence="BSD-3-Clause code (torchvision); weights trained on ImageNet")
    """

    name: Text
    """The model, as its makers call it."""
    licence: Text
    """Licence of code and weights, as far as known; check it before redistribution."""


class Facts(Record):
    """What is fixed about one dimension of the benchmark.

    Example:
        Facts(num_prompts=10, num_samples=20, judge="features", reference="none", value="difference of features",
              value_kind="continuous", may_be_invalid=False, min_frames=1, min_duration_s=0.0, equal_lengths=True,
              models=(ModelNeeded(name="VGG19", licence="BSD-3-Clause"),))
    """

    num_prompts: Size
    """Prompts in the suite."""
    num_samples: Size
    """Clips of each prompt: 3, or 20 for Diversity."""
    judge: JudgeKind
    """What measures the clips."""
    reference: ReferenceKind
    """What the suite provides for a prompt besides its text."""
    value: Text
    """How the official value of a clip is computed, in words."""
    value_kind: Literal["binary", "fraction", "continuous"]
    """Which values a clip can have: 0 or 1; k of n; any from 0 to 1."""
    may_be_invalid: bool
    """True when a clip may be marked as not applicable (-1), which leaves it out of the mean."""
    min_frames: Size = 1
    """Fewest frames in which the official scoring can find what it measures."""
    min_duration_s: Annotated[float, Field(ge=0.0)] = 0.0
    """Shortest duration in which it can, seconds."""
    equal_lengths: bool = False
    """True when all clips of one prompt must have the same number of frames."""
    models: tuple[ModelNeeded, ...]
    """What the official scoring loads."""
    redefined_on: Annotated[str, Field(pattern=r"^$|^\d{4}-\d{2}-\d{2}$")] = ""
    """Day on which the official method last changed so much that older scores cannot be compared; empty for never."""

    @property
    def num_videos(self) -> Count:
        """Number of clips in a complete evaluation."""
        return self.num_prompts * self.num_samples

    @property
    def num_rows(self) -> Count:
        """Rows that a complete result file has: one per clip, or one per prompt where clips are compared."""
        return self.num_prompts if self.equal_lengths else self.num_videos


SOURCE: Final = "VBench-2.0"
"""Value of `Prompt.source` for the suite's prompts."""
CATALOGUE: Final = "rushes_vbench:dimensions.yaml"
"""Name of the catalogue, as `diagnose.catalogue` takes it."""
CATEGORIES: Final = ("Creativity", "Commonsense", "Controllability", "Human Fidelity", "Physics")
"""The five categories, each a fifth of the total, in the benchmark's order."""


def dimensions() -> tuple[Dimension, ...]:
    """The eighteen dimensions in the catalogue's order: by their exact identifiers."""
    return catalogue(CATALOGUE)


@cache
def facts() -> dict[str, Facts]:
    """The facts by identifier, in the catalogue's order."""
    text = files("rushes_vbench").joinpath("dimensions.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Facts]).validate_python({row["name"]: row["facts"] for row in yaml.safe_load(text)})


@cache
def by_category() -> dict[str, tuple[str, ...]]:
    """Identifiers of each category, in the benchmark's order of categories."""
    return {name: tuple(each.name for each in dimensions() if each.category == name) for name in CATEGORIES}


def share_of_total(dimension: str) -> float:
    """Share of the total score that a dimension contributes: categories count equally, and dimensions within each.

    Args:
        dimension: exact identifier.
    """
    category = next(each.category for each in dimensions() if each.name == dimension)
    return 1.0 / len(CATEGORIES) / len(by_category()[category])


def identifier(spelling: str) -> str | None:
    """The exact identifier for a spelling, whatever the separators between words; None if there is none.

    The official files write "Multi-View_Consistency", "Multi-View Consistency" and "Multi_View_Consistency".
    """
    return _spellings().get(_folded(spelling))


def named(spelling: str) -> str:
    """The exact identifier for a user's spelling.

    Raises:
        InputError: there is no such dimension.
    """
    found = identifier(spelling)
    if found is None:
        raise InputError(
            "VBench-2.0 has no such dimension",
            expected=f"one of {', '.join(facts())}",
            got=spelling,
            next_step="name it as the benchmark does; case and separators do not matter",
        )
    return found


@cache
def _spellings() -> dict[str, str]:
    return {_folded(each.name): each.name for each in dimensions()}


def _folded(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
