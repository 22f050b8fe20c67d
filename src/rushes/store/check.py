"""Checking a run folder: reads everything in it, says what is not what was written, and drops that if asked.

What is dropped counts as missing: the next run of the same recipe makes it again. What cannot be made again, the amount
spent on servers, is from then on known to be a lower bound.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from rushes.errors import BlobCorrupt, DatabaseCorrupt, StoreError
from rushes.records import BlobRef, CostEntry
from rushes.store.blobs import NAMES_A_FILE, Blobs, refs_in
from rushes.store.database import DamagedRow, Database
from rushes.store.done import is_done, lost_records, reopen
from rushes.store.events import EventLog
from rushes.store.expenses import PATTERNS, damage_of, set_aside
from rushes.store.files import explained
from rushes.store.heal import remove
from rushes.store.lock import ProcessLock
from rushes.store.named import removed_files
from rushes.store.places import EVENTS, LOCK, closes_database, is_odd, misplaced
from rushes.store.recipe_copy import RECIPE, kept_recipe, restore_recipe
from rushes.store.rows import MANIFEST, Rows
from rushes.store.salvage import salvage
from rushes.store.sums import is_intact, is_sealed, opened, sum_path
from rushes.store.wal import LOG, damage_of_log

DATABASE: Final = "records.sqlite"
DONE: Final = "done"
MISSING: Final = "missing"
"""The reason of a finding whose file is not there."""
_VOTES: Final = "votes/"
"""Where what people said is."""
_REPLY: Final = ("text", "is_cut", "first_token")
"""What a stored reply of a language model holds."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not what was written."""

    place: str
    """Its path in the run folder, or a record's table and key."""
    reason: str
    """What is wrong with it."""
    records: tuple[tuple[str, str], ...] = ()
    """Table and key of the records that have to be made again."""
    row: DamagedRow | None = None
    """The row, if it is one."""
    is_money: bool = False
    """It is of a ledger of what servers cost: nothing can make that again."""

    @property
    def is_of_people(self) -> bool:
        """It is of what people said: no run makes that again, so it is set aside and never dropped."""
        return self.place.startswith(_VOTES)

    @property
    def is_set_aside(self) -> bool:
        """No run makes it again: it is kept, and no longer counted."""
        return self.is_money or self.is_of_people


@dataclass(frozen=True)
class Health:
    """The result of a check."""

    num_checked: int
    """Files and records that were read."""
    findings: tuple[Finding, ...]
    """What is damaged, by place."""
    costs: tuple[CostEntry, ...]
    """The entries of the run's ledger that can be read."""


def examine(home: Path) -> Health:
    """Read all of a run folder. Changes nothing; also while a process works there.

    Raises:
        StoreError: not a run folder, made by a newer version, or not readable.
    """
    if not any(os.path.lexists(home / name) for name in (DATABASE, "header.json")):
        raise StoreError(
            f"{home} is not a run folder",
            expected="a folder made by: rushes run",
            next_step="name the run folder (runs print it when they start), or make one: rushes run sandbox",
        )
    files, odd = list(_files(home)), misplaced(home)
    readable = [path for path in files if path not in odd and sum_path(path) not in odd]
    wrong = [each for path in readable if (each := _of_file(home, path)) is not None]
    wrong += [Finding(_place(home, path), kind) for path, kind in odd.items()]
    ledgers = list(_ledgers(home))
    wrong += [Finding(_place(home, path), how, is_money=True) for path in ledgers if (how := damage_of(path))]
    if not os.path.lexists(home / "header.json"):
        wrong.append(Finding("header.json", MISSING))
    if not (home / RECIPE).exists() and kept_recipe(home) is not None:
        wrong.append(Finding(RECIPE, MISSING))
    if is_done(home) and not (home / "scorecard.json").exists():
        wrong.append(Finding("scorecard.json", MISSING))
    if not os.path.lexists(home / DATABASE) and any((home / "blobs").glob("??/*")):
        wrong.append(Finding(DATABASE, MISSING))
    if home / LOG not in odd and (lost := damage_of_log(home)):  # before SQLite opens it
        wrong.append(Finding(LOG, lost))
    try:
        num, found, costs = (0, [], ()) if any(map(closes_database, odd)) else _of_database(home)
    except DatabaseCorrupt as damage:
        num, found, costs = 1, [Finding(DATABASE, damage.problem.partition(": ")[2])], ()
    return Health(len(files) + len(ledgers) + num, tuple(sorted((*wrong, *found), key=lambda each: each.place)), costs)


