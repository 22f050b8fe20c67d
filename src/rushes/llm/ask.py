"""Ask a model for structured output: parse the reply strictly, report errors to it and retry; then return `Failed`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rushes.llm.chat import UNUSABLE, ChatModel, ChatReply, ChatRequest, Message
from rushes.roles import Failed

Wanted = TypeVar("Wanted")
Form = TypeVar("Form", bound="ReplyForm")
_SHOWN: Final = 160
_KEPT: Final = 2000
_LONG: Final = 4096
"""Tokens that are enough for most thoughts."""
_THOUGHTS: Final = re.compile(r"<think>.*?</think>|\A(?:(?!<think>).)*?</think>", re.DOTALL)
"""Also without their beginning, which some chat templates write themselves."""
_TRAILING_COMMA: Final = re.compile(r",(\s*[}\]])")
_CORRECTION: Final = "That reply cannot be used:"


class ReplyForm(BaseModel):
    """What a reply must contain, as JSON; unknown entries are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class Unusable(ValueError):
    """A reply that cannot be used; the message tells the model what to correct."""


class CutOff(Unusable):
    """A reply that is longer than was allowed."""


@dataclass(frozen=True)
class Ask(Generic[Wanted]):
    """A request, and how to parse its reply."""

    request: ChatRequest
    """The first request."""
    read: Callable[[str], Wanted]
    """Parses the reply's text.

    Raises:
        Unusable: it cannot be parsed.
    """
    limit: str = ""
    """The setting that allows longer replies; empty where there is none."""


def ask_all(model: ChatModel, asks: Sequence[Ask[Wanted]], num_tries: int) -> list[Wanted | Failed]:
    """The parsed reply to each request, or `Failed` with the last error.

    After an unusable reply the model is told what is wrong and asked again, up to `num_tries` replies in all.

    Args:
        model: the model to ask.
        asks: the requests.
        num_tries: at least 1.

    Raises:
        UserError: the model cannot be asked at all.
    """
    results: dict[int, Wanted | Failed] = {}
    pending = {position: ask.request for position, ask in enumerate(asks)}
    for attempt in range(1, num_tries + 1):
        given = model.reply(list(pending.values())) if pending else []
        for (position, request), reply in zip(list(pending.items()), given, strict=True):
            if isinstance(reply, Failed):
                results[position] = reply
                del pending[position]
                continue
            try:
                results[position] = asks[position].read(_whole(reply))
                del pending[position]
            except Unusable as error:
                results[position] = _unusable(error, asks[position], attempt)
                pending[position] = _again(request, reply, str(error))
    return [results[position] for position in range(len(asks))]


def _unusable(error: Unusable, ask: Ask[Any], attempt: int) -> Failed:
    said = f"{error} ({attempt} {'try' if attempt == 1 else 'tries'})"
    if isinstance(error, CutOff) and ask.limit:
        said += f"; longer replies: --set {ask.limit}={max(_LONG, 2 * ask.request.max_tokens)}"
    # The model has answered: the same request would get the same reply.
    return Failed(UNUSABLE, said, retry="useless")


def _whole(reply: ChatReply) -> str:
    if reply.is_cut:
        raise CutOff(f"the reply is cut off after {reply.text[-_SHOWN:]!r}")
    return reply.text


def _again(request: ChatRequest, reply: ChatReply, why: str) -> ChatRequest:
    """The request after an unusable reply; it contains only the last such reply."""
    first = tuple(each for each in request.messages if not each.text.startswith(_CORRECTION))
    if len(first) < len(request.messages):
        first = first[:-1]
    correction = Message("user", f"{_CORRECTION} {why}. Answer again with the JSON object and nothing else.")
    messages = (*first, Message("assistant", reply.text[:_KEPT]), correction)
    return replace(request, messages=messages, seed=(request.seed + 1) % 2**63)


def without_thoughts(text: str) -> str:
    """A reply without the thoughts that a model wrote before it; thoughts that do not end stay."""
    return _THOUGHTS.sub("", text)


def is_thinking(text: str) -> bool:
    """Whether a reply ended while the model was thinking."""
    return text.lstrip().startswith("<think")


def read_json(text: str, form: type[Form]) -> Form:
    """The first JSON object in a reply, as `form`; text and code fences around it and trailing commas are ignored.

    A truncated object is not completed: half a sentence is not a prompt.

    Raises:
        Unusable: there is no object, or it does not match the form.
    """
    return _read_all(text, form)[0]


def read_decision(text: str, form: type[Form]) -> Form:
    """`read_json` for a reply that decides something: where several objects match and differ, none is chosen.

    Raises:
        Unusable: also where it is unknown which object the model means.
    """
    found = _read_all(text, form)
    if any(each != found[0] for each in found):
        raise Unusable(f"expected one JSON object, got {len(found)} that differ")
    return found[0]


def _read_all(text: str, form: type[Form]) -> list[Form]:
    objects = list(_objects_in(without_thoughts(text)))
    if not objects:
        raise Unusable(f"expected a JSON object, got {_short(text)!r}")
    found = _fitting([part for each in objects for part in (each, *_parts(each))], form)
    if found:
        return found
    try:
        return [form.model_validate(objects[0])]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the object"
        raise Unusable(f"{place}: {first['msg']}") from None


def _fitting(objects: Sequence[object], form: type[Form]) -> list[Form]:
    found = []
    for value in objects:
        with suppress(ValidationError):
            found.append(form.model_validate(value))
    return found


def _parts(value: object) -> Iterator[dict[str, Any]]:
    """The objects inside an object: some models wrap what they were asked for."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        if isinstance(each, dict):
            yield each
        yield from _parts(each)


def single_object(text: str) -> dict[str, Any]:
    """A text that is one JSON object and nothing else.

    Raises:
        Unusable: it is anything else, or names an entry twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unusable(f"expected a JSON object and nothing else, got {_short(text)!r}")
    return value


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, one after another. Where a text within braces is no JSON, those inside it count."""
    start = text.find("{")
    while start >= 0:
        text, start, value = _object_at(text, start)
        if value is not None:
            yield value
        start = text.find("{", start)


def _object_at(text: str, start: int) -> tuple[str, int, dict[str, Any] | None]:
    """The object that starts at a brace, None if it is none; and where to go on, in the text without its commas."""
    for candidate in (text, text[:start] + _TRAILING_COMMA.sub(r"\1", text[start:])):
        try:
            value, end = _DECODER.raw_decode(candidate, start)
            return candidate, end, value
        except (ValueError, RecursionError):
            continue
    return text, start + 1, None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an entry is named twice")
    return found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_no_repeats)


def _short(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]


def schema_of(form: type[ReplyForm]) -> dict[str, Any]:
    """The JSON schema of a form as servers need it: no references, every entry required, nothing else allowed."""
    whole = form.model_json_schema()
    return dict(_closed(whole, whole.get("$defs", {})))


def _closed(node: Any, named: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_closed(each, named) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _closed(named[node["$ref"].rpartition("/")[2]], named)
    if "properties" in node:
        inner = {name: _closed(each, named) for name, each in node["properties"].items()}
        return {"type": "object", "properties": inner, "required": list(inner), "additionalProperties": False}
    kept = ("type", "items", "minItems", "maxItems", "enum")
    return {name: _closed(value, named) for name, value in node.items() if name in kept}
