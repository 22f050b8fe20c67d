"""The cost ledger: what each stage took. A row holds many chunks, so that reading it does not grow with the clips."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rushes.errors import RecordCorrupt
from rushes.records import CostEntry
from rushes.store.database import Database
from rushes.store.sums import row_sum

ITEMS_IN_A_ROW: Final = 1000
"""A row with that many items is full, and the next chunk begins another: a damaged row loses no more time than that."""


def pay(database: Database, cost: CostEntry) -> None:
    """Add a chunk's cost to the last row of its stage and device, or as a new row. Part of the chunk's transaction.

    Args:
        database: of the run, in a transaction.
        cost: what the chunk took.
    """
    last = "SELECT position, CAST(body AS BLOB), sum FROM costs WHERE stage = ? ORDER BY position DESC LIMIT 1"
    for position, body, stored in database.rows(last, (cost.stage,)):
        if stored != row_sum(cost.stage, body):  # damage stays as it is, to be found
            continue
        known = CostEntry.model_validate_json(body)
        if known.device == cost.device and known.num_items < ITEMS_IN_A_ROW:
            text = _sum(known, cost).model_dump_json()
            row = (text, row_sum(cost.stage, text), position)
            database.execute("UPDATE costs SET body = ?, sum = ? WHERE position = ?", row)
            return
    database.insert("costs", [(cost.stage, cost.model_dump_json())], "NOTHING")


def costs_in(database: Database, home: Path) -> list[CostEntry]:
    """The ledger, summed per stage and device, in the order in which they first appeared.

    Raises:
        RecordCorrupt: a row is damaged.
    """
    sums: dict[tuple[str, str], CostEntry] = {}
    for stage, body, stored in database.each("SELECT stage, CAST(body AS BLOB), sum FROM costs ORDER BY position"):
        if stored != row_sum(stage, body):
            raise RecordCorrupt(home, "costs", stage)
        entry = CostEntry.model_validate_json(body)
        known = sums.get((entry.stage, entry.device))
        sums[entry.stage, entry.device] = entry if known is None else _sum(known, entry)
    return list(sums.values())


def _sum(one: CostEntry, other: CostEntry) -> CostEntry:
    added = {"seconds": one.seconds + other.seconds, "num_items": one.num_items + other.num_items}
    return one.model_copy(update=added)
