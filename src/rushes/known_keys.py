"""Keys by their value: none reaches a record, a file, a log or the terminal. Every part may use it; it knows nothing.

A key is known once it was read for a server (`remember`), or if it is the value of an environment variable with the
name of one (`HF_TOKEN`, `WANDB_API_KEY`), which a plug-in may read by itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import quote

_MIN_LENGTH: Final = 8
"""Shortest value that is a key, characters: servers without keys are given words such as `none` and `EMPTY`."""
_MIN_PART: Final = 8
"""Shortest beginning or end of a key that is hidden where servers mask its middle, characters."""
_NAME_OF_KEY: Final = re.compile(r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|TOKEN|SECRET|PASSWORD)$")
_RANDOM: Final = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[^\s/\\]{16,}")
_MASKED: Final = re.compile(r"\*{3,}[\w-]{1,8}")
"""A masked key whose last letters a server shows."""
_known: dict[str, str] = {}


def remember(name: str, value: str) -> None:
    """Hide a key from now on.

    Args:
        name: the environment variable that it came from; shown in its place.
        value: the key; one that is shorter than eight characters is not hidden.
    """
    if len(value) >= _MIN_LENGTH:
        _known[value] = name


def hidden(text: str) -> str:
    """`text` with every known key replaced by the name of its variable, as in `[OPENAI_API_KEY]`."""
    for value, name in _all().items():
        for written in _spellings(value):
            if written in text:
                text = text.replace(written, f"[{name}]")
    return text


def hidden_parts(text: str) -> str:
    """`hidden`, for a server's messages: also without long beginnings and ends of keys, as in `sk-abcdef***`."""
    text = hidden(text)
    for value, name in _all().items():
        longest = min(len(value) - 1, len(text))
        for part in (cut for n in range(longest, _MIN_PART - 1, -1) for cut in (value[:n], value[-n:])):
            text = text.replace(part, f"[{name}]")
    return _MASKED.sub("***", text)


def names() -> frozenset[str]:
    """The environment variables that hold keys: those with the name of one, and those that were read for a server."""
    return frozenset(name for name in os.environ if _NAME_OF_KEY.search(name.upper())) | frozenset(_known.values())


def _all() -> Mapping[str, str]:
    return {**_in_environment(), **_known}


@cache
def _in_environment() -> Mapping[str, str]:
    """Values that look random: a path or a plain word in such a variable is no key."""
    return {
        value: name
        for name, value in os.environ.items()
        if _NAME_OF_KEY.search(name.upper()) and _RANDOM.fullmatch(value)
    }


@cache
def _spellings(value: str) -> tuple[str, ...]:
    """The value as it is, in JSON, and in an address."""
    return tuple(dict.fromkeys((value, json.dumps(value)[1:-1], quote(value, safe=""))))
