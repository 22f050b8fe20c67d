"""Damage of any file of a run is found, dropped when asked, and then counts as missing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rushes.cli.check import show_health
from rushes.errors import DatabaseCorrupt, FileCorrupt, RecordCorrupt, StoreError, heal_command
from rushes.llm.cache import ReplyCache
from rushes.llm.chat import ChatReply
from rushes.llm.ledger import Ledger
from rushes.records import Focus, Scorecard
from rushes.store.advance import advance
from rushes.store.blobs import Blobs
from rushes.store.check import examine, mend
from rushes.store.database import COLUMNS, Database
from rushes.store.done import is_done, mark_done
from rushes.store.expenses import held_path
from rushes.store.files import explained, make_folder
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


@pytest.fixture
def finished(home: Path) -> Path:
    """The same, without work that should be tried again."""
    with again(home) as run:
        run.finish(CARD)
        assert run.is_done
    return home


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
        ("costs", b'"num_items":40', b'"num_items":90'),
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


def statement(home: Path, *statements: str) -> None:
    """Change the rows of a run as nothing of Rushes does."""
    with contextlib.closing(sqlite3.connect(home / "records.sqlite", isolation_level=None)) as database:
        for each in statements:
            database.execute(each)


@pytest.mark.parametrize("table", ["records", "failures", "costs", "meta"])
def test_a_row_without_a_sum_is_damaged(home: Path, table: str) -> None:
    statement(home, f"UPDATE {table} SET sum = NULL")
    found = examine(home).findings
    assert {each.row.table for each in found if each.row} == {table}
    with Run.view(home) as run, pytest.raises(RecordCorrupt):
        _ = (run.prompts.all(), run.failures(), run.costs(), run.database.meta("base"))
    mend(home, found)
    assert [each.place for each in examine(home).findings] == []


def test_a_row_that_holds_nothing_is_damaged(finished: Path) -> None:
    """Half of a page that was never written leaves rows like this one; the table's own rules do not forbid it there."""
    statement(
        finished,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'records'",
        "PRAGMA writable_schema = RESET",
        "UPDATE records SET name = NULL, key = NULL, body = NULL, sum = NULL WHERE position = 7",
    )
    (found,) = examine(finished).findings
    assert found.place == "records.sqlite"
    mend(finished, [found])
    assert examine(finished).findings == () and not is_done(finished)


@pytest.mark.parametrize("which", ["key = (SELECT max(key) FROM records)", "name = 'prompts'"])
def test_records_that_are_lost_are_missed(finished: Path, which: str, toy_writer: Any, toy_work: Any) -> None:
    statement(finished, f"DELETE FROM records WHERE {which}")
    (found,) = examine(finished).findings
    assert found.place == "done" and re.search(r"(1|40) of 40 prompts", found.reason)
    with again(finished) as run:
        assert result(run) is None, "a finished run goes on"
        advance(run.prompts, toy_work(40), toy_writer(), chunk_size=10, place=run.place())
        assert result(run) == CARD
    assert examine(finished).findings == ()
    statement(finished, f"DELETE FROM records WHERE {which}")
    mend(finished, examine(finished).findings)
    assert examine(finished).findings == () and not (finished / "done").exists()


def test_a_finished_run_may_get_more_records(finished: Path, toy_writer: Any, toy_work: Any) -> None:
    with again(finished) as run:
        advance(run.prompts, toy_work(60), toy_writer(), chunk_size=10, place=run.place())
        assert result(run) == CARD
    (finished / "done").write_text("2026-01-01T00:00:00+00:00\n")  # an older version's
    assert examine(finished).findings == ()


@pytest.mark.parametrize("folder", [False, True])
def test_a_database_that_is_gone_is_missed(home: Path, folder: bool) -> None:
    (home / "blobs" / "ab").mkdir(parents=True)
    (home / "blobs" / "ab" / f"{'ab' * 32}.bin").write_bytes(b"x")
    (home / "records.sqlite").unlink()
    if folder:
        (home / "records.sqlite").mkdir()
        with pytest.raises(DatabaseCorrupt, match="--heal"):
            again(home)
    found = examine(home).findings
    assert [each.place for each in found] == ["records.sqlite"]
    mend(home, found)
    with again(home) as run:
        assert run.prompts.num_records() == 0 and not run.is_done


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


def put_in_place(path: Path) -> None:
    """A folder with something in it in place of a file, a file in place of a folder."""
    was_folder = path.is_dir()
    shutil.rmtree(path) if was_folder else path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if was_folder or path.name in FOLDERS:
        path.write_text("no folder")
    else:
        (path / "folder").mkdir(parents=True)


