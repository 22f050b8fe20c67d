"""A reply that fits its schema, without constrained decoding: the code writes the JSON, the model fills in its texts.

Small models soon break a format, but fill in a blank well. Braces, names and commas are written for the model; a text
ends at its closing quote; among fixed values the most probable one is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rushes.llm.chat import ChatReply, ChatRequest
from rushes.llm.decoder import Decoder

if TYPE_CHECKING:
    import torch

_MAX_DEPTH: Final = 8


class _Cut(Exception):
    """The reply reached `max_tokens`."""


class Filler:
    """Fills one reply."""

    def __init__(self, decoder: Decoder, tokenizer: Any, request: ChatRequest, quote_ids: torch.Tensor) -> None:
        """Prepare to fill.

        Args:
            decoder: has read the conversation up to the reply.
            tokenizer: the model's.
            request: the request; only its schema and `max_tokens` are used.
            quote_ids: tokens that hold a quote or a line break, or end the turn: no text may start with one.
        """
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._request = request
        self._quotes = quote_ids
        self._quote_set = frozenset(quote_ids.tolist())
        self._left = request.max_tokens

    def fill(self) -> ChatReply:
        """The reply; `is_cut` when the tokens were used up before its last brace."""
        assert self._request.schema is not None
        try:
            value = self._value(self._request.schema, 0)
        except _Cut:
            return ChatReply("", is_cut=True)
        return ChatReply(json.dumps(value, ensure_ascii=False))

    def _value(self, schema: Mapping[str, Any], depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(f"expected a schema at most {_MAX_DEPTH} deep")
        match schema:
            case {"enum": [*options]}:
                return self._choice([str(option) for option in options])
            case {"type": "object", "properties": properties}:
                return self._object(properties, depth)
            case {"type": "array", "items": items}:
                return self._array(items, max(1, int(schema.get("minItems", 1))), depth)
            case {"type": "string"}:
                return self._text()
        raise ValueError(f"expected an object, an array, a string or an enum in the schema, got {dict(schema)!r}")

    def _object(self, properties: Mapping[str, Any], depth: int) -> dict[str, Any]:
        value = {}
        for position, (name, inner) in enumerate(properties.items()):
            self._say(f'{"{" if position == 0 else ", "}"{name}": ')
            value[name] = self._value(inner, depth + 1)
        self._say("}")
        return value

    def _array(self, items: Mapping[str, Any], count: int, depth: int) -> list[Any]:
        value = []
        for position in range(count):
            self._say("[" if position == 0 else ", ")
            value.append(self._value(items, depth + 1))
        self._say("]")
        return value

    def _choice(self, options: list[str]) -> str:
        scores = [self._decoder.logprob(self._ids(json.dumps(option))) for option in options]
        chosen = options[scores.index(max(scores))]
        self._say(json.dumps(chosen))
        return chosen

    def _text(self) -> str:
        self._say('"')
        found: list[int] = []
        while True:
            token = self._decoder.next(self._quotes if not found else None)
            if token in self._quote_set:
                break
            found.append(token)
            self._read([token])
        text = str(self._tokenizer.decode(found))
        self._say('"')
        return text

    def _say(self, text: str) -> None:
        self._read(self._ids(text))

    def _read(self, ids: list[int]) -> None:
        self._left -= len(ids)
        if self._left < 0:
            raise _Cut
        self._decoder.read(ids)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
