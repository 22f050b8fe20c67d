"""When to retry, and how long to wait: exponential with jitter, and never less than the server asks for."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""HTTP statuses after which a retry of the same request may succeed."""
_FIRST_S: Final = 0.5


def backoff_s(attempt: int, longest_s: float, draw: random.Random) -> float:
    """Pause after a failed try, seconds: half fixed, half random, so that workers do not all retry at once.

    Args:
        attempt: how many tries have failed, from 1.
        longest_s: upper limit of the pause.
        draw: source of the jitter.
    """
    full = min(longest_s, _FIRST_S * 2.0 ** min(attempt - 1, 30))
    return full * (0.5 + 0.5 * draw.random())


def asked_wait_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The wait that a server asks for, seconds >= 0: `retry-after-ms`, or `retry-after` as seconds or as a date.

    Args:
        headers: of the response, names in lower case or a case-insensitive mapping.
        now: the current time, for dates; None reads the clock.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is not None or said is None:
        return seconds
    try:
        until = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
