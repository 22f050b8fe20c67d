"""Which stored files the records of a run name, and which of these were cleaned away on purpose."""

from __future__ import annotations

import json
from typing import Final

from rushes.records import BlobRef
from rushes.store.blobs import NAMES_A_FILE, refs_in
from rushes.store.database import Database

REMOVED: Final = "removed"
"""Table of stored files that were cleaned away; their hash is the key."""


def refs_named(database: Database) -> dict[BlobRef, None]:
    """Every stored file that a record of any table names, in order. Only records that name any are parsed."""
    bodies = database.each("SELECT body FROM records WHERE instr(body, ?)", (NAMES_A_FILE.decode(),))
    return dict.fromkeys(ref for (body,) in bodies for ref in refs_in(json.loads(body)))


def removed_files(database: Database) -> frozenset[str]:
    """Hashes of the files that were cleaned away: they may be missing, and nothing else may be wrong with them."""
    return frozenset(key for (key,) in database.rows("SELECT key FROM records WHERE name = ?", (REMOVED,)))


def drop_all_of_removed(database: Database) -> list[tuple[str, str]]:
    """Drop every record whose latents were cleaned away, since one of them is needed again: all are made at once.

    Returns:
        Table and key of each.
    """
    which = "CASE WHEN json_valid(body) THEN json_extract(body, '$.latents.sha256') END IN " + (
        "(SELECT key FROM records WHERE name = ?)"
    )
    rows = database.rows(f"SELECT name, key FROM records WHERE {which}", (REMOVED,))
    with database.transaction():
        database.execute_many("DELETE FROM records WHERE name = ? AND key = ?", rows)
        database.execute("DELETE FROM records WHERE name = ?", (REMOVED,))
    return [(str(name), str(key)) for name, key in rows]