def mend(home: Path, findings: Sequence[Finding]) -> None:
    """Drop what was found, and `done` where the next run has to make something again.

    Raises:
        RunLocked: a process works there.
        StoreError: the folder cannot be written.
    """
    places = {each.place for each in findings}
    if LOCK in places:
        remove(home / LOCK)  # nobody holds it: it is no file
    lock = ProcessLock(home / LOCK)
    try:
        if EVENTS in places:
            remove(home / EVENTS)
        log = EventLog(home / EVENTS)
        rows: list[DamagedRow] = []
        for each in findings:
            log.write("damaged", place=each.place, problem=each.reason, dropped=["/".join(r) for r in each.records])
            if each.place in (LOCK, EVENTS):
                continue
            if each.is_money:
                set_aside(home / each.place)
            elif each.place == DATABASE:
                _mend_database(home / DATABASE)
            elif each.place == LOG and (home / LOG).is_file():
                Database(home / DATABASE).close()  # it takes over what can be read, and removes the log
            elif each.is_of_people:
                with explained(home / each.place):
                    (home / each.place).replace(home / f"{each.place}.damaged")
            elif each.row is None:
                _drop_records(home, each.records)
                remove(home / each.place)
            else:
                rows.append(each.row)
        if rows:
            database = Database(home / DATABASE)
            database.drop_rows(rows)
            database.close()
        restore_recipe(home)
        if not all(each.is_set_aside for each in findings):
            reopen(home)
    finally:
        lock.release()


def _mend_database(path: Path) -> None:
    if path.is_file():
        salvage(path)
    else:
        remove(path)
        Database(path).close()


# ---------------------------------------------------------------------------------------------- single files


def _files(home: Path) -> Iterator[Path]:
    for pattern in (
        "*.json",
        RECIPE,
        "derived/*.json",
        "audit/audit.json",
        "votes/*/*.json",
        "votes/*/replies/*.json",
        "llm/*/*/*.json",
        f"scratch/*/*{MANIFEST}",
    ):
        yield from sorted(home.glob(pattern))
    yield from sorted(home.glob("scratch/*/state.safetensors"))


def _ledgers(home: Path) -> Iterator[Path]:
    """The files of the ledgers that a run counts in: its own, and those of the folder that its recipe names."""
    folders = [home / "llm"]
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError, yaml.YAMLError):  # found in the file itself
        if not is_odd(home / RECIPE):
            folders.append(Path(yaml.safe_load((home / RECIPE).read_bytes())["runtime"]["cache_folder"]))
    for folder in {each.resolve(): each for each in folders}.values():
        for pattern in PATTERNS:
            yield from sorted(folder.glob(pattern))


def _place(home: Path, path: Path) -> str:
    """Its path in the run folder; elsewhere its whole path."""
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path.absolute())


def _of_file(home: Path, path: Path) -> Finding | None:
    place = path.relative_to(home).as_posix()
    if not path.is_file():
        return Finding(place, "a folder" if path.is_dir() else "not a file")
    if path.suffix == ".safetensors":
        return (
            Finding(place, "altered: training starts again from its first step") if is_sealed(path) is False else None
        )
    if path.name.endswith(MANIFEST):
        rows = Rows.read(path.parent, path.name.removesuffix(MANIFEST))
        whole = rows is not None and rows.num_intact() * rows.manifest.num_at_once >= rows.manifest.num_done
        return None if whole else Finding(place, "its rows are altered: they are encoded again")
    intact = is_intact(path)
    if intact is None and path.suffix == ".json":
        with explained(path):
            data = path.read_bytes()
        intact = _is_json(data) if place.count("/") < 2 else opened(data, _REPLY) is not None
    return Finding(place, "altered") if intact is False else None


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