FOLDERS = ("blobs", "derived", "scratch", "llm", "audit", "ab", "tmp")
IN_THE_WAY = (
    *("lock", "events.jsonl", "done", "report.html", "records.sqlite-wal", "records.sqlite-shm"),
    *FOLDERS[:-2],
)
BELOW = (
    *(".header.json.sha256", "derived/.focus.json.sha256", "llm/cost-main.lock", "llm/main/x.answered"),
    *("scratch/ab", "blobs/ab", "blobs/tmp", "scratch/ab/own-z.safetensors", "audit/answers.jsonl"),
)


@pytest.mark.parametrize("name", [*IN_THE_WAY, *BELOW])
def test_what_is_in_the_place_of_a_file_or_folder_is_found_and_removed(finished: Path, name: str) -> None:
    put_in_place(finished / name)
    if name in IN_THE_WAY:  # the rest ends a run only where it is met
        with pytest.raises(FileCorrupt, match="--heal"):
            again(finished)
    found = {each.place: each.reason for each in examine(finished).findings}
    assert found[name] == ("a folder" if (finished / name).is_dir() else "not a folder")
    assert show_health(finished, heal=True, as_json=False)
    with again(finished) as run:
        run.finish(CARD)
    assert examine(finished).findings == () and is_done(finished)


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_loop(path: Path) -> None:
    path.symlink_to(path.name)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [put_pipe, put_loop, put_device])
@pytest.mark.parametrize(
    "name", ["header.json", "recipe.yaml", "scorecard.json", "events.jsonl", "derived/focus.json", "records.sqlite"]
)
def test_what_a_reader_would_wait_at_is_no_file(finished: Path, name: str, put: Callable[[Path], None]) -> None:
    (finished / name).unlink(missing_ok=True)
    put(finished / name)
    if "/" not in name:
        with pytest.raises(FileCorrupt, match="is not a file"):
            Run.view(finished)
        with pytest.raises(FileCorrupt, match="--heal"):
            again(finished)
    assert (name, "not a file") in {(each.place, each.reason) for each in examine(finished).findings}
    assert show_health(finished, heal=True, as_json=False)
    with again(finished) as run:
        if name != "records.sqlite":
            run.finish(CARD)
    assert examine(finished).findings == ()


@pytest.mark.parametrize("name", ["events.jsonl", "lock", "derived", "blobs/ab", "scratch/ab"])
def test_what_is_in_the_way_is_told_with_the_command_that_removes_it(finished: Path, name: str) -> None:
    path = finished / name
    put_in_place(path)
    with pytest.raises(StoreError) as told, explained(path):
        (path / "x").mkdir(parents=True) if path.is_file() else path.read_bytes()
    assert told.value.next_step == heal_command(str(finished))
    assert str(told.value).startswith(f"{path} is in the way")


def test_what_is_in_the_way_elsewhere_has_to_be_moved(finished: Path) -> None:
    """No check looks at it there."""
    for path in (finished.parent / "out", finished / "export" / "lora"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("no folder")
        with pytest.raises(StoreError) as told:
            make_folder(path / "below")
        assert told.value.next_step == f"move {path} away, then run the same command again"


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
    "harm",
    [
        "DROP TABLE costs",
        "ALTER TABLE meta DROP COLUMN sum",
        "ALTER TABLE failures RENAME COLUMN body TO text",
        *(f"PRAGMA user_version = {number}" for number in (0, -3, 1, 77)),
    ],
)
def test_a_database_with_a_damaged_schema_is_no_bug(home: Path, harm: str) -> None:
    statement(home, harm)
    with pytest.raises(DatabaseCorrupt):
        Database(home / "records.sqlite", read_only=True)
    mend(home, examine(home).findings)
    assert examine(home).findings == ()


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
    replace = os.replace

    def die_at_file(source: Path, target: Path) -> None:
        if target == path:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die_at_file)
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


# ---------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize("name", ["header.json", "recipe.yaml", "records.sqlite", "scorecard.json"])
@pytest.mark.parametrize("is_gone", [False, True])
def test_after_healing_the_next_command_can_follow(
    finished: Path, name: str, is_gone: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed joins both commands with `&&`: the first one must end well, and the second find its recipe."""
    Blobs(finished / "blobs").put_bytes(b"x", ".bin")
    (finished / name).unlink() if is_gone else (finished / name).write_bytes(b"1")
    assert not show_health(finished, heal=False, as_json=False)
    assert show_health(finished, heal=True, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"dropped; what is missing is made again by: rushes run {finished}/recipe.yaml" in said
    with again(finished) as run:
        assert not run.is_done


def test_a_damaged_ledger_is_set_aside_and_makes_nothing_again(home: Path, tmp_path: Path) -> None:
    own, shared = (folder / "cost-main.jsonl" for folder in (home / "llm", tmp_path / "shared"))
    with contextlib.closing(Database(home / "records.sqlite")) as database:
        mark_done(home, database)
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
