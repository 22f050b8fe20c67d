"""A setting of a recipe by its name, as in `--set`: read, or changed in a copy."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from rushes.recipe.recipe import Recipe


def get_in(recipe: Recipe, setting: str) -> Any:
    """The value of a setting; None if it belongs to something that the recipe does not have."""
    value: Any = recipe
    for name in setting.split("."):
        value = getattr(value, name, None)
    return value


def set_in(recipe: Recipe, setting: str, value: Any) -> Recipe:
    """A copy of the recipe with another value of a setting."""
    changed: Recipe = _changed(recipe, setting.split("."), value)
    return changed


def _changed(model: Any, names: list[str], value: Any) -> Any:
    holder: BaseModel = model
    if len(names) > 1:
        return holder.model_copy(update={names[0]: _changed(getattr(holder, names[0]), names[1:], value)})
    return holder.model_copy(update={names[0]: value})
