"""What replies cost, and the cap that no request may pass: room for the worst case is taken before one is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rushes.chat import ChatRequest
from rushes.errors import StoreError, UserError
from rushes.model_specs import ServerRuntime
from rushes.store.files import explained, make_folder

TOKENS_PER_IMAGE = 2048
"""What one image is taken to cost at most, tokens, before the server says what it did cost."""


class CostCapReached(UserError):
    """The next request might cost more than what is left of `max_cost_usd`; nothing was sent."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one request."""

    num_input: int
    """Tokens read."""
    num_output: int
    """Tokens written."""


def most(request: ChatRequest) -> Usage:
    """An upper bound of a request's tokens: every byte of text a token, every image `TOKENS_PER_IMAGE`."""
    num_bytes = sum(len(each.text.encode("utf-8", "replace")) + 16 for each in request.messages)
    num_images = sum(len(each.images) for each in request.messages)
    return Usage(num_bytes + TOKENS_PER_IMAGE * num_images, request.max_tokens)


class CostMeter:
    """What was spent on one server by one run, on disk, so that a resumed run goes on counting. Thread-safe."""

    def __init__(self, name: str, server: ServerRuntime, file: Path | None) -> None:
        """Read what was spent before.

        Args:
            name: the server's name in the recipe.
            server: prices and cap.
            file: JSON Lines, one line per reply, made when there is something to write; None counts in memory only.
        """
        self.name = name
        self.server = server
        self.file = file
        self._room = threading.Condition()
        self._taken = 0.0
        self._spent = 0.0 if file is None else _spent(file)

    def price(self, usage: Usage) -> float:
        """US dollars of a request."""
        prices = self.server.usd_per_million_input, self.server.usd_per_million_output
        return (usage.num_input * prices[0] + usage.num_output * prices[1]) / 1e6

    @contextmanager
    def room_for(self, request: ChatRequest) -> Iterator[None]:
        """Hold room for the worst case of a request; waits while requests in flight may yet give room back.

        Raises:
            CostCapReached: there is not enough left under the cap.
        """
        worst, cap = self.price(most(request)), self.server.max_cost_usd
        with self._room:
            if cap is not None:
                self._room.wait_for(lambda: self._spent + self._taken + worst <= cap or self._taken <= 0)
                if self._spent + worst > cap:
                    raise self._reached(cap, worst)
            self._taken += worst
        try:
            yield
        finally:
            with self._room:
                # Rounding must not leave a crumb that nobody gives back.
                self._taken = max(0.0, self._taken - worst) if self._taken - worst > 1e-12 else 0.0
                self._room.notify_all()

    def record(self, usage: Usage) -> None:
        """Count a reply; free ones leave no line."""
        dollars = self.price(usage)
        if dollars == 0:
            return
        with self._room:
            self._spent += dollars
            if self.file is None:
                return
            make_folder(self.file.parent)
            line = {"input": usage.num_input, "output": usage.num_output, "usd": dollars}
            with explained(self.file), self.file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")

    def _reached(self, cap: float, worst: float) -> CostCapReached:
        return CostCapReached(
            f"the cost cap of the server {self.name!r} is reached: {self._spent:.4f} of {cap:.4f} US dollars are spent",
            expected=f"room for the next request, at most {worst:.4f} US dollars",
            next_step=f"raise runtime.servers.{self.name}.max_cost_usd and run again: all replies so far are kept",
        )


def _spent(file: Path) -> float:
    """The sum of a file of costs; a torn last line is left out.

    Raises:
        StoreError: any other line cannot be read: then nobody knows what was spent.
    """
    if not file.exists():
        return 0.0
    with explained(file):
        lines = file.read_bytes().split(b"\n")
    total = 0.0
    for number, line in enumerate(lines):
        try:
            total += float(json.loads(line)["usd"]) if line.strip() else 0.0
        except (ValueError, TypeError, KeyError):
            if number < len(lines) - 1:
                raise StoreError(
                    f"line {number + 1} of {file} cannot be read, so what was spent is not known",
                    expected='lines like {"input": 812, "output": 30, "usd": 0.0004}',
                    got=line[:80].decode("utf-8", "replace"),
                    next_step="correct that line, or delete the file to count from zero",
                ) from None
    return total
