"""`from: sandbox` in a recipe: start with another recipe's settings and change some of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rushes.errors import RecipeError
from rushes.recipe.yaml_reader import Document, Value, shown

KEY: Final = "from"
_MAX_DEPTH: Final = 8
_CHOOSES: Final = ("kind", "use")
"""Settings that choose what a section is: if one differs, the whole section is replaced."""


def inherited(document: Document, read: Callable[[str], Document], depth: int = 0) -> Document:
    """The document, completed with the settings of the recipe that its `from` names; unchanged without a `from`.

    Sections are merged setting by setting. Lists and plain values are replaced, and so is a section that chooses
    another `kind` or `use`. The other recipe's name is not inherited.

    Args:
        document: a recipe as it was read.
        read: reads the recipe with a name or path.
        depth: length of the chain of `from` that led here.

    Raises:
        RecipeError: `from` is not a name, the recipe does not exist, or recipes name each other in a circle.
    """
    if KEY not in document.value:
        return document
    own = {name: value for name, value in document.value.items() if name != KEY}
    wanted = document.value[KEY]
    if not isinstance(wanted, str) or depth == _MAX_DEPTH:
        raise RecipeError(
            f"{document.place((KEY,))}: from cannot be this value" if depth < _MAX_DEPTH else "recipes name each other",
            expected="the name of a packaged recipe or a YAML file, at most eight deep",
            got=shown(wanted),
            next_step="for example: from: sandbox",
        )
    base = inherited(read(wanted), read, depth + 1)
    places = {path: place for path, place in base.places.items() if path} | document.places
    merged = _merged({name: value for name, value in base.value.items() if name != "name"}, own)
    return Document(merged, places)


def _merged(old: dict[str, Value], new: dict[str, Value]) -> dict[str, Value]:
    result = dict(old)
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, dict) and isinstance(value, dict) and not _chooses_other(before, value):
            result[name] = _merged(before, value)
        else:
            result[name] = value
    return result


def _chooses_other(before: dict[str, Value], value: dict[str, Value]) -> bool:
    return any(name in value and value[name] != before.get(name) for name in _CHOOSES)
