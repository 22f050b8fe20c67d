"""The cost of replies, and a hard cap: the worst-case cost of a request is reserved before it is sent."""

from __future__ import annotations

import asyncio
import math
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.errors import Stopped, UserError
from rushes.execute.stop import is_stopping
from rushes.llm.chat import ChatRequest
from rushes.llm.ledger import Ledger
from rushes.recipe.runtime import ServerRuntime

TOKENS_PER_IMAGE = 2048
"""Assumed upper bound of an image's tokens, until the server reports the actual number."""

_LOOK_AGAIN_S: Final = 0.05
"""How often to check whether another request or process released its reservation, seconds."""
_SPARE_S: Final = 60.0
"""Time beyond twice a request's time-out after which its reservation counts as lost, seconds."""
_AT_LEAST: Final = (
    "part of what was spent on the server {name!r} is unknown, since lines of its ledger were damaged: {spent} US "
    "dollars. Its max_cost_usd counts only what is known: lower it by what the server's own bill shows beyond that"
)


class CostCapReached(UserError):
    """The next request might exceed `max_cost_usd`; it was not sent."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one request."""

    num_input: int
    """Input tokens."""
    num_output: int
    """Output tokens."""


def most(request: ChatRequest) -> Usage:
    """An upper bound of a request's tokens: every byte of text a token, every image `TOKENS_PER_IMAGE`."""
    num_bytes = sum(len(each.text.encode("utf-8", "replace")) + 16 for each in request.messages)
    num_images = sum(len(each.images) for each in request.messages)
    return Usage(num_bytes + TOKENS_PER_IMAGE * num_images, request.max_tokens)


class CostMeter:
    """The amount that one run has spent on one server, on disk, so that a resumed run continues counting.

    Thread-safe, and safe between processes that use the same file (workers of one run, two commands at once).
    """

    def __init__(self, name: str, server: ServerRuntime, file: Path | None) -> None:
        """Read the amount spent before.

        Args:
            name: the server's name in the recipe.
            server: prices and cap.
            file: JSON Lines, one line per reply, created at the first reply; None counts only in memory.

        Raises:
            StoreError: a line of the file is damaged.
        """
        self.name = name
        self.server = server
        self._ledger = Ledger(file)
        self._turn = threading.Lock()
        if self._ledger.num_unknown and server.max_cost_usd is not None:
            warnings.warn(_AT_LEAST.format(name=name, spent=self._spent), stacklevel=2)

    @property
    def _spent(self) -> str:
        """US dollars spent, for people."""
        return f"{'at least ' if self._ledger.num_unknown else ''}{self._ledger.spent:.4f}"

    def price(self, usage: Usage) -> float:
        """Cost of a request, US dollars."""
        prices = self.server.usd_per_million_input, self.server.usd_per_million_output
        return (usage.num_input * prices[0] + usage.num_output * prices[1]) / 1e6

    @asynccontextmanager
    async def room_for(self, request: ChatRequest) -> AsyncIterator[None]:
        """Reserve the worst-case cost of a request; waits while requests in flight may still release theirs.

        Raises:
            CostCapReached: not enough is left under the cap.
            Stopped: the user asked to stop.
        """
        worst, cap = self.price(most(request)), self.server.max_cost_usd
        if cap is None or worst == 0:
            yield
            return
        while (held := self._take(worst, cap)) is None:
            if is_stopping():
                raise Stopped(f"stopped while a request to {self.name!r} waited for room under its cost cap")
            await asyncio.sleep(_LOOK_AGAIN_S)
        try:
            yield
        finally:
            with self._turn:
                self._ledger.give_back(held)

    def _take(self, worst: float, cap: float) -> str | None:
        with self._turn:
            held = self._ledger.take(worst, cap, 2 * self.server.timeout_s + _SPARE_S)
            if held is None and self._ledger.spent + worst > cap:
                raise self._reached(cap, worst)
            return held

    def record(self, usage: Usage) -> None:
        """Count a reply; a free one writes no line."""
        dollars = self.price(usage)
        if dollars == 0:
            return
        with self._turn:
            self._ledger.add(usage.num_input, usage.num_output, dollars)

    def _reached(self, cap: float, worst: float) -> CostCapReached:
        enough = math.ceil(100 * max(2 * cap, self._ledger.spent + worst)) / 100
        return CostCapReached(
            f"the cost cap of the server {self.name!r} is reached: {self._spent} of {cap:.4f} US dollars are spent",
            expected=f"enough left for the next request, which may cost up to {worst:.4f} US dollars",
            next_step=f"--set runtime.servers.{self.name}.max_cost_usd={enough:.2f}; all replies so far are kept",
        )
