"""Divides what is to be asked into requests. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def in_groups(items: Sequence[Item], most: int) -> list[Sequence[Item]]:
    """Items in as few groups as the limit allows, as even as possible, in their order.

    Args:
        items: at least one.
        most: items of a group, at least 1.
    """
    num = -(-len(items) // most)
    return [items[i * len(items) // num : (i + 1) * len(items) // num] for i in range(num)]
