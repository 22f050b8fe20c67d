"""Cache of replies by the content of their requests. A damaged entry is a miss, never a crash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rushes.llm.chat import ChatModel, ChatReply, ChatRequest, Keep, TokenChance, logprob_of
from rushes.roles import Failed
from rushes.store.files import make_folder, write_atomic
from rushes.store.identity import content_hash
from rushes.store.sums import closed, opened

REPLY_VERSION: Final = 1
"""Part of every key; raised when the meaning of requests or cached replies changes."""


def reply_key(request: ChatRequest, who: str) -> str:
    """sha256 over the model and everything in the request; images by their hash."""
    turns = [
        [each.role, each.text, [hashlib.sha256(image).hexdigest() for image in each.images]]
        for each in request.messages
    ]
    settings = [request.max_tokens, request.temperature, request.seed, request.schema, request.num_logprobs]
    return content_hash({"version": REPLY_VERSION, "who": who, "messages": turns, "settings": settings})


@dataclass(frozen=True)
class ReplyCache:
    """A folder with one JSON file per reply, each with a checksum."""

    folder: Path
    """Created when the first reply is stored."""

    def get(self, key: str) -> ChatReply | None:
        """The reply stored under a `reply_key`; None if there is none or its file is damaged."""
        try:
            value = opened(self._path(key).read_bytes(), ChatReply.__dataclass_fields__)
            if value is None:
                return None
            chances = value["first_token"]
            first = None if chances is None else tuple(TokenChance(str(t), _checked(p)) for t, p in chances)
            text, is_cut = value["text"], value["is_cut"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return ChatReply(text, is_cut, first) if isinstance(text, str) and isinstance(is_cut, bool) else None

    def put(self, key: str, reply: ChatReply) -> None:
        """Store a reply.

        Raises:
            StoreError: the folder cannot be written.
        """
        value = asdict(reply)
        if reply.first_token is not None:
            value["first_token"] = [[each.text, each.logprob] for each in reply.first_token]
        path = self._path(key)
        make_folder(path.parent)
        write_atomic(path, closed(value))

    def keep_for(self, who: str) -> Keep:
        """Stores replies of one model as they arrive; `who` as in `reply_key`."""

        def keep(request: ChatRequest, reply: ChatReply) -> None:
            self.put(reply_key(request, who), reply)
            if not self.knows(who):
                write_atomic(self._mark(who), b"")

        return keep

    def knows(self, who: str) -> bool:
        """Whether a reply of that model was ever stored."""
        return self._mark(who).exists()

    def _mark(self, who: str) -> Path:
        return self.folder / f"{content_hash(who)}.answered"

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _checked(value: object) -> float:
    number = logprob_of(value)
    if number is None:
        raise ValueError("expected a log-probability")
    return number


@dataclass(frozen=True)
class Remembering:
    """A model with a cache of replies: a resumed run sends only requests that it has not sent before."""

    model: ChatModel
    """The model for requests that are not cached; it stores its replies itself (`ReplyCache.keep_for`)."""
    cache: ReplyCache
    """Where replies are stored."""
    who: str
    """Identity of the model for the cache: what decides its replies besides the request."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        """One reply per request; equal requests are sent once. Each reply is stored as it arrives."""
        keys = [reply_key(request, self.who) for request in requests]
        known: dict[str, ChatReply | Failed] = {}
        for key in keys:
            if key not in known and (kept := self.cache.get(key)) is not None:
                known[key] = kept
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        if missing:
            given = self.model.reply(list(missing.values()))
            known.update(zip(missing, given, strict=True))
        return [known[key] for key in keys]
