"""Records by key, some in memory and others only known to be in a table, from which they are read when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Generic, TypeVar

from rushes.records import KeyedRecord
from rushes.store.table import Table

R = TypeVar("R", bound=KeyedRecord)


class Remembered(MutableMapping[str, R], Generic[R]):
    """A mapping from keys to records; those that are only known take the memory of their keys."""

    def __init__(self, table: Table[R]) -> None:
        """Nothing yet.

        Args:
            table: where known records are.
        """
        self._table = table
        self._here: dict[str, R] = {}
        self._known: dict[str, None] = {}

    def know(self, keys: Iterable[str]) -> None:
        """Records of the table with these keys belong to the mapping from now on. None is read before it is asked for.

        Args:
            keys: of records that exist.
        """
        self._known.update((key, None) for key in keys if key not in self._here)

    def __getitem__(self, key: str) -> R:
        """One record; what is read from the table is not kept."""
        found = self._here.get(key)
        if found is None:
            if key not in self._known:
                raise KeyError(key)
            found = self._table.get(key)
        return found

    def __setitem__(self, key: str, record: R) -> None:
        """Keep a record in memory."""
        self._here[key] = record
        self._known.pop(key, None)

    def __delitem__(self, key: str) -> None:
        """Forget a record; the table keeps it."""
        if key in self._known:
            del self._known[key]
        else:
            del self._here[key]

    def __contains__(self, key: object) -> bool:
        """Whether the key belongs to the mapping; nothing is read."""
        return key in self._here or key in self._known

    def __iter__(self) -> Iterator[str]:
        """The keys; nothing is read."""
        yield from self._here
        yield from self._known

    def __len__(self) -> int:
        """How many there are."""
        return len(self._here) + len(self._known)
