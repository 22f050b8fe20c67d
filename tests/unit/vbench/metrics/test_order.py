"""Events in order, against slow and plain computations."""

from __future__ import annotations

from itertools import combinations, product

from rushes_vbench.metrics.order import ordered_length, prefix_length


def test_prefix_stops_at_the_first_miss() -> None:
    asked: list[int] = []

    def matches(i: int) -> bool:
        asked.append(i)
        return i != 2

    assert prefix_length(5, matches) == 2
    assert asked == [0, 1, 2]
    assert prefix_length(2, lambda i: True) == 2
    assert prefix_length(0, lambda i: True) == 0


def test_ordered_length_is_the_longest_rising_choice() -> None:
    for places in product(range(4), repeat=4):
        seen = [place for place in places if place]
        best = max(
            len(chosen)
            for size in range(len(seen) + 1)
            for chosen in combinations(seen, size)
            if list(chosen) == sorted(set(chosen))
        )
        assert ordered_length(places) == best, places
