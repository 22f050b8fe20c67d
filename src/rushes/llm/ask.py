"""Ask a model for structured output: parse the reply strictly, report errors to it and retry; then return `Failed`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rushes.llm.chat import UNUSABLE, ChatModel, ChatReply, ChatRequest, Message
from rushes.roles import Failed

Wanted = TypeVar("Wanted")
Form = TypeVar("Form", bound="ReplyForm")
_SHOWN: Final = 160
_KEPT: Final = 2000
_THOUGHTS: Final = re.compile(r"<think>.*?</think>", re.DOTALL)
_TRAILING_COMMA: Final = re.compile(r",(\s*[}\]])")
_CORRECTION: Final = "That reply cannot be used:"


class ReplyForm(BaseModel):
    """What a reply must contain, as JSON; unknown entries are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class Unusable(ValueError):
    """A reply that cannot be used; the message tells the model what to correct."""


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
                results[position] = _unusable(error, attempt)
                pending[position] = _again(request, reply, str(error))
    return [results[position] for position in range(len(asks))]


def _unusable(error: Unusable, attempt: int) -> Failed:
    # The model has answered: the same request would get the same reply.
    return Failed(UNUSABLE, f"{error} ({attempt} {'try' if attempt == 1 else 'tries'})", retry="useless")


def _whole(reply: ChatReply) -> str:
    if reply.is_cut:
        raise Unusable(f"the reply is cut off after {reply.text[-_SHOWN:]!r}")
    return reply.text


def _again(request: ChatRequest, reply: ChatReply, why: str) -> ChatRequest:
    """The request after an unusable reply; it contains only the last such reply."""
    first = tuple(each for each in request.messages if not each.text.startswith(_CORRECTION))
    if len(first) < len(request.messages):
        first = first[:-1]
    correction = Message("user", f"{_CORRECTION} {why}. Answer again with the JSON object and nothing else.")
    messages = (*first, Message("assistant", reply.text[:_KEPT]), correction)
    return replace(request, messages=messages, seed=(request.seed + 1) % 2**63)


def read_json(text: str, form: type[Form]) -> Form:
    """The first JSON object in a reply, as `form`; text and code fences around it and trailing commas are ignored.

    A truncated object is not completed: half a sentence is not a prompt.

    Raises:
        Unusable: there is no object, or it does not match the form.
    """
    said = _THOUGHTS.sub("", text)
    found = [_object_at(said, match.start()) for match in re.finditer(r"\{", said)]
    objects = [each for each in found if isinstance(each, dict)]
    if not objects:
        raise Unusable(f"expected a JSON object, got {_short(said)!r}")
    error: ValidationError | None = None
    for value in objects:
        try:
            return form.model_validate(value)
        except ValidationError as problem:
            error = error or problem
    assert error is not None
    first = error.errors()[0]
    raise Unusable(f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg']}")


def _object_at(text: str, start: int) -> Any:
    decoder = json.JSONDecoder()
    for candidate in (text[start:], _TRAILING_COMMA.sub(r"\1", text[start:])):
        try:
            return decoder.raw_decode(candidate)[0]
        except (ValueError, RecursionError):
            continue
    return None


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
