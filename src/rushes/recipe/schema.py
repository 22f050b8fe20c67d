"""The settings that a recipe may contain, read from the specs' types and docstrings, and described in words."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from rushes.recipe.yaml_reader import KeyPath, dotted


@dataclass(frozen=True)
class Setting:
    """One place in a recipe."""

    path: KeyPath
    """Its place in the recipe, without the names of alternatives."""
    annotation: Any
    """Its type."""
    metadata: tuple[Any, ...] = ()
    """Its limits, as pydantic keeps them."""
    description: str = ""
    """Its docstring; empty for items of lists and mappings."""
    is_required: bool = False
    """True where it has no default."""

    @property
    def expected(self) -> str:
        """Its allowed values, in words."""
        return describe(self.annotation, self.metadata)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a type allows: one for a spec, several for a choice between specs."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return [model for member in get_args(annotation) for model in models_in(member)]
    return []


def kind_of(model: type[BaseModel]) -> str | None:
    """The value of `kind:` that chooses this model; None if it has no such setting."""
    found = model.model_fields.get("kind")
    options = () if found is None else get_args(found.annotation)
    return str(options[0]) if len(options) == 1 else None


def setting_of(name: str, info: FieldInfo, above: KeyPath = ()) -> Setting:
    """The setting that a field of a spec defines."""
    return Setting((*above, name), info.annotation, tuple(info.metadata), info.description or "", info.is_required())


def find(root: type[BaseModel], loc: Sequence[str | int]) -> tuple[KeyPath, Setting | None]:
    """Follow a location that pydantic reports.

    Args:
        root: the model of the whole recipe.
        loc: its `loc`, with the names of union members inside.

    Returns:
        The path as the user writes it, and the setting there; None if there is no such setting.
    """
    setting: Setting | None = Setting((), root)
    path: KeyPath = ()
    for step in loc:
        if setting is None:
            path = (*path, step)
            continue
        models = models_in(setting.annotation)
        chosen = [model for model in models if kind_of(model) == step]
        if len(models) > 1 and chosen:
            setting = Setting(path, chosen[0], (), setting.description)
        elif models:
            path = (*path, step)
            owners = [model for model in models if step in model.model_fields]
            setting = setting_of(str(step), owners[0].model_fields[str(step)], path[:-1]) if owners else None
        elif (inner := _inner(setting, step)) is not None:
            path = (*path, step)
            setting = Setting(path, inner)
        # Otherwise the step names a member of a union of plain types: the place stays the same.
    return path, setting


def _inner(setting: Setting, step: str | int) -> Any:
    """The type of a list's items or a mapping's values; None for plain values."""
    origin, arguments = get_origin(setting.annotation), get_args(setting.annotation)
    if origin in (tuple, list) and isinstance(step, int):
        return arguments[0]
    return arguments[1] if origin is dict else None


@cache
def all_settings(root: type[BaseModel]) -> tuple[Setting, ...]:
    """Every setting of a recipe in order, with sections and the settings of all alternatives, but none inside lists."""
    return tuple(_walk(root, ()))


def _walk(model: type[BaseModel], above: KeyPath) -> Iterator[Setting]:
    seen: set[str] = set()
    for name, info in model.model_fields.items():
        setting = setting_of(name, info, above)
        yield setting
        for inner in models_in(info.annotation):
            for below in _walk(inner, setting.path):
                if dotted(below.path) not in seen:
                    seen.add(dotted(below.path))
                    yield below


# ---------------------------------------------------------------------------------------------- types in words


def describe(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type and its limits in words: "a whole number >= 1", "one of 'mean', 'product', 'minimum'"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = [each for item in arguments[1:] for each in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return describe(arguments[0], [*metadata, *limits])
    if origin is Literal:
        words = [_word(option) for option in arguments]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin in (Union, types.UnionType):
        return _describe_union(arguments)
    if origin in (tuple, list):
        return f"a list ({describe(arguments[0])} each){_length(metadata)}"
    if origin is dict:
        return f"a mapping ({describe(arguments[1])} under each name)"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a section with {', '.join(annotation.model_fields)}"
    return _describe_plain(annotation, metadata)


def _describe_union(arguments: Sequence[Any]) -> str:
    members = [member for member in arguments if member is not type(None)]
    models = [model for member in members for model in models_in(member)]
    kinds = [kind for model in models if (kind := kind_of(model)) is not None]
    if len(models) > 1 and len(kinds) == len(models):
        text = f"a section with kind: {' or '.join(kinds)}"
    else:
        text = " or ".join(describe(member) for member in members)
    return text if len(members) == len(arguments) else f"{text}, or null"


def _describe_plain(annotation: Any, metadata: Sequence[Any]) -> str:
    if annotation is bool:
        return "true or false"
    if annotation is str:
        patterns = [found for item in metadata if (found := getattr(item, "pattern", None))]
        return f"text of the form {patterns[0]}" if patterns else "text"
    if annotation is JsonValue:
        return "any value"
    noun = {int: "a whole number", float: "a number"}.get(annotation, getattr(annotation, "__name__", str(annotation)))
    return f"{noun}{_limits(metadata)}"


def _limits(metadata: Sequence[Any]) -> str:
    found = {name: getattr(item, name) for item in metadata for name in ("ge", "gt", "le", "lt") if hasattr(item, name)}
    if set(found) == {"ge", "le"}:
        return f" from {found['ge']:g} to {found['le']:g}"
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    return " and".join(f" {signs[name]} {bound:g}" for name, bound in found.items() if bound is not None)


def _length(metadata: Sequence[Any]) -> str:
    bounds = [item.min_length for item in metadata if getattr(item, "min_length", None)]
    return f" of at least {bounds[0]}" if bounds else ""


def _word(option: object) -> str:
    return str(option).lower() if isinstance(option, bool) else repr(option)
