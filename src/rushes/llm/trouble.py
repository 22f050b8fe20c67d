"""What an error of a server means: whether a later try may help, or another form of the request, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urljoin, urlsplit

from rushes.llm.chat import TOO_LONG, TOO_MANY_IMAGES
from rushes.llm.retry import AGAIN, asked_wait_s
from rushes.llm.wire import Body, Taken, images_allowed, is_final, is_too_long

_MANY: Final = 4
"""Requests with the same error after which it is that of the server, if it has answered none."""
_MANY_LATER: Final = 16
"""Requests with the same error after which a server that answered before is asked once for each request."""
_CHANGING: Final = re.compile(r"[0-9a-f-]{8,}|\d+")
"""Parts of an error that differ between requests: numbers, identifiers, times."""


class Refused(Exception):
    """One request failed; others may still succeed."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind
        """The `Failed.error_type`."""
        self.said = said
        """The `Failed.message`."""


class Unusable(Exception):
    """No request can succeed."""

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(problem)
        self.problem = problem
        """What the server does, after "the server X at Y"."""
        self.expected = expected
        """What would be right."""


@dataclass(frozen=True)
class Wait:
    """The same request may succeed later."""

    at_least_s: float
    """What the server asks for, seconds; 0 if it asks for nothing."""


@dataclass(frozen=True)
class Status:
    """A reply that is an error."""

    code: int
    """HTTP status, 300 to 599."""
    said: str
    """The server's message, without keys."""
    headers: Mapping[str, str]
    """Its headers, case-insensitive."""
    url: str
    """Where the request went."""


def meaning(status: Status, sent: Body, taken: Taken, *, has_key: bool) -> Wait | Taken:
    """What to do after an error.

    Args:
        status: the error.
        sent: the request.
        taken: what the server takes, as far as known.
        has_key: whether a key was sent.

    Returns:
        `Wait` for the same request again; `Taken` for another form of it, at once.

    Raises:
        Refused: this request cannot succeed.
        Unusable: no request can.
    """
    code, said = status.code, status.said
    if code < 400:
        raise _redirected(status)
    if code in (401, 403):
        raise Unusable("rejects the key" if has_key else "needs a key", "a valid key")
    if code == 402 or "insufficient_quota" in said:
        raise Unusable("asks for payment", "credit left on the account of the key")
    if code == 404:
        raise Unusable("has no such model or address", "the model's name on that server")
    is_about_this = code not in AGAIN or code == 500
    if is_about_this and (code == 413 or is_too_long(said)):
        raise Refused(TOO_LONG, f"longer than the model reads: {said}")
    if is_about_this and (allowed := images_allowed(sent, said)) is not None:
        raise Refused(TOO_MANY_IMAGES, f"{allowed} images allowed: {said}")
    if (code in (400, 422) or (code >= 500 and is_final(said))) and (other := taken.without(sent, said)) is not None:
        return other
    if code in AGAIN and not (code == 500 and is_final(said)):
        return Wait(asked_wait_s(status.headers) or 0.0)
    raise Refused(f"Http{code}", said)


def _redirected(status: Status) -> Exception:
    here, place = _host(status.url), status.headers.get("location", "")
    there = _host(urljoin(status.url, place)) if place else "an unnamed place"
    return Unusable(
        f"sends requests on to {there} (status {status.code})",
        f"an answer from {here} itself: prompts and frames go to no host that the recipe does not name; if {there} is "
        "right, set the server's url to its address",
    )


def _host(url: str) -> str:
    """Scheme and host: a path or query may hold a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{parts.hostname}{port}"


@dataclass
class Streak:
    """Requests that failed one after the other with the same words, to tell a server's fault from a request's."""

    has_answered: bool = False
    """Whether it ever answered a request, in an earlier run too: then what a run has left may be only what fails."""
    _said: str = ""
    _failed: set[str] = field(default_factory=set[str])

    def answered(self) -> None:
        """A request was answered."""
        self.has_answered = True
        self._failed.clear()

    @property
    def is_long(self) -> bool:
        """Whether so many requests failed with the same words that another try of one is not worth its pause."""
        return len(self._failed) >= _MANY_LATER

    def is_everywhere(self, said: str, request: str, stage: Literal["trying", "given up"]) -> bool:
        """Count a failed request, and say whether its error is that of every request: the server never answered one.

        Args:
            said: the error.
            request: the same for every try of a request, however often it is sent.
            stage: whether the request may still be tried again; then it counts only if no request was ever answered.
        """
        if self.has_answered and stage == "trying":
            return False
        same = _CHANGING.sub("#", said)
        if same != self._said:
            self._said = same
            self._failed.clear()
        self._failed.add(request)
        return not self.has_answered and len(self._failed) >= _MANY
