"""A recipe as a commented YAML file: every setting with its docstring and its allowed values."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel

from rushes.recipe.recipe import Recipe
from rushes.recipe.schema import Setting, kind_of, models_in, setting_of
from rushes.recipe.yaml_reader import KeyPath, dotted

_WIDTH: Final = 110
_PLAIN_TEXT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "none"})

_HEAD: Final = """\
# A recipe: one file is one run. Start or resume it with: rushes run FILE
# Settings that are left out keep their defaults. `--set train.num_steps=50` on the command line changes one value.
# What you look at first is marked with EDIT; the rest can stay as it is.
"""
_EDIT: Final = ("base.model", "diagnose.focus", "prompts.real.folder", "runtime.device", "runtime.servers")
"""What a user's recipe differs in from the one that it begins with: model, aim, real clips, machine."""


def notes_in(text: str) -> dict[str, list[str]]:
    """The comments that a recipe's author wrote: those above each section, by its name; the first ones under "".

    Args:
        text: the recipe's YAML.
    """
    found: dict[str, list[str]] = {}
    block: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            block.append(line)
            continue
        name, colon, _ = line.partition(":")
        if block and not found:
            found[""] = block
        elif block and colon:
            found[name] = block
        block = []
    return found


def recipe_yaml(recipe: Recipe, notes: Mapping[str, Sequence[str]] | None = None) -> str:
    """A complete, commented YAML file that `load_recipe` reads back as the same recipe.

    Args:
        recipe: the values.
        notes: comments of the author of the recipe that it begins with, see `notes_in`.
    """
    known = notes or {}
    names = sorted(Recipe.model_fields, key=lambda name: (name != "name", name == "runtime"))
    lines = [line for name in names for line in ["", *known.get(name, ()), *_setting(recipe, name, 0)]]
    about = ["#", *known[""]] if "" in known else []
    return "\n".join([_HEAD.rstrip(), *about, *lines, ""])


def _setting(model: BaseModel, name: str, depth: int, above: KeyPath = ()) -> Iterator[str]:
    """The lines of one setting, its comment first."""
    setting = setting_of(name, type(model).model_fields[name])
    value = getattr(model, name)
    indent = "  " * depth
    if dotted((*above, name)) in _EDIT:
        yield f"{indent}# EDIT"
    yield from _comment(*_about(setting, value), indent)
    if isinstance(value, BaseModel):
        yield f"{indent}{name}:"
        for inner in type(value).model_fields:
            yield from _setting(value, inner, depth + 1, (*above, name))
    else:
        yield from _plain(name, value, indent)
        if value is None:
            yield from _alternative(setting, name, indent)


def _about(setting: Setting, value: object) -> tuple[str, str]:
    """The meaning of a setting, and its allowed values; either may be empty."""
    meaning = " ".join(setting.description.split())
    if not isinstance(value, BaseModel):
        # `kind: grammar` of a chosen section is explained by that section.
        is_tag = setting.path[-1] == "kind" and len(get_args(setting.annotation)) == 1
        return meaning, "" if is_tag else f"[{setting.expected}]"
    first_paragraph = (type(value).__doc__ or "").split("\n\n")[0]
    kinds = [kind for model in models_in(setting.annotation) if (kind := kind_of(model)) is not None]
    return meaning or " ".join(first_paragraph.split()), f"[kind: {' or '.join(kinds)}]" if len(kinds) > 1 else ""


def _comment(meaning: str, accepts: str, indent: str) -> Iterator[str]:
    whole = f"{meaning} {accepts}".strip()
    parts = [whole] if len(whole) <= _WIDTH - len(indent) - 2 else [meaning, accepts]
    for part in parts:
        yield from textwrap.wrap(
            part, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
        )


def _alternative(setting: Setting, name: str, indent: str) -> Iterator[str]:
    """A section that is switched off, as it would be written with its defaults."""
    for model in models_in(setting.annotation):
        fields = {key: info for key, info in model.model_fields.items() if not info.is_required()}
        if len(fields) == len(model.model_fields):
            defaults = {key: info.get_default(call_default_factory=True) for key, info in fields.items()}
            inner = ", ".join(f"{key}: {_flow(value)}" for key, value in defaults.items() if value is not None)
            line = f"{indent}# {name}: {{{inner}}}"
            kind = kind_of(model)
            # A section with many settings is explained once it is written out; this line only shows how to start it.
            short = f"{indent}# {name}: {{{'' if kind is None else f'kind: {kind}'}}}"
            yield line if len(line) <= _WIDTH else short


def _plain(name: str, value: object, indent: str) -> Iterator[str]:
    """A plain value, a list or a mapping; long lists one item a line."""
    text = _flow(value)
    if len(text) <= _WIDTH - len(indent) - len(name) or not isinstance(value, (tuple, list)):
        yield f"{indent}{name}: {text}"
        return
    yield f"{indent}{name}:"
    for item in value:
        yield f"{indent}  - {_flow(item)}"


def _flow(value: object) -> str:
    if isinstance(value, BaseModel):
        return _flow({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = repr(value)
        # YAML 1.1 parsers read 1e-05 as text; with a decimal point every parser reads a number.
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, str):
        return value if _PLAIN_TEXT.fullmatch(value) and value.lower() not in _RESERVED else _quoted(value)
    return str(value)


def _quoted(text: str) -> str:
    """Text in double quotes, whatever it holds."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(char) or (char if char.isprintable() else _code(char)) for char in text) + '"'


def _code(char: str) -> str:
    return f"\\U{ord(char):08x}"
