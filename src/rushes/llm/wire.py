"""The chat-completions format of OpenAI-compatible servers: requests as JSON values, replies checked. Pure."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rushes.llm.chat import ChatReply, ChatRequest, Message, TokenChance, logprob_of, without_system
from rushes.llm.cost import Usage

Body = dict[str, Any]
"""The JSON of one request."""

_SHOWN: Final = 200
_TOO_LONG: Final = (
    *("context length", "context_length", "context window", "context size", "n_ctx"),
    *("too long", "maximum length", "max_model_len"),
)
_FINAL: Final = ("not supported", "unsupported", "not support", "not implemented", "not allowed", "must alternate")
_MOST_IMAGES: Final = re.compile(
    r"(?:at most|image=|up to|only|no more than|(?:maximum|max|limit)(?: of| is|:)?|\d+ >) ?(\d+)", re.IGNORECASE
)
_NO_SYSTEM: Final = re.compile(r"system role|role\W+system|roles must alternate|system messages? (?:is|are)", re.I)
FEWER_LOGPROBS: Final = 5
"""Candidates to request from a server that refused more: the limit of some hosted ones."""
_ALL_ON_ONE: Final = -40.0
"""Where the second candidate is below this, the first has all: a temperature near 0 was applied to the logits."""
_CERTAIN: Final = -1e-9
_MOST_IN_SUM: Final = 1.01
"""Largest sum of probabilities that rounding explains."""
_MOST_TOKENS: Final = 10**9
"""Of one request; a number beyond it counts nothing."""
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


@dataclass(frozen=True)
class Taken:
    """What a server takes, as far as its replies have shown."""

    refused: frozenset[str] = frozenset()
    """Optional settings that it refused."""
    num_logprobs: int | None = None
    """Most candidates of a token that may be requested; 0 if it gives no log-probabilities, None if unknown."""
    has_system: bool = True
    """Whether its chat template has a system role."""

    def body_of(self, request: ChatRequest, model: str) -> Body:
        """A request in a form that this server takes."""
        num = request.num_logprobs if self.num_logprobs is None else min(request.num_logprobs, self.num_logprobs)
        messages = request.messages if self.has_system else without_system(request.messages)
        body = body_of(replace(request, messages=messages, num_logprobs=num), model)
        kept = {name: value for name, value in body.items() if name not in self.refused}
        if "max_tokens" in self.refused:
            kept["max_completion_tokens"] = body["max_tokens"]
        return kept

    def without(self, body: Body, said: str) -> Taken | None:
        """What it takes according to an error about `body`; None if the error names nothing that can be left out."""
        if _NO_SYSTEM.search(said) and any(each["role"] == "system" for each in body["messages"]):
            return replace(self, has_system=False)
        setting = refused_setting(body, said)
        if setting is None:
            return None
        if setting in ("top_logprobs", "logprobs"):
            fewer = FEWER_LOGPROBS if body["top_logprobs"] > FEWER_LOGPROBS else 0
            return replace(self, num_logprobs=fewer if self.num_logprobs is None else min(fewer, self.num_logprobs))
        return replace(self, refused=self.refused | {setting})


def refused_setting(body: Body, said: str) -> str | None:
    """The optional setting of `body` that a server's error names; None if it names none."""
    low = said.lower()
    names = {"response_format": ("response_format", "json_schema", "guided", "structured output")}
    for setting in _OPTIONAL:
        if setting in body and any(word in low for word in names.get(setting, (setting,))):
            return setting
    return None


def images_allowed(body: Body, said: str) -> int | None:
    """How many images a server allows in one request, by its error; None if the error is not about too many."""
    contents = [each["content"] for each in body["messages"] if isinstance(each["content"], list)]
    num_sent = sum(part["type"] == "image_url" for content in contents for part in content)
    found = _MOST_IMAGES.search(said) if "image" in said.lower() else None
    return int(found[1]) if found is not None and int(found[1]) < num_sent else None


def is_final(said: str) -> bool:
    """Whether an error with status 500 says that the request can never succeed."""
    low = said.lower()
    return any(word in low for word in _FINAL)


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
        case {"choices": [{"message": {"content": None}} as choice, *_]}:
            # A parser on the server took all of it for thoughts: the model wrote no reply, which no retry changes.
            said = ""
        case _:
            raise BadReply(f"expected a chat completion with a text, got {text[:_SHOWN]!r}")
    first = _first_token(choice) if num_logprobs else None
    return ChatReply(said, choice.get("finish_reason") == "length", first), _usage(value.get("usage"))


def _first_token(choice: Mapping[str, Any]) -> tuple[TokenChance, ...] | None:
    """The candidates of the first token; None if the server gave none.

    Raises:
        BadReply: what it gave are no log-probabilities.
    """
    top = _candidates(choice.get("logprobs"))
    if top is None:
        return None
    found = []
    for each in top:
        match each:
            case {"token": str(token), "logprob": value} if (logprob := logprob_of(value)) is not None:
                found.append(TokenChance(token, logprob))
            case _:
                raise BadReply(f"expected a token with a log-probability <= 0, got {str(each)[:_SHOWN]}")
    total = math.fsum(math.exp(chance.logprob) for chance in found)
    if total > _MOST_IN_SUM:
        raise BadReply(f"the probabilities of the first token's candidates add up to {total:.3g}, more than 1")
    return tuple(sorted(found, key=lambda chance: -chance.logprob))


def _candidates(logprobs: object) -> list[object] | None:
    """The first token's candidates, unchecked; None where a reply has the form of one without them."""
    match logprobs:
        case {"content": [{"top_logprobs": [_, *_] as top}, *_]}:
            return list(top)
        case None | {"content": None | []}:
            return None
        case {"content": [{"token": str(), "logprob": value} as first, *_]} if (
            first.get("top_logprobs") in (None, []) and logprob_of(value) is not None
        ):
            return None
        case dict() if "content" not in logprobs:  # another format, as some hosted servers have
            return None
        case _:
            raise BadReply(f"expected the log-probabilities of tokens, got {str(logprobs)[:_SHOWN]}")


def is_all_on_one(chances: Sequence[TokenChance]) -> bool:
    """Whether one candidate has all of the probability, as after a temperature near 0: that says nothing of a model.

    Args:
        chances: most probable first, at least one.
    """
    return chances[0].logprob >= _CERTAIN and all(each.logprob <= _ALL_ON_ONE for each in chances[1:])


def _usage(value: object) -> Usage | None:
    match value:
        case {"prompt_tokens": int(num_input), "completion_tokens": int(num_output)} if (
            0 <= num_input <= _MOST_TOKENS and 0 <= num_output <= _MOST_TOKENS
        ):
            return Usage(num_input, num_output)
        case _:
            return None
