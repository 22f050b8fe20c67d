"""The log of a database: a damaged place in it is told from its end, wherever a kill left that."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from rushes.cli.check import show_health
from rushes.store.check import examine
from rushes.store.run import Run
from rushes.store.wal import LOG, damage_of_log

FRAME = 24 + 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log of forty commits, as a kill leaves it."""
    folder = tmp_path_factory.mktemp("log")
    database = sqlite3.connect(folder / "records.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (a)")
    for number in range(40):
        database.execute("INSERT INTO t VALUES (?)", (f"{number} " * 100,))
    log = (folder / LOG).read_bytes()
    assert damage_of_log(folder) is None and len(log) > 40 * FRAME
    database.execute("PRAGMA wal_checkpoint(RESTART)")
    for _ in range(3):  # these overwrite the first of the forty
        database.execute("INSERT INTO t VALUES (1)")
    assert len((folder / LOG).read_bytes()) == len(log) and damage_of_log(folder) is None
    database.close()
    return log


def found(folder: Path, log: bytes) -> str | None:
    (folder / LOG).write_bytes(log)
    return damage_of_log(folder)


def test_a_log_that_ends_anywhere_is_whole(whole: bytes, tmp_path: Path) -> None:
    rng = random.Random(0)
    for size in (0, 1, 31, 32, 33, 32 + FRAME, *(rng.randrange(len(whole)) for _ in range(30))):
        assert found(tmp_path, whole[:size]) is None
    half = whole[: 32 + 3 * FRAME] + whole[32 + 3 * FRAME :][: FRAME - 500] + bytes(500)
    assert found(tmp_path, half) is None  # a page of an earlier generation may stand where a kill left the last one


def test_a_bit_that_changed_before_the_last_page_is_noticed(whole: bytes, tmp_path: Path) -> None:
    rng = random.Random(1)
    last = 32 + (len(whole) // FRAME - 1) * FRAME
    for at in (0, 8, 16, 24, 31, 32 + 8, 32 + 20, *(rng.randrange(last) for _ in range(30))):
        log = bytearray(whole)
        log[at] ^= 1 << rng.randrange(8)
        assert found(tmp_path, bytes(log)) is not None, at


@pytest.mark.parametrize("is_checked_first", [True, False])
def test_what_a_killed_run_lost_in_its_log_is_told(run: Run, tmp_path: Path, is_checked_first: bool) -> None:
    for number in range(5):
        run.database.set_meta(f"name {number}", "value")
    home = tmp_path / "killed"
    shutil.copytree(run.home, home, ignore=shutil.ignore_patterns("*-shm", "lock"))
    assert examine(home).findings == ()
    log = bytearray((home / LOG).read_bytes())
    kept = len(log) // FRAME - 3
    log[32 + kept * FRAME + 100] ^= 1
    (home / LOG).write_bytes(log)
    if is_checked_first:
        (finding,) = examine(home).findings
        assert finding.place == LOG and f"after {kept} of {kept + 3}" in finding.reason
        assert show_health(home, heal=True, as_json=False) and examine(home).findings == ()
    with Run.open(home, {"toy": 1}) as again:
        told = [each for each in again.log.read() if each["event"] == "damaged"]
    assert [each["place"] for each in told] == [LOG]
