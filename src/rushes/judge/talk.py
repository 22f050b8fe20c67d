"""The protocol of reward servers: one JSON object per request and per reply. Pure; docs/reward_servers.md has the page.

A request names the clip's file on this machine; a reply has a value, or words, for each scale. What a reply must be is
checked here, before anything else reads it, so that a server's mistake is told in the words of the protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rushes import known_keys
from rushes.feedback import GivenPreference, ScaleValue
from rushes.llm.ask import Unusable, single_object
from rushes.plain import safe
from rushes.roles import Failed

PROTOCOL: Final = "rushes-reward-1"
"""Name and version of the protocol; a server repeats it in its greeting."""
MAX_REPLY_BYTES: Final = 2**20
"""Largest reply; one with thirty scales has a thousandth of that."""
SHOWN: Final = 300
"""Most characters of a server's words in an error."""


@dataclass(frozen=True)
class ClipFile:
    """A clip as a server gets it."""

    path: str
    """An mp4 (H.264 in RGB, lossless), readable until the reply has come."""
    num_frames: int
    """How many frames it has."""
    fps: float
    """Frames per second."""


@dataclass(frozen=True)
class Greeting:
    """What a server says about itself."""

    model: str
    """Its model with the revision."""
    scales: tuple[str, ...]
    """The scales that it gives values on; empty for one that only compares."""
    compares: bool
    """Whether it says which of two takes is the better one."""


class BadReply(Exception):
    """A reply that is none by the protocol; the message says what is wrong with it."""


def hello() -> dict[str, Any]:
    """The first request: who are you?"""
    return {"ask": "hello", "protocol": PROTOCOL}


def score_request(number: int, clip: ClipFile, text: str, dimension: str) -> dict[str, Any]:
    """The request for values of one clip."""
    return {"ask": "score", "id": number, "clip": vars(clip), "text": text, "dimension": dimension}


def prefer_request(number: int, first: ClipFile, second: ClipFile, text: str, dimension: str) -> dict[str, Any]:
    """The request for a preference between two takes of one prompt."""
    shown = {"first": vars(first), "second": vars(second)}
    return {"ask": "prefer", "id": number, **shown, "text": text, "dimension": dimension}


def read(reply: bytes) -> dict[str, Any]:
    """A reply as the object that it is. Keys of this machine that a server echoes are replaced by their names.

    Raises:
        BadReply: it is not one JSON object.
    """
    try:
        return single_object(known_keys.hidden(reply.decode("utf-8")))
    except UnicodeDecodeError:
        raise BadReply(f"expected a JSON object in UTF-8, got {reply[:40]!r}") from None
    except Unusable as error:
        raise BadReply(f"{error}: a server writes nothing but replies to its standard output") from None


def greeting(reply: Mapping[str, Any]) -> Greeting:
    """The server's greeting.

    Raises:
        BadReply: it is another protocol, or lacks something.
    """
    if "error" in reply:
        raise BadReply(f"the server refuses: {said(reply['error'])}")
    if reply.get("protocol") != PROTOCOL:
        raise BadReply(f"expected the protocol {PROTOCOL}, got {said(reply.get('protocol'))}")
    model, scales, compares = reply.get("model"), reply.get("scales", []), reply.get("compares", False)
    if not isinstance(model, str) or not model:
        raise BadReply(f"expected the model's name in the greeting, got {said(model)}")
    if not isinstance(scales, list) or not all(isinstance(each, str) for each in scales):
        raise BadReply(f"expected a list of names as scales, got {said(scales)}")
    if not isinstance(compares, bool):
        raise BadReply(f"expected true or false for compares, got {said(compares)}")
    return Greeting(model, tuple(scales), compares)


def values(reply: Mapping[str, Any], number: int, scales: Sequence[str]) -> tuple[ScaleValue, ...] | Failed:
    """The values of one clip on the scales that are wanted; those on other scales of the server are left out.

    A value that is no number passes as it came: the stage records why it cannot be used.

    Raises:
        BadReply: it answers something else.
    """
    problem = _error(reply, number)
    if problem is not None:
        return problem
    found = reply.get("values")
    if not isinstance(found, dict):
        raise BadReply(f"expected values as an object with one entry for each scale, got {said(found)}")
    return tuple(_value(name, found) for name in scales)


def _value(name: str, found: Mapping[str, Any]) -> ScaleValue:
    value = found.get(name)
    if isinstance(value, str):
        return ScaleValue(
            name, None, f"the server says: {said(value)}" if value.strip() else "the server gave no reason"
        )
    if value is None:
        why = "null" if name in found else "nothing"
        return ScaleValue(name, None, f"the server gave {why} for {name}; it has {said(sorted(found))}")
    return ScaleValue(name, value)


def preference(reply: Mapping[str, Any], number: int) -> GivenPreference | Failed:
    """The preference of one pair.

    Raises:
        BadReply: it answers something else.
    """
    problem = _error(reply, number)
    if problem is not None:
        return problem
    if "p_first" not in reply:
        raise BadReply(f"expected p_first, got an object with {said(sorted(reply))}")
    found = reply["p_first"]
    if isinstance(found, str):
        return GivenPreference(None, f"the server says: {said(found)}")
    return GivenPreference(None, "the server gave null for p_first") if found is None else GivenPreference(found)


def _error(reply: Mapping[str, Any], number: int) -> Failed | None:
    """What the server could not do.

    Raises:
        BadReply: the reply is to another request, as after one that was given up.
    """
    if reply.get("id") != number:
        raise BadReply(f"expected the reply to request {number}, got one to {said(reply.get('id'))}")
    return Failed("RewardServer", f"the server says: {said(reply['error'])}") if "error" in reply else None


def said(value: object) -> str:
    """Something that a server sent, short and fit to be shown."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return safe(known_keys.hidden_parts(" ".join(text.split())))[:SHOWN]
