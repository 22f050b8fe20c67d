"""The records of a conversation with a model, and the Protocol that servers and local models share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from rushes.roles import Failed

TOO_LONG: Final = "ContextTooLong"
"""`Failed.error_type` of a request that exceeds the model's context length: a retry cannot help."""
TOO_MANY_IMAGES: Final = "TooManyImages"
"""`Failed.error_type` of a request with more images than the server allows; the message starts with that number."""
NO_CHANCES: Final = "NoProbabilities"
"""`Failed.error_type` of a request for the probabilities of one token, to a model known to give none; not sent."""
UNUSABLE: Final = "UnusableReply"
"""`Failed.error_type` of a reply that was unusable in every try."""

_LEAST: Final = -1e4
_ROUNDING: Final = 1e-3

Schema = Mapping[str, Any]
"""A JSON schema: objects, arrays with `minItems` and `maxItems`, strings with or without `enum`."""


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Literal["system", "user", "assistant"]
    """The role of the speaker."""
    text: str
    """The text; comes after the images."""
    images: tuple[bytes, ...] = ()
    """JPEG or PNG files, shown before the text."""


@dataclass(frozen=True)
class ChatRequest:
    """A request to a model."""

    messages: tuple[Message, ...]
    """The conversation so far."""
    max_tokens: int = 400
    """Longest reply, tokens."""
    temperature: float = 0.0
    """0 takes the most probable token each time."""
    seed: int = 0
    """Seed of the sampling, if the model takes one; 0 <= seed < 2**63."""
    schema: Schema | None = None
    """Schema of the reply, if the model supports constrained output; the reply is checked in any case."""
    num_logprobs: int = 0
    """Request the log-probabilities of this many candidates of the first token; 0 for none."""


def without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation for a model without a system role: that text stands at the beginning of the next turn."""
    found: list[Message] = []
    waiting: list[str] = []
    for each in messages:
        if each.role == "system":
            waiting.append(each.text)
        else:
            found.append(replace(each, text="\n\n".join([*waiting, each.text])))
            waiting = []
    return (*found, *(Message("user", text) for text in waiting))


@dataclass(frozen=True)
class TokenChance:
    """A candidate for the first token."""

    text: str
    """The token as text, leading space included."""
    logprob: float
    """Natural logarithm of its probability, <= 0."""


def logprob_of(value: object) -> float | None:
    """A log-probability that came from outside, <= 0 and finite; None if it is none.

    Text, a truth value, NaN, an infinity and everything above 0 by more than rounding is none. Servers give a
    probability of 0 as a number far below 0, which becomes -1e4.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return max(_LEAST, min(0.0, number)) if -math.inf < number <= _ROUNDING else None


@dataclass(frozen=True)
class ChatReply:
    """A model's reply."""

    text: str
    """The reply; may be empty."""
    is_cut: bool = False
    """True when it ended because `max_tokens` were used up."""
    first_token: tuple[TokenChance, ...] | None = None
    """Candidates of the first token, most probable first; None if not requested or not given."""


Keep = Callable[[ChatRequest, ChatReply], None]
"""Called with each reply as it arrives, so that it is stored before another request can end the call."""


class ChatModel(Protocol):
    """Conversations -> replies; takes a list, so that an implementation can batch or send requests concurrently."""

    @property
    def name(self) -> str:
        """Name in records and reports; contains no key and no address."""
        ...

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        """One reply or `Failed` per request, in order.

        Raises:
            UserError: no request is possible: the server is down, rejects the key, or the cost cap is reached.
        """
        ...
