"""The chat-completions format of OpenAI-compatible servers: requests as JSON values, replies checked. Pure."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from rushes.llm.chat import ChatReply, ChatRequest, Message, TokenChance
from rushes.llm.cost import Usage

Body = dict[str, Any]
"""The JSON of one request."""

_SHOWN: Final = 200
_TOO_LONG: Final = (
    *("context length", "context_length", "context window", "context size", "n_ctx"),
    *("too long", "maximum length", "max_model_len"),
)
_OPTIONAL: Final = ("response_format", "top_logprobs", "logprobs", "seed", "temperature", "max_tokens")


class BadReply(ValueError):
    """The server's reply is not a chat completion."""

    def __init__(self, message: str, *, is_web_page: bool = False) -> None:
        super().__init__(message)
        self.is_web_page = is_web_page
        """True if it was HTML: the address is probably not that of an API."""


def body_of(request: ChatRequest, model: str) -> Body:
    """A request in the server's format; images come before the text of their message."""
    body: Body = {
        "model": model,
        "messages": [_message(each) for each in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        # Some servers read the seed as a signed 32-bit number.
        "seed": request.seed % 2**31,
    }
    if request.num_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.num_logprobs}
    if request.schema is not None:
        named = {"name": "reply", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": _data_url(i)}} for i in message.images]
    return {"role": message.role, "content": [*parts, {"type": "text", "text": message.text}]}


def _data_url(image: bytes) -> str:
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def without(body: Body, settings: frozenset[str]) -> Body:
    """The request without settings that the server rejects; a rejected `max_tokens` is sent under its newer name."""
    kept = {name: value for name, value in body.items() if name not in settings}
    if "top_logprobs" in settings:
        kept.pop("logprobs", None)
    if "max_tokens" in settings:
        kept["max_completion_tokens"] = body["max_tokens"]
    return kept


def refused_setting(body: Body, said: str) -> str | None:
    """The optional setting of `body` that a server's error names; None if it names none."""
    low = said.lower()
    names = {"response_format": ("response_format", "json_schema", "guided", "structured output")}
    for setting in _OPTIONAL:
        if setting in body and any(word in low for word in names.get(setting, (setting,))):
            return setting
    return None


def is_too_long(said: str) -> bool:
    """Whether an error means that the request exceeds the model's context length."""
    low = said.lower()
    return any(word in low for word in _TOO_LONG) or ("exceed" in low and "token" in low)


def reply_from(text: str, num_logprobs: int) -> tuple[ChatReply, Usage | None]:
    """The first choice of a response, and its usage if the server reports it.

    Raises:
        BadReply: HTML, truncated JSON, an error with status 200, no choice, or no text in it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        is_page = text.lstrip().startswith("<")
        raise BadReply(f"expected JSON, got {' '.join(text.split())[:_SHOWN]!r}", is_web_page=is_page) from None
    match value:
        case {"choices": [{"message": {"content": str(said)}} as choice, *_]}:
            pass
        case {"choices": [{"message": {"refusal": str(why)}}, *_]}:
            raise BadReply(f"the model refused: {why[:_SHOWN]!r}")
        case _:
            raise BadReply(f"expected a chat completion with a text, got {text[:_SHOWN]!r}")
    first = _first_token(choice) if num_logprobs else None
    return ChatReply(said, choice.get("finish_reason") == "length", first), _usage(value.get("usage"))


def _first_token(choice: Mapping[str, Any]) -> tuple[TokenChance, ...] | None:
    """The candidates of the first token; None if the server gave none or an unknown format."""
    match choice.get("logprobs"):
        case {"content": [{"top_logprobs": [_, *_] as top}, *_]}:
            pass
        case _:
            return None
    found = []
    for each in top:
        match each:
            case {"token": str(token), "logprob": float() | int() as logprob} if not math.isnan(logprob):
                found.append(TokenChance(token, max(-1e4, min(0.0, float(logprob)))))
            case _:
                return None
    return tuple(sorted(found, key=lambda chance: -chance.logprob))


def _usage(value: object) -> Usage | None:
    match value:
        case {"prompt_tokens": int(num_input), "completion_tokens": int(num_output)}:
            return Usage(max(0, num_input), max(0, num_output))
        case _:
            return None
