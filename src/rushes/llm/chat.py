"""The records of a conversation with a model, and the Protocol that servers and local models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from rushes.roles import Failed

TOO_LONG: Final = "ContextTooLong"
"""`Failed.error_type` of a request that exceeds the model's context length: a retry cannot help."""
UNUSABLE: Final = "UnusableReply"
"""`Failed.error_type` of a reply that was unusable in every try."""

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


@dataclass(frozen=True)
class TokenChance:
    """A candidate for the first token."""

    text: str
    """The token as text, leading space included."""
    logprob: float
    """Natural logarithm of its probability, <= 0."""


@dataclass(frozen=True)
class ChatReply:
    """A model's reply."""

    text: str
    """The reply; may be empty."""
    is_cut: bool = False
    """True when it ended because `max_tokens` were used up."""
    first_token: tuple[TokenChance, ...] | None = None
    """Candidates of the first token, most probable first; None if not requested or not given."""


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


Keep = Callable[[ChatRequest, ChatReply], None]
"""Takes each reply as soon as it is there, possibly on another thread, so that what ends the call loses none."""


class KeptModel(ChatModel, Protocol):
    """A `ChatModel` that hands over each reply as it arrives."""

    def reply(self, requests: Sequence[ChatRequest], keep: Keep | None = None) -> list[ChatReply | Failed]:
        """See `ChatModel.reply`; `keep` is called once for each reply, and not for failures."""
        ...
