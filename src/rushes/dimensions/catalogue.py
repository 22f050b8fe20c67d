"""Quality dimensions as frozen records, read from YAML files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import TypeAdapter, model_validator

from rushes.errors import RecipeError
from rushes.records import Question, Record
from rushes.records.base import Text

_MAX_BYTES: Final = 1 << 24


class _Loader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    """Refuses aliases: a few lines of them can stand for more values than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1} has an alias: write its value out")
        return super().compose_node(parent, index)


class Dimension(Record):
    """One thing that a video can be good or bad at.

    Example:
        Dimension(name="Camera_Motion", description="The camera moves as the prompt says.", category="Controllability",
                  failure_modes=("it pans the wrong way",), examples=("the camera zooms in on a blue cross",),
                  group=False)
    """

    name: Text
    """Its name in records, recipes and tables; unique in a catalogue."""
    description: Text
    """What it means, in a sentence or two, for a person and for a language model."""
    failure_modes: tuple[Text, ...] = ()
    """What goes wrong when a model is weak in it, in a few words each."""
    examples: tuple[Text, ...] = ()
    """Seed prompts that exercise it; prompt writers continue by analogy."""
    example_questions: tuple[tuple[Question, ...], ...] = ()
    """Questions of each example, in the order of `examples`; empty when none are known."""
    category: Text
    """The group of dimensions that it is reported with."""
    group: bool = False
    """True when several takes of one prompt are measured together (Diversity): no single clip has a score in it."""

    @model_validator(mode="after")
    def _questions_fit_examples(self) -> Self:
        if self.example_questions and len(self.example_questions) != len(self.examples):
            raise ValueError(
                f"{self.name}: expected questions for each of {len(self.examples)} examples, "
                f"got {len(self.example_questions)}"
            )
        return self


@cache
def catalogue(name: str) -> tuple[Dimension, ...]:
    """The dimensions of a catalogue, in the order in which they are reported.

    Args:
        name: a YAML file, or `package:file` for one inside an installed package: `rushes_sandbox:dimensions.yaml`.

    Raises:
        RecipeError: there is no such file, or it is not a catalogue.
    """
    package, colon, inside = name.partition(":")
    try:
        text = files(package).joinpath(inside).read_text("utf-8") if colon else _text_of(Path(name))
    except (OSError, ImportError, ValueError, TypeError) as error:
        raise RecipeError(
            f"the catalogue of dimensions cannot be read: {error}",
            expected="a YAML file, or one inside an installed package: rushes_sandbox:dimensions.yaml",
            got=name,
            next_step="correct diagnose.catalogue",
        ) from error
    return _parsed(text, name)


def _text_of(path: Path) -> str:
    if path.exists() and not (path.is_file() and path.stat().st_size <= _MAX_BYTES):
        raise OSError(f"{path} is not a file of at most {_MAX_BYTES >> 20} MiB")
    return path.read_text("utf-8")


def _parsed(text: str, name: str) -> tuple[Dimension, ...]:
    try:
        rows = yaml.load(text, Loader=_Loader)
        for row in rows:
            row.pop("facts", None)  # about the benchmark that the dimension belongs to; not part of work keys
        return TypeAdapter(tuple[Dimension, ...]).validate_python(rows)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecipeError(
            f"{name} is not a catalogue of dimensions: {str(error).splitlines()[0]}",
            expected="a list with name, description, category and examples under each dimension",
            got=text[:80],
            next_step="compare it with rushes_sandbox:dimensions.yaml",
        ) from error
