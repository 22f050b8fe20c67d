"""Chat over OpenAI-compatible servers: bounded concurrency, time and size, retries, and a hard cost cap."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from rushes.llm.call import Call
from rushes.llm.chat import ChatReply, ChatRequest, Keep
from rushes.llm.cost import CostMeter
from rushes.llm.http import import_openai
from rushes.llm.server_key import Secret
from rushes.llm.trouble import Streak
from rushes.llm.wire import Taken, is_all_on_one
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import ServerRuntime
from rushes.roles import Failed

_WITHOUT: Final = 8
"""Replies without the log-probabilities that were requested after which they are no longer requested."""
NO_PROBABILITIES: Final = (
    "the model {model!r} on the server {server!r} gives no usable log-probabilities ({why}), so each answer is a hard "
    "yes or no instead of a probability; the report counts them"
)


class ServerModel:
    """`ChatModel` over a server. What an error means is decided in `rushes.llm.trouble`."""

    def __init__(
        self,
        spec: ServerModelSpec,
        server: ServerRuntime,
        secret: Secret,
        meter: CostMeter,
        keep: Keep | None = None,
    ) -> None:
        """Prepare the client; nothing is sent.

        Args:
            spec: the model.
            server: where it is, and its limits.
            secret: its key.
            meter: counts what it costs.
            keep: stores each reply as it arrives; None for nothing.

        Raises:
            RecipeError: the `openai` package is missing.
        """
        self.spec = spec
        self.server = server
        self.secret = secret
        self.meter = meter
        self.taken = Taken()
        """What the server takes, as far as its replies have shown."""
        self.keep = keep
        self.streak = Streak()
        self._num_without: int | None = 0
        import_openai()

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return self.spec.model

    def reply(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        """One reply or `Failed` per request, in order; at most `max_concurrent` at once.

        Raises:
            ServerError: the server is down, rejects the key, lacks the model, sends requests on to another host, or
                asks for a longer pause than allowed.
            CostCapReached: the next request might exceed the cap.
            Stopped: the user asked to stop while a request waited for its next try.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(Call(self).all(requests))
        # In a notebook, this thread already runs a loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, Call(self).all(requests)).result()

    def learn_from(self, reply: ChatReply, request: ChatRequest) -> ChatReply:
        """Note whether a reply has the probabilities that were requested; it loses ones that say nothing."""
        if not request.num_logprobs:
            return reply
        why = "it ignores `logprobs`"
        if reply.first_token is not None and is_all_on_one(reply.first_token):
            reply, why = replace(reply, first_token=None), "it divides them by a temperature near 0"
        if reply.first_token is not None:
            self._num_without = None
        elif self._num_without is not None:
            self._num_without += 1
            if self._num_without == _WITHOUT:
                self.take(replace(self.taken, num_logprobs=0), why)
        return reply

    def take(self, taken: Taken, why: str) -> None:
        """Send requests in this form from now on, and say so once if answers lose their probabilities by it."""
        if taken.num_logprobs == 0 != self.taken.num_logprobs:
            text = NO_PROBABILITIES.format(model=self.spec.model, server=self.spec.server, why=why)
            warnings.warn(text, stacklevel=2)
        self.taken = taken
