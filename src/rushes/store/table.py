"""A table: the records of one kind, under their work keys. Appended once, never rewritten."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import ValidationError

from rushes.errors import RecordCorrupt, StoreError
from rushes.known_keys import hidden
from rushes.records import CostEntry, Failure, KeyedRecord
from rushes.store.database import Database
from rushes.store.ledger import pay
from rushes.store.sums import row_sum

R = TypeVar("R", bound=KeyedRecord)

_MAX_VARIABLES: Final = 900
_MANY: Final = 20_000
"""From so many keys on, reading all keys of a table is faster than looking each one up."""


@dataclass(frozen=True)
class Table(Generic[R]):
    """The records of one kind in one run."""

    database: Database
    """Where they are."""
    name: str
    """The name of the table and of its stage: "clips", "answers", ..."""
    record_type: type[R]
    """The class of the records."""

    def get(self, key: str) -> R:
        """One record.

        Raises:
            KeyError: it does not exist.
            StoreError: it was written by a version of Rushes with other fields.
        """
        return self.get_many([key])[key]

    def get_many(self, keys: Sequence[str]) -> dict[str, R]:
        """The existing records, by key, in the order of `keys`."""
        return {each.key: each for each in self.each_of(keys)}

    def each_of(self, keys: Sequence[str]) -> Iterator[R]:
        """The same one after the other: memory holds a few hundred."""
        for part in _parts(keys):
            found = {each.key: each for each in self._read(f"AND key IN ({_marks(part)})", part)}
            yield from (found[key] for key in part if key in found)

    def all(self) -> list[R]:
        """All records, sorted by key, since the order of insertion has no meaning."""
        return list(self.each())

    def each(self) -> Iterator[R]:
        """The same one after the other: memory holds one. Nothing may be written before the last one is read."""
        return self._read("ORDER BY key", ())

    def each_with(self, field: str, values: Collection[str]) -> Iterator[R]:
        """The records whose field has one of these values, one after the other, sorted by key.

        The database chooses them, so that the others are not parsed; what it cannot read is a damaged record here too.
        """
        which = (
            "AND CASE WHEN json_valid(body) THEN json_extract(body, ?) IN (SELECT value FROM json_each(?)) ELSE 1 END"
        )
        return self._read(f"{which} ORDER BY key", (f"$.{field}", json.dumps(list(values))))

    def groups(self, *fields: str, present: str | None = None) -> dict[tuple[str | None, ...], tuple[int, int]]:
        """How many records have each combination of values, counted by the database: nothing is parsed.

        Args:
            fields: their names; `made_by.model` is a field of a field.
            present: another field.

        Returns:
            By values (a text as it is, anything else as JSON): how many records, and of them those in which `present`
            is not null; of all of them if it is not given.

        Raises:
            RecordCorrupt: a record is not JSON.
        """
        ((bad,),) = self.database.rows(
            "SELECT min(key) FROM records WHERE name = ? AND NOT json_valid(body)", (self.name,)
        )
        if bad is not None:
            raise RecordCorrupt(self.database.path.parent, self.name, str(bad))
        values, places = (
            ", ".join(["json_extract(body, ?)"] * len(fields)),
            ", ".join(map(str, range(1, 1 + len(fields)))),
        )
        statement = (
            f"SELECT {values}, count(*), sum(coalesce(json_type(body, ?), 'null') != 'null') FROM records "
            f"WHERE name = ? GROUP BY {places}"
        )
        rows = self.database.rows(statement, (*(f"$.{each}" for each in fields), f"$.{present or 'key'}", self.name))
        return {tuple(values): (num, num_present) for *values, num, num_present in rows}

    def _read(self, which: str, values: Sequence[str]) -> Iterator[R]:
        """The records of a condition, compared with their sums. Damaged text may be no text, so it is read as bytes."""
        statement = f"SELECT key, CAST(body AS BLOB), sum FROM records WHERE name = ? {which}"
        for key, body, stored in self.database.each(statement, (self.name, *values)):
            if stored != row_sum(self.name, key, body):
                raise RecordCorrupt(self.database.path.parent, self.name, key)
            yield self.parse(body)

    def num_records(self) -> int:
        """How many records there are."""
        return int(self.database.rows("SELECT count(*) FROM records WHERE name = ?", (self.name,))[0][0])

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of `keys` without a record, in the order of `keys`."""
        left = set(keys)
        if len(left) >= _MANY:
            for (key,) in self.database.each("SELECT key FROM records WHERE name = ?", (self.name,)):
                left.discard(key)
            return [key for key in keys if key in left]
        for part in _parts(keys):
            statement = f"SELECT key FROM records WHERE name = ? AND key IN ({_marks(part)})"
            left.difference_update(key for (key,) in self.database.rows(statement, (self.name, *part)))
        return [key for key in keys if key in left]

    def land(self, records: Sequence[R], failures: Sequence[Failure] = (), cost: CostEntry | None = None) -> None:
        """Append a batch in one transaction, after its blobs are on the disk. An existing record is kept.

        Raises:
            StoreError: disk full or read-only; then nothing of the batch is stored.
        """
        rows = [(self.name, record.key, hidden(record.model_dump_json())) for record in records]
        lost = [
            (self.name, failure.work_key, failure.attempt, hidden(failure.model_dump_json())) for failure in failures
        ]
        with self.database.transaction():
            self.database.insert("records", rows, "NOTHING")
            self.database.insert("failures", lost, "UPDATE SET body = excluded.body, sum = excluded.sum")
            if cost is not None:
                pay(self.database, cost)

    def apart(self) -> set[str]:
        """Keys of work that is made without the others of its chunk, see `set_apart`."""
        kept = self.database.meta(f"apart/{self.name}")
        return set() if kept is None else set(json.loads(kept))

    def set_apart(self, keys: Sequence[str]) -> None:
        """From now on, in later runs too, this work is made by itself: the others of its chunk were given without it.

        Raises:
            StoreError: disk full or read-only.
        """
        self.database.set_meta(f"apart/{self.name}", json.dumps(sorted(self.apart().union(keys))))

    def drop(self, keys: Sequence[str]) -> None:
        """Delete records whose stored files are damaged, so that they are computed again."""
        with self.database.transaction():
            self.database.execute_many(
                "DELETE FROM records WHERE name = ? AND key = ?", [(self.name, key) for key in keys]
            )

    def failures(self) -> list[Failure]:
        """The last failure of every piece of work that has no record, sorted by work key."""
        rows = self.database.rows(
            "SELECT key, attempt, CAST(body AS BLOB), sum FROM failures AS f WHERE name = ? AND NOT EXISTS "
            "(SELECT 1 FROM records AS r WHERE r.name = f.name AND r.key = f.key) AND attempt = "
            "(SELECT max(attempt) FROM failures AS g WHERE g.name = f.name AND g.key = f.key) ORDER BY key",
            (self.name,),
        )
        for key, attempt, body, stored in rows:
            if stored != row_sum(self.name, key, attempt, body):
                raise RecordCorrupt(self.database.path.parent, f"failures/{self.name}", key)
        return [Failure.model_validate_json(body) for _, _, body, _ in rows]

    def parse(self, body: str | bytes) -> R:
        """A record from its JSON.

        Raises:
            StoreError: it was written by a version of Rushes with other fields.
        """
        try:
            return self.record_type.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            raise StoreError(
                f"a record in {self.name!r} of {self.database.path} does not fit this version of Rushes",
                expected=f"{self.record_type.__name__}: {'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}",
                got=body[:200],
                next_step="use the version of Rushes that made the run (see header.json), or start a new run folder",
            ) from error


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """`keys` in pieces that fit SQLite's limit on variables."""
    for start in range(0, len(keys), _MAX_VARIABLES):
        yield keys[start : start + _MAX_VARIABLES]


def _marks(keys: Sequence[str]) -> str:
    return ",".join("?" * len(keys))
