"""Versioned templates: the words of each step in a separate file. User text can fill a turn, but never start one."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, cast

from rushes.errors import RecipeError
from rushes.llm.chat import Message

_TURN: Final = re.compile(r"^=== (system|user|assistant) ===$", re.MULTILINE)
Role = Literal["system", "user", "assistant"]


def render(package: str, name: str, /, **values: object) -> tuple[Message, ...]:
    """The turns of a template.

    The file is split into turns before values are inserted, so that no value can add a turn.

    Args:
        package: the package with a folder `templates`, for example "rushes.prompts".
        name: file name without its extension, version included: "base.v1".
        values: the template's variables; texts are inserted unchanged.

    Raises:
        RecipeError: there is no such template.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["quoted"] = quoted
    return tuple(
        Message(role, environment.from_string(text).render(**cast(Any, values)).strip())
        for role, text in _turns(package, name)
    )


@cache
def _turns(package: str, name: str) -> tuple[tuple[Role, str], ...]:
    parts = _TURN.split(template_text(package, name))
    return tuple((cast(Role, role), text) for role, text in zip(parts[1::2], parts[2::2], strict=True))


@cache
def template_text(package: str, name: str) -> str:
    """The text of a packaged template.

    Raises:
        RecipeError: there is no such template.
    """
    folder = files(package) / "templates"
    try:
        return (folder / f"{name}.jinja").read_text(encoding="utf-8")
    except OSError:
        known = sorted(each.name.removesuffix(".jinja") for each in folder.iterdir() if each.name.endswith(".jinja"))
        raise RecipeError(
            "there is no such template", expected=f"one of {', '.join(known)}", got=name, next_step="correct its name"
        ) from None


def template_hash(package: str, name: str) -> str:
    """sha256 of a template's text, the golden value of its version."""
    return hashlib.sha256(template_text(package, name).encode("utf-8")).hexdigest()


def quoted(text: object) -> str:
    """A text on one line between double quotes, so that a model can see where it ends: data, not instructions."""
    words = " ".join(str(text).split())
    return '"' + words.replace('"', "'") + '"'
