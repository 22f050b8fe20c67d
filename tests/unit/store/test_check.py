"""Damage of any file of a run is found, dropped when asked, and then counts as missing."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import DatabaseCorrupt, FileCorrupt, RecordCorrupt
from rushes.llm.cache import ReplyCache
from rushes.llm.chat import ChatReply
from rushes.llm.ledger import Ledger
from rushes.records import Focus, Scorecard
from rushes.store import sums
from rushes.store.advance import advance
from rushes.store.check import examine, mend
from rushes.store.database import COLUMNS, Database
from rushes.store.done import is_done, mark_done
from rushes.store.expenses import held_path
from rushes.store.heal import healing, result
from rushes.store.recipe_copy import read_recipe, recipe_of
from rushes.store.run import Run
from rushes.store.sums import UNSEALED, closed, is_intact, is_sealed, opened, sealed, sum_path, write_summed

CARD = Scorecard(base_model="b", tuned_model="t", measurer="m", judge="j", rows=())
FOCUS = Focus(dimension="D", baseline=0.5, low=0.4, high=0.6, gap=0.5, share=1.0, num_prompts=3, reason="r")


@pytest.fixture
def home(run: Run, toy_writer: Any, toy_work: Any) -> Path:
    """A finished run, closed."""
    advance(run.prompts, toy_work(40), toy_writer(), chunk_size=10, place=run.place())
    advance(run.prompts, toy_work(41), toy_writer({40}), chunk_size=10, place=run.place())
    run.database.set_meta("base", "ab" * 32)
    run.write_derived("focus", [FOCUS])
    run.finish(CARD)
    run.close()
    return run.home


def change(path: Path, old: bytes, new: bytes) -> None:
    """Change some bytes, as a failing disk does; the write-ahead log is in the file."""
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def again(home: Path) -> Run:
    return Run.open(home, {"toy": 1})


def test_an_undamaged_run_has_no_findings(home: Path) -> None:
    health = examine(home)
    assert health.findings == () and health.num_checked > 40


@pytest.mark.parametrize("new", [b"text 8 ", b"text \xff ", b'text " '])
def test_a_changed_row_is_found_at_reading_and_made_again(
    home: Path, new: bytes, toy_writer: Any, toy_work: Any
) -> None:
    change(home / "records.sqlite", b"text 7 ", new)
    with Run.view(home) as run:
        with pytest.raises(RecordCorrupt, match=r"prompts/(.|\n)*rushes check .*run --heal"):
            run.prompts.all()
    (found,) = examine(home).findings
    assert [table for table, _ in found.records] == ["prompts"]
    with again(home) as run:
        writer = toy_writer()
        for attempt in healing(run):
            with attempt:
                made = advance(run.prompts, toy_work(40), writer, chunk_size=10, place=run.place())
                break
        assert len(made) == 40 and writer.chunks == [list(range(10))] and not run.is_done
    assert examine(home).findings == ()


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("failures", b"no 40", b"no 41"),
        ("meta", b"abababab", b"abababac"),
        ("costs", b'"num_items":10', b'"num_items":90'),
    ],
)
def test_every_table_has_sums(home: Path, table: str, old: bytes, new: bytes) -> None:
    change(home / "records.sqlite", old, new)
    found = examine(home).findings
    assert {each.row.table for each in found if each.row} == {table}
    with Run.view(home) as run, pytest.raises(RecordCorrupt):
        _ = (run.failures(), run.costs(), run.database.meta("base"))
    mend(home, found)
    assert examine(home).findings == ()


def test_an_older_run_is_read_as_it_is_and_gets_sums_when_it_is_opened(home: Path) -> None:
    with contextlib.closing(sqlite3.connect(home / "records.sqlite", isolation_level=None)) as old:
        for table in COLUMNS:
            old.execute(f"ALTER TABLE {table} DROP COLUMN sum")
        old.execute("PRAGMA user_version = 1")
    with Run.view(home) as run:
        before = run.prompts.all()
        assert len(before) == 40 and run.failures() and run.costs() and run.database.meta("base")
    assert examine(home).findings == ()
    with again(home) as run:
        assert run.prompts.all() == before
    change(home / "records.sqlite", b"text 7 ", b"text 8 ")
    assert len(examine(home).findings) == 1


@pytest.mark.parametrize("name", ["derived/focus.json", "scorecard.json", "header.json", "recipe.yaml"])
@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe", b"[]", b"folder"])
def test_a_damaged_file_is_found_and_dropped(home: Path, name: str, data: bytes | None) -> None:
    path = home / name
    if data == b"folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(data if data is not None else path.read_bytes().replace(b"0", b"1").replace(b"t", b"u"))
    (found,) = examine(home).findings
    assert found.place == name
    mend(home, [found])
    assert path.exists() == sum_path(path).exists() == (name == "recipe.yaml")
    with again(home) as run:
        assert run.read_derived("focus", Focus) in ([FOCUS], None) and not run.is_done
        run.finish(CARD)
    assert examine(home).findings == ()


def test_a_run_goes_on_after_a_damaged_derived_file_or_scorecard(home: Path) -> None:
    change(home / "derived" / "focus.json", b"0.5", b"0.6")
    change(home / "scorecard.json", b'"j"', b'"k"')
    with Run.view(home) as run, pytest.raises(FileCorrupt):
        run.read_derived("focus", Focus)
    with again(home) as run:
        assert result(run) is None and not run.is_done
        for attempt in healing(run):
            with attempt:
                assert run.read_derived("focus", Focus) is None
                break


@pytest.mark.parametrize("at", [0, 8, 3600])
def test_a_damaged_database_is_said_plainly_and_its_readable_rows_are_saved(home: Path, at: int) -> None:
    path = home / "records.sqlite"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    for page in range(2, len(data) // size):  # all leaves of one table but the last, or whatever is there
        if data[page * size : page * size + 1] == b"\x0d" and b"text 1" in data[page * size : (page + 1) * size]:
            data[page * size + at : page * size + at + 60] = bytes(60)
            break
    path.write_bytes(data)
    rounds = 0
    while (found := examine(home).findings) and rounds < 4:
        mend(home, found)
        rounds += 1
    assert 1 <= rounds < 4
    with again(home) as run:
        assert all(each.text.startswith("text ") for each in run.prompts.all())
        assert 0 < run.prompts.num_records() < 41


@pytest.mark.parametrize("data", [b"", b"nonsense" * 1000])
def test_a_database_that_is_none_is_replaced(home: Path, data: bytes) -> None:
    path = home / "records.sqlite"
    path.write_bytes(data)
    if data:
        with pytest.raises(DatabaseCorrupt, match="--heal"):
            again(home)
    mend(home, examine(home).findings)
    with again(home) as run:
        assert run.prompts.num_records() == 0
    assert examine(home).findings == ()


@pytest.mark.parametrize(
    "statement", ["DROP TABLE costs", *(f"PRAGMA user_version = {number}" for number in (0, -3, 1, 77))]
)
def test_a_database_with_a_damaged_schema_is_no_bug(home: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(home / "records.sqlite", isolation_level=None)) as old:
        old.execute(statement)
    with pytest.raises(DatabaseCorrupt):
        database = Database(home / "records.sqlite", read_only=True)
        database.rows("SELECT * FROM costs")


@pytest.mark.parametrize("place", [b"failures (", b"records (", b"costs ("])
def test_a_type_that_changed_in_the_schema_is_found(home: Path, place: bytes) -> None:
    path = home / "records.sqlite"
    before, found, after = path.read_bytes().rpartition(b"CREATE TABLE " + place)
    path.write_bytes(before + found + after.replace(b"TEXT NOT NULL", b"TEPT NOT NULL", 1))
    (damage,) = examine(home).findings
    assert damage.place == "records.sqlite"
    mend(home, [damage])
    assert examine(home).findings == ()


def test_the_copy_of_the_recipe_is_written_again(home: Path) -> None:
    path = home / "recipe.yaml"
    whole = path.read_bytes()
    change(path, b"toy: 1", b"toy: 2")
    with pytest.raises(FileCorrupt, match="--heal"):
        read_recipe(path)
    mend(home, examine(home).findings)
    assert path.read_bytes() == whole and is_intact(path)
    path.unlink()
    with pytest.raises(FileCorrupt, match="missing"):
        recipe_of(home)
    (found,) = examine(home).findings
    mend(home, [found])
    assert path.read_bytes() == whole and examine(home).findings == ()


def test_a_schema_that_is_no_text_is_no_bug(home: Path) -> None:
    change(home / "records.sqlite", b"KEY, stage", b"\x82EY, stage")  # SQLite's message quotes it
    with pytest.raises(DatabaseCorrupt, match="--heal"):
        again(home)
    mend(home, examine(home).findings)
    assert examine(home).findings == ()


# ---------------------------------------------------------------------------------------------- sums


def test_a_kill_between_sum_and_file_leaves_a_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_summed(path, b"old")
    write = sums.write_atomic

    def die_at_file(target: Path, data: bytes) -> None:
        if target == path:
            raise KeyboardInterrupt
        write(target, data)

    with monkeypatch.context() as patch:
        patch.setattr(sums, "write_atomic", die_at_file)
        with pytest.raises(KeyboardInterrupt):
            write_summed(path, b"new")
    assert path.read_bytes() == b"old" and is_intact(path)
    write_summed(path, b"new")
    assert path.read_bytes() == b"new" and is_intact(path)


def test_every_changed_byte_of_a_sealed_file_is_found(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load, save

    data = b"".join(sealed(save({"a": np.arange(6.0)}, {"progress": "{}", **UNSEALED})))
    path = tmp_path / "state.safetensors"
    path.write_bytes(data)
    assert is_sealed(path) is True and load(data)["a"][5] == 5
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert is_sealed(path) is False, at
    path.write_bytes(data[:-1])
    assert is_sealed(path) is False
    path.write_bytes(save({"a": np.arange(6.0)}, {"progress": "{}"}))
    assert is_sealed(path) is None, "as an older version wrote it"


def test_a_small_file_with_its_checksum_inside() -> None:
    data = closed({"a": 0.25})
    assert opened(data, ("a",)) == {"a": 0.25}
    assert opened(b'{"a": 0.25}', ("a",)) == {"a": 0.25}, "as an older version wrote it"
    for bad in (data.replace(b"2", b"3", 1), data.replace(b"crc32", b"crc33"), b"[]", b"", b"\xff", b"[" * 5000):
        assert opened(bad, ("a",)) is None


def test_any_text_has_a_sum(tmp_path: Path) -> None:
    database = Database(tmp_path / "records.sqlite")
    database.insert("records", [("prompts", "k", "Grün \x00 \U0001f3a5 'quoted' |")], "NOTHING")
    assert database.damaged_rows() == []


def test_a_damaged_cached_reply_is_found_and_dropped(home: Path) -> None:
    cache = ReplyCache(home / "llm" / "replies")
    cache.put("ab" * 32, ChatReply("yes"))
    (file,) = (home / "llm").rglob("*.json")
    assert examine(home).findings == ()
    change(file, b"yes", b"yep")
    (found,) = examine(home).findings
    assert file.name in str(found)


def test_a_damaged_ledger_is_set_aside_and_makes_nothing_again(home: Path, tmp_path: Path) -> None:
    own, shared = (folder / "cost-main.jsonl" for folder in (home / "llm", tmp_path / "shared"))
    mark_done(home)
    write_summed(home / "recipe.yaml", f"runtime: {{cache_folder: {shared.parent}}}\n".encode())
    for file in (own, shared):
        Ledger(file).add(1, 1, 0.25)
        Ledger(file).take(0.5, 1.0, 1e6)
    assert examine(home).findings == ()
    for file in (own, shared):
        change(file, b"0.25", b"0.35")
        change(held_path(file), b"0.5", b"0.4")
    found = examine(home).findings
    places = {"llm/cost-main.jsonl", "llm/cost-main.held.json", str(shared), str(held_path(shared))}
    assert {each.place for each in found} == places and all(each.is_money for each in found)
    mend(home, found)
    assert examine(home).findings == () and is_done(home)
    assert [Ledger(file).num_unknown for file in (own, shared)] == [2, 2]