# ---------------------------------------------------------------------------------------------- records and blobs


def _of_database(home: Path) -> tuple[int, list[Finding], tuple[CostEntry, ...]]:
    if not (home / DATABASE).exists():
        return 0, [], ()
    database = Database(home / DATABASE, read_only=True)
    try:
        database.check_whole()
        damaged = database.damaged_rows()
        found = [Finding(row.label, "altered", _key_of(row), row) for row in damaged]
        bad = {row.position for row in damaged if row.table == "records"}
        if lost := lost_records(home, database):
            found.append(Finding(DONE, f"lost since the run was finished: {', '.join(lost)}"))
        blobs = Blobs(home / "blobs")
        removed = removed_files(database)
        wrong = blobs.verify_all(_named_files(database, bad, found))
        damages = [each for each in wrong if each.reason != MISSING or each.sha256 not in removed]
        num_rows = sum(database.counts().values())
        named = _naming(database, {damage.sha256 for damage in damages}, bad)
        found += [_of_blob(home, damage, named) for damage in damages]
        return num_rows + sum(1 for _ in blobs.folder.glob("??/*")), found, _costs(database)
    finally:
        database.close()


def _named_files(database: Database, bad: set[int], found: list[Finding]) -> Iterator[BlobRef]:
    """The files that intact records name, one after the other, each as often as it is named.

    Args:
        database: the run's.
        bad: positions of damaged rows.
        found: gets a finding for each record that is no JSON.
    """
    for position, name, key, body in database.each("SELECT rowid, name, key, CAST(body AS BLOB) FROM records"):
        if position in bad:
            continue
        if not _is_json(body):
            row = DamagedRow("records", position, f"{name}/{key}")
            found.append(Finding(row.label, "altered", ((name, key),), row))
        elif NAMES_A_FILE in body:
            yield from refs_in(json.loads(body))


def _key_of(row: DamagedRow) -> tuple[tuple[str, str], ...]:
    name, _, key = row.label.rpartition("/")
    return ((name, key),) if row.table == "records" else ()


def _naming(database: Database, hashes: set[str], bad: set[int]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Table and key of the intact records that name each of these files."""
    named: dict[str, dict[tuple[str, str], None]] = {}
    if hashes:
        for position, name, key, body in database.each("SELECT rowid, name, key, CAST(body AS BLOB) FROM records"):
            if position not in bad and NAMES_A_FILE in body and _is_json(body):
                for sha256 in {ref.sha256 for ref in refs_in(json.loads(body))} & hashes:
                    named.setdefault(sha256, {})[name, key] = None
    return {sha256: tuple(records) for sha256, records in named.items()}


def _of_blob(home: Path, damage: BlobCorrupt, named: dict[str, tuple[tuple[str, str], ...]]) -> Finding:
    place = Path(damage.path).relative_to(home).as_posix()
    return Finding(place, damage.reason, named.get(damage.sha256, ()))


def _drop_records(home: Path, records: Iterable[tuple[str, str]]) -> None:
    if not records:
        return
    database = Database(home / DATABASE)
    with database.transaction():
        database.execute_many("DELETE FROM records WHERE name = ? AND key = ?", list(records))
    database.close()


def _costs(database: Database) -> tuple[CostEntry, ...]:
    found = []
    for (body,) in database.rows("SELECT CAST(body AS BLOB) FROM costs"):
        with contextlib.suppress(ValidationError):
            found.append(CostEntry.model_validate_json(body))
    return tuple(found)
