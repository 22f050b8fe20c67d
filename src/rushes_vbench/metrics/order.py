"""How well what happened follows what was asked, event by event. Pure.

Legend: n events asked for, in order; observed items numbered 1, 2, ...
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence


def prefix_length(num_events: int, matches: Callable[[int], bool]) -> int:
    """The official rule: how many events match, counted from the first and stopped at the first that does not.

    Args:
        num_events: how many can be compared.
        matches: whether event i (from 0) matches; asked in order, not after the first no.
    """
    for i in range(num_events):
        if not matches(i):
            return i
    return num_events


def ordered_length(places: Sequence[int]) -> int:
    """How many events happened in the asked order: the longest run of ever later places, gaps allowed.

    One event that is missed costs itself only. For a list of events against a list of items this is their longest
    common subsequence when every event has at most one place.

    Args:
        places: for each event, the number of the item that shows it, from 1; 0 for events that were not seen.
    """
    ends: list[int] = []
    for place in places:
        if place > 0:
            at = bisect_left(ends, place)
            ends[at : at + 1] = [place]
    return len(ends)
