"""Settings with a second name: `judge.default` is `judge.judge`, which reads better beside `judge.by_dimension`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rushes.errors import RecipeError
from rushes.recipe.yaml_reader import Document, Value

SECTION: Final = "judge"
OTHER, USUAL = "default", "judge"


def usual_steps(steps: Sequence[str]) -> list[str]:
    """The steps of a setting's name, with its usual name: `judge.default.use` becomes `judge.judge.use`."""
    return [SECTION, USUAL, *steps[2:]] if list(steps[:2]) == [SECTION, OTHER] else list(steps)


def renamed(document: Document) -> Document:
    """The document, with the usual names in place of the others; changed in place.

    Raises:
        RecipeError: one document sets both.
    """
    section = document.value.get(SECTION)
    if not isinstance(section, dict) or OTHER not in section:
        return document
    if USUAL in section:
        raise RecipeError(
            f"{document.place((SECTION, OTHER))}: {SECTION}.{OTHER} and {SECTION}.{USUAL} are one setting",
            expected="one of the two",
            got="both",
            next_step="remove judge.judge",
        )
    # In the place of the old name, so that settings keep their order.
    items: dict[str, Value] = {USUAL if name == OTHER else name: value for name, value in section.items()}
    document.value[SECTION] = items
    for path in [path for path in document.places if path[:2] == (SECTION, OTHER)]:
        document.places[(SECTION, USUAL, *path[2:])] = document.places.pop(path)
    return document
