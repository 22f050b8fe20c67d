"""No recipe holds a key: what is a key by its name or its form is refused, and never part of a message.

A recipe is copied into the run folder, into work keys and reports, and sent to colleagues. Keys come from the
environment (`runtime.servers.NAME.key_env`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rushes.errors import RecipeError
from rushes.plain import HIDDEN, hidden, names_secret

if TYPE_CHECKING:
    from rushes.recipe.yaml_reader import Document, KeyPath, Value

_FOR_KEYS: Final = re.compile(
    r"(?i)^(key|token)$|secret|passw|passphrase|pwd$|credential|authori[sz]ation|bearer|cookie"
    r"|(api|access|auth|private|account|hub|hf)[-_]?(key|token)s?$"
)
"""Names that mean nothing but a secret. A plug-in's `tokenizer` or `caption_key` is not among them."""
_LONG: Final = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{20,}")
"""In a value that is refused anyway, this is hidden too: it may be a key, and a hash is no loss there."""
_RANDOM: Final = re.compile(r"(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[^\s/]{16,}")


def check_no_keys(document: Document) -> None:
    """Refuse a recipe that holds a key.

    Raises:
        RecipeError: one of its texts does; the message names the setting and does not show it.
    """
    from rushes.recipe.yaml_reader import dotted

    for path, text in _texts(document.value, ()):
        place = document.place(path)
        where = place if place == f"--set {dotted(path)}" else f"{place}: {dotted(path)}".removeprefix(": ")
        if _is_secret(path, text):
            raise RecipeError(
                f"{where} holds a key or a password, which is not shown here",
                expected="no secret in a recipe: it is copied into the run folder and its report",
                next_step=f"remove it; {_instead(path)}",
            )


def _instead(path: KeyPath) -> str:
    if path[:2] == ("runtime", "servers") and len(path) > 3:
        return f"name an environment variable that holds it: --set runtime.servers.{path[2]}.key_env=MY_KEY"
    return "let what needs it read it from the environment"


def without_keys(value: object, name: str = "") -> object:
    """`value` as it may be shown: texts without keys, and nothing of a setting with the name of a key.

    Args:
        value: any value of a recipe.
        name: its setting.
    """
    if isinstance(value, dict):
        return {hidden(str(key)): without_keys(each, str(key)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_keys(each, name) for each in value]
    if value is None or isinstance(value, bool):
        return value
    if names_secret(name) or name == "key_env":  # a key may stand there in place of the variable's name
        return HIDDEN
    return _LONG.sub(HIDDEN, hidden(value)) if isinstance(value, str) else value


def _texts(value: Value, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text and number of a recipe, and every name in it, with the path of the setting that it belongs to."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield path, name
            yield from _texts(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, (*path, index))
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)


def _is_secret(path: KeyPath, text: str) -> bool:
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    if hidden(text) != text and not (name == "use" and ":" in text):  # a class may have a name of many letters
        return True
    return _FOR_KEYS.search(name) is not None or (names_secret(name) and _RANDOM.fullmatch(text) is not None)
