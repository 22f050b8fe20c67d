"""Bad implementations made from good ones, to see that a contract catches them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushes.roles import Failed, Video

Change = Callable[[list[Any], Sequence[Any]], Any]
"""How a bad implementation spoils (what a good one gives, for these requests)."""


class Spoiled:
    """A good implementation whose every result is passed through `change`; counts its calls."""

    def __init__(self, good: Callable[[Any], list[Any]], change: Change) -> None:
        self._good, self._change = good, change
        self.num_calls = 0

    def __call__(self, requests: Sequence[Any]) -> Any:
        self.num_calls += 1
        return self._change(self._good(requests), requests)

    answer = measure = write = generate = weigh = __call__


def unchanged(results: list[Any], requests: Sequence[Any]) -> list[Any]:
    return results


def first(change: Callable[[Any], Any]) -> Change:
    """Spoil the first result only."""
    return lambda results, requests: [change(result) if i == 0 else result for i, result in enumerate(results)]


def wandering(shift: Callable[[Any, int], Any]) -> Change:
    """Shift every result by how often the implementation was called."""
    calls = [0]

    def change(results: list[Any], requests: Sequence[Any]) -> list[Any]:
        calls[0] += 1
        return [shift(result, calls[0]) for result in results]

    return change


def of_companions(shift: Callable[[Any, int], Any]) -> Change:
    """Shift every result by how many others there are."""
    return lambda results, requests: [shift(result, len(results)) for result in results]


def of_place(shift: Callable[[Any, int], Any]) -> Change:
    """Shift every result by its place in the list."""
    return lambda results, requests: [shift(result, place) for place, result in enumerate(results)]


def one_for_nothing(results: list[Any], requests: Sequence[Any]) -> list[Any]:
    return results or [Failed("Empty", "nothing was asked")]


def video(brightness: int) -> Video:
    return Video(np.full((3, 4, 4, 3), brightness, np.uint8), fps=8.0)
