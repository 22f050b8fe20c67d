"""Records land in whole batches, once; a newer, damaged, full or read-only file is said plainly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import StoreError
from rushes.records import Clip, Prompt
from rushes.store.advance import Work, advance
from rushes.store.database import SCHEMA_VERSION, Database
from rushes.store.run import Run
from rushes.store.table import Table


@pytest.fixture
def prompts(toy_writer: Any, toy_work: Any) -> Callable[[int], list[Prompt]]:
    """Makes that many prompts."""
    return lambda num: toy_writer()(toy_work(num))


@pytest.fixture
def table(tmp_path: Path) -> Table[Prompt]:
    return Table(Database(tmp_path / "records.sqlite"), "prompts", Prompt)


def test_records_come_back_as_they_were(table: Table[Prompt], prompts: Callable[[int], list[Prompt]]) -> None:
    made = prompts(3)
    table.land(made)
    assert table.get(made[1].key) == made[1]
    assert list(table.get_many([made[2].key, "0" * 64, made[0].key]).values()) == [made[2], made[0]]
    assert table.all() == sorted(made, key=lambda prompt: prompt.key)
    assert table.missing(["0" * 64, made[0].key]) == ["0" * 64]
    with pytest.raises(KeyError):
        table.get("0" * 64)


def test_a_record_that_is_there_is_never_rewritten(
    table: Table[Prompt], prompts: Callable[[int], list[Prompt]]
) -> None:
    (first,) = prompts(1)
    table.land([first])
    table.land([first.model_copy(update={"text": "other"})])
    assert table.get(first.key) == first


def test_many_keys_fit(table: Table[Prompt], prompts: Callable[[int], list[Prompt]]) -> None:
    made = prompts(2500)
    table.land(made)
    keys = [prompt.key for prompt in made]
    assert list(table.get_many(keys).values()) == made
    assert table.missing([*keys, "0" * 64]) == ["0" * 64]


def test_a_batch_lands_whole_or_not_at_all(table: Table[Prompt], prompts: Callable[[int], list[Prompt]]) -> None:
    table.database.execute("PRAGMA max_page_count = 16")
    with pytest.raises(StoreError, match=r"disk is full(.|\n)*run the same command again"):
        table.land(prompts(1000))
    table.database.execute("PRAGMA max_page_count = 100000")
    assert table.num_records() == 0
    table.land(prompts(1000))
    assert table.num_records() == 1000


def test_a_run_on_a_full_disk_resumes(run: Run, toy_writer: Any, toy_work: Any) -> None:
    work = toy_work(400)
    run.database.execute("PRAGMA max_page_count = 40")
    with pytest.raises(StoreError, match="disk is full"):
        advance(run.prompts, work, toy_writer(), chunk_size=50, place=run.place())
    assert run.prompts.num_records() % 50 == 0
    run.database.execute("PRAGMA max_page_count = 100000")
    assert len(advance(run.prompts, work, toy_writer(), chunk_size=50, place=run.place())) == 400


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE costs ADD COLUMN further TEXT")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=r"newer version(.|\n)*upgrade"):
        Database(path)


def test_a_file_that_is_no_database_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StoreError, match="is damaged"):
        Database(path)


def test_a_read_only_database_can_be_read_but_not_written(
    tmp_path: Path, prompts: Callable[[int], list[Prompt]]
) -> None:
    path = tmp_path / "records.sqlite"
    writer = Database(path)
    Table(writer, "prompts", Prompt).land(prompts(3))
    reader = Table(Database(path, read_only=True), "prompts", Prompt)
    assert reader.num_records() == 3
    with pytest.raises(StoreError, match="no permission"):
        reader.land(prompts(4))


def test_a_record_of_another_version_is_said_plainly(
    table: Table[Prompt], prompts: Callable[[int], list[Prompt]]
) -> None:
    (first,) = prompts(1)
    table.land([first])
    with pytest.raises(StoreError, match="does not fit this version"):
        Table(table.database, "prompts", Clip).all()


def test_a_bug_in_a_statement_stays_a_bug(table: Table[Prompt]) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax"):
        table.database.execute("SELEKT 1")


def test_an_exception_inside_a_transaction_undoes_it(table: Table[Prompt]) -> None:
    with pytest.raises(RuntimeError), table.database.transaction():
        table.database.set_meta("a", "1")
        raise RuntimeError
    assert table.database.meta("a") is None


def test_a_failure_is_gone_once_the_record_is_there(run: Run, toy_writer: Any, toy_work: Any) -> None:
    work = toy_work(4)
    fails: set[int] = {2}

    def do(chunk: Sequence[Work[int]]) -> Any:
        return toy_writer(failing=fails)(chunk)

    advance(run.prompts, work, do, chunk_size=4, place=run.place())
    assert len(run.failures()) == 1
    fails.clear()
    advance(run.prompts, work, do, chunk_size=4, place=run.place())
    assert run.failures() == []
