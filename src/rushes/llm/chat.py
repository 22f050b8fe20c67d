"""The nouns of a conversation with a model, and the Protocol that servers and local models share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from rushes.roles import Failed

TOO_LONG: Final = "ContextTooLong"
"""`Failed.error_type` of a request that is longer than the model reads: asking again cannot help."""
UNUSABLE: Final = "UnusableReply"
"""`Failed.error_type` of a reply that could not be used, however often it was asked for."""

Schema = Mapping[str, Any]
"""A JSON schema: objects, arrays with `minItems` and `maxItems`, strings with or without `enum`."""


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    text: str
    """What is said; stands after the images."""
    images: tuple[bytes, ...] = ()
    """JPEG or PNG files, shown before the text."""


@dataclass(frozen=True)
class ChatRequest:
    """What a model is asked."""

    messages: tuple[Message, ...]
    """The conversation so far."""
    max_tokens: int = 400
    """Longest reply, tokens."""
    temperature: float = 0.0
    """0 takes the most probable word each time."""
    seed: int = 0
    """Seed of the sampling, where the model takes one; 0 <= seed < 2**63."""
    schema: Schema | None = None
    """What the reply must look like, where the model can be held to it; the reader checks in any case."""
    num_logprobs: int = 0
    """Ask for the log-probabilities of this many candidates of the first token; 0 for none."""


@dataclass(frozen=True)
class TokenChance:
    """A candidate for the first token."""

    text: str
    """The token as text, leading space included."""
    logprob: float
    """Natural logarithm of its probability, <= 0."""


@dataclass(frozen=True)
class ChatReply:
    """What a model said."""

    text: str
    """The reply; may be empty."""
    is_cut: bool = False
    """True when it ended because `max_tokens` were used up."""
    first_token: tuple[TokenChance, ...] | None = None
    """Candidates of the first token, most probable first; None when they were not asked for or not given."""


class ChatModel(Protocol):
    """Conversations -> replies; a list, so that batching and concurrency are the implementer's gain."""

    @property
    def name(self) -> str:
        """What it is called in records and reports; holds no key and no address."""
        ...

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        """One reply or `Failed` per request, in order.

        Raises:
            UserError: nothing can be asked at all: the server is down, refuses the key, or the cost cap is reached.
        """
        ...
