"""JSON from files of others: what nobody can mean is an error, not a value."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


def strict_json(data: bytes) -> Any:
    """The value of a JSON file.

    Args:
        data: UTF-8, with or without a byte order mark.

    Raises:
        ValueError: not JSON, two entries of one name in an object, half of a surrogate pair, which is no text, or
            values nested too deep. The message says what.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_no_repeats)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair, which is no text") from error
    return value


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; which of two entries of one name is meant, nobody knows."""
    for name, num in Counter(name for name, _ in pairs).items():
        if num > 1:
            raise ValueError(f"{name!r} is in one object {num} times")
    return dict(pairs)
