"""How well what happened follows what was requested, event by event. Pure.

Legend: n requested events, in order; observed items numbered 1, 2, ...
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence


def prefix_length(num_events: int, matches: Callable[[int], bool]) -> int:
    """The official rule: how many events match, counted from the first and stopped at the first that does not.

    Args:
        num_events: how many can be compared.
        matches: whether event i (from 0) matches; called in order, and not after the first no.
    """
    for i in range(num_events):
        if not matches(i):
            return i
    return num_events


def ordered_length(places: Sequence[int]) -> int:
    """How many events happened in the requested order: the longest increasing sequence of places, gaps allowed.

    One missed event costs only itself. For a list of events against a list of items this is their longest common
    subsequence if every event has at most one place.

    Args:
        places: for each event, the number of the item that shows it, from 1; 0 for events that were not observed.
    """
    ends: list[int] = []
    for place in places:
        if place > 0:
            at = bisect_left(ends, place)
            ends[at : at + 1] = [place]
    return len(ends)
