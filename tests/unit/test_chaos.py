"""The chaos benchmark's verdicts can fail: each kind of fault, planted, is counted; what is right is not."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.trouble import damage, databases, folders, judging, kills
from benchmarks.trouble.contents import contents, difference
from benchmarks.trouble.kills import Dooms, Straight, left_alone
from benchmarks.trouble.lives import Life, live
from benchmarks.trouble.places import kind_of
from benchmarks.trouble.recipes import SECRET, verdict
from benchmarks.trouble.replies import Reply, good
from benchmarks.trouble.reply_rule import valid_p_yes
from benchmarks.trouble.tally import Fault, Outcome, Row, faults_of, table
from rushes.prompts.captions import ClipFolder, read_clip_folder
from rushes.roles import Failed, GivenAnswer
from rushes.store.database import Database

ROOT = Path(__file__).resolve().parents[2]
GOOD = good(random.Random(0))


def kinds(outcomes: Sequence[Outcome]) -> set[str]:
    return {fault.kind for outcome in outcomes for fault in outcome.faults}


def test_the_table_counts_cases_not_faults() -> None:
    twice = Outcome("a", (Fault("lost", "x"), Fault("lost", "y"), Fault("leak", "z")))
    row = Row("kills", (twice, Outcome("b"), Outcome("c")), 3.2)
    assert table([row]).splitlines()[-1] == "| kills | 3 | 2 | 1 | 0 | 0 | 1 | 3 |"
    assert len(faults_of(row.outcomes)) == 3


def test_a_page_gets_the_new_result() -> None:
    from benchmarks.chaos import MARK, PARTS, with_result

    page = f"before\n{MARK}\nold\n{MARK}\nafter\n"
    assert with_result(page, "new") == f"before\n{MARK}\n\nnew\n\n{MARK}\nafter\n"
    kept = (ROOT / "docs" / "reliability.md").read_text()
    assert kept.count(MARK) == 2 and all(f"`{name}`" in kept for name in PARTS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("| 0 | 0 | 0 | 0 |", "| 0 | 1 | 0 | 0 |"),
        ("| 3000 | 3000 |", "| 3000 | 2999 |"),
        ("| 50 | 50 |", "| 23 | 23 |"),
        (" 0123456789ab,", " unknown,"),
        ("| damaged databases", "| damaged data"),
    ],
)
def test_a_poor_result_on_the_page_is_noticed(old: str, new: str) -> None:
    from benchmarks.chaos import PARTS

    counts = {**{name: part[1] for name, part in PARTS.items()}, "replies": 3000}
    rows = [Row(PARTS[name][2], tuple(Outcome("") for _ in range(num)), 1.0) for name, num in counts.items()]
    page = f"Seed 1, commit 0123456789ab, 2 CPU cores:\n\n{table(rows)}"
    assert old in page and bool(wanting(page.replace(old, new, 1) if old else page)) == bool(old)
    assert wanting("")


def test_the_result_on_the_page_is_clean() -> None:
    from benchmarks.chaos import MARK

    assert wanting((ROOT / "docs" / "reliability.md").read_text().split(MARK)[1]) == []


LEAST = {"kills": 200, "replies": 3000, "recipes": 400, "folders": 200, "damage": 22, "databases": 24}
"""Cases that a result on the page has to have."""


def wanting(result: str) -> list[str]:
    """What a result on the page lacks: a commit, a part, cases, or a case that was not survived."""
    from benchmarks.chaos import PARTS

    lacks = [] if re.search(r"^Seed \d+, commit [0-9a-f]{12}[, ]", result, re.MULTILINE) else ["a commit"]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in result.splitlines()]
    found = {name: [int(cell) for cell in row] for name, *row in cells if row and all(map(str.isdigit, row))}
    for name, (_, _, title) in PARTS.items():
        tried, survived, *faults, _ = found.get(title, [0, 0, 0])
        if tried < LEAST[name] or survived != tried or any(faults):
            lacks.append(name)
    return lacks


# ---------------------------------------------------------------------------------------------- lives


def test_a_life_tells_a_bug_a_hang_and_a_crash(tmp_path: Path) -> None:
    def crash() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    def hang() -> None:
        time.sleep(60)

    assert live(lambda: print("well"), tmp_path / "log").bug is None
    assert live(lambda: 2, tmp_path / "log").exit_code == 2
    assert "ZeroDivisionError" in (live(lambda: 1 // 0, tmp_path / "log").bug or "")
    assert f"signal {signal.SIGUSR1:d}" in (live(crash, tmp_path / "log").bug or "")
    assert "no end in time" in (live(hang, tmp_path / "log", limit_s=0.2).bug or "")


# ---------------------------------------------------------------------------------------------- kills


def run_of(count: Callable[[Path], int], _: object, home: Path) -> None:
    """A run of 20 rows in a database and a few files; `count` says how many of its rows are there already."""
    (home / "derived").mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(home / "records.sqlite") as database:
        database.execute("CREATE TABLE IF NOT EXISTS records (name TEXT, key TEXT, body TEXT)")
        for number in range(count(home), 20):
            database.execute("INSERT INTO records VALUES ('clips', ?, ?)", (str(number), f'{{"n": {number}}}'))
            database.commit()
    (home / "scorecard.json").write_text("{}")
    (home / "half").rename(home / "done") if (home / "half").exists() else (home / "done").touch()


def stored(home: Path) -> int:
    with sqlite3.connect(home / "records.sqlite") as database:
        return int(database.execute("SELECT count(*) FROM records").fetchone()[0])


def killed(monkeypatch: pytest.MonkeyPatch, folder: Path, count: Callable[[Path], int]) -> list[Outcome]:
    monkeypatch.setattr(kills, "improve", partial(run_of, count))
    folder.mkdir()
    straight = left_alone(None, folder)  # type: ignore[arg-type]
    unmet = {kind_of(place) for place in straight.passed}
    return list(kills.family(Dooms(straight, random.Random(1), Counter(), unmet), 6, folder, "fake"))


def test_kills_count_runs_that_end_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = killed(monkeypatch, tmp_path / "right", stored)
    assert len(right) == 6 and kinds(right) == set()
    assert kinds(killed(monkeypatch, tmp_path / "forgets", lambda home: max(0, stored(home) - 1))) == {"lost"}
    broken = killed(monkeypatch, tmp_path / "raises", lambda home: 1 // int(stored(home) == 0))
    assert kinds(broken) == {"traceback"}


def dooms(*passed: str) -> Dooms:
    straight = Straight(None, {}, passed, 1.0)  # type: ignore[arg-type]
    return Dooms(straight, random.Random(3), Counter(), {kind_of(place) for place in passed})


def test_every_kind_of_write_is_met_in_the_order_of_the_run() -> None:
    passed = tuple(f"before write {name}" for name in "a b c a d e a b f".split())
    drawn = dooms(*passed)
    planned = [doom.kind for doom in drawn.draw(6)]
    assert sorted(planned) == list("abcdef") and planned.index("c") < planned.index("d") < planned.index("f")
    drawn.unmet.clear()
    assert [doom.kind for doom in drawn.draw(2)] == ["", ""], "the others come from the clock"


def test_a_resumed_run_dies_at_the_place_that_is_still_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(kills, "watch", lambda home, on_place: seen.append((on_place.place, on_place.left)))
    drawn = dooms("before write a", "before write b", "before write c", "before write c", "before write c")
    monkeypatch.setattr(Dooms, "_moment", lambda self, kind: {"a": 0, "b": 1, "c": 3}[kind])
    for doom in drawn.draw(5):
        doom.begin(Path("home"))
    assert seen == [("before write a", 1), ("before write b", 1), ("before write c", 2)]


def test_a_kind_of_write_that_no_kill_meets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "improve", lambda recipe, home: (home / "done").write_text(""))
    drawn = dooms("before write gone.json")
    (found,) = list(kills.family(drawn, 1, tmp_path, "fake"))
    assert found.faults == (Fault("lost", "no kill met gone.json"),)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("after replace ..header.json.sha*.*.tmp", "header.json"),
        ("half of write scratch/*/.text.rows.json.*.tmp", "scratch/*/text.rows.json"),
        ("before fsync scratch/*/text-mask_BL.safetensors", "scratch/*/text-mask_BL.safetensors"),
        ("before write blobs/tmp/.*.*.tmp", "blobs"),
        ("after fsync derived", "derived"),
        ("after mkdir scratch/*", "folders"),
        ("before sql INSERT INTO records", "rows of records"),
        ("after sql COMMIT", "a commit"),
        ("after sql ", "tables of the database"),
    ],
)
def test_the_kind_of_a_write(place: str, kind: str) -> None:
    assert kind_of(place) == kind


def test_two_runs_differ_in_a_record_a_file_or_a_damaged_blob(tmp_path: Path) -> None:
    run_of(stored, None, tmp_path)
    before = contents(tmp_path)
    blob = tmp_path / "blobs" / "ab" / f"{'ab' * 32}.mp4"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x")
    assert "1 extra (blobs/" in difference(before, contents(tmp_path)) and "damaged" in "".join(contents(tmp_path))
    (tmp_path / "scorecard.json").write_text("{ }")
    assert "changed (scorecard.json)" in difference(before, contents(tmp_path))
    with sqlite3.connect(tmp_path / "records.sqlite") as database:
        database.execute("UPDATE records SET body = '{\"n\": 7, \"seconds\": 1}' WHERE key = '7'")
        database.commit()
        assert "clips" not in difference(before, contents(tmp_path)), "times may differ"
        database.execute("UPDATE records SET body = '{\"n\": 8}' WHERE key = '7'")
        database.commit()
        assert "clips" in difference(before, contents(tmp_path))


# ---------------------------------------------------------------------------------------------- replies


class Answering:
    """A judge that gives the same answer to everything."""

    def __init__(self, answer: object) -> None:
        self.given = answer

    def answer(self, requests: Sequence[object]) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return [self.given for _ in requests]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ((GivenAnswer(valid_p_yes(200, GOOD.body, 0.5)),), set()),
        ((GivenAnswer(0.123),), {"made up"}),
        (Failed("Http500", "oops"), {"lost"}),
        ((GivenAnswer(None, f"it said {judging.SECRET}"),), {"lost", "leak"}),
        (ValueError("a bug"), {"traceback"}),
    ],
)
def test_scores_are_held_against_the_rule(answer: object, found: set[str]) -> None:
    judge: Any = Answering(answer)
    assert kinds(list(judging._call(judge, 0.5, [(0, GOOD)], "case"))) == found


def test_garbage_without_a_score_is_survived() -> None:
    judge: Any = Answering((GivenAnswer(None, "no answer"),))
    garbage = Reply("garbage", b"[1, 2]")
    assert kinds(list(judging._call(judge, 0.5, [(0, garbage)], "case"))) == set()


def body(text: str = "yes", top: str | None = None) -> bytes:
    chances = (
        ""
        if top is None
        else f', "logprobs": {{"content": [{{"token": "yes", "logprob": -0.1, "top_logprobs": {top}}}]}}'
    )
    return f'{{"choices": [{{"message": {{"content": {text!r}}}{chances}}}]}}'.replace("'", '"').encode()


@pytest.mark.parametrize(
    ("sent", "p_yes"),
    [
        (body(), 1.0),
        (body(" No."), 0.0),
        (body("yes, but"), None),
        (body(top="[]"), 1.0),
        (body(top="3.7"), None),
        (body(top="false"), None),
        (body()[:-2] + b', "logprobs": {"content": [{}]}}]}', None),
        (body(top='[{"token": " Yes", "logprob": -0.2}, {"token": "no", "logprob": -4}]'), 0.97811),
        (body(top='[{"token": "yes", "logprob": 0.2}]'), None),
        (body(top='[{"token": "yes", "logprob": true}]'), None),
        (body(top='[{"token": "yes", "logprob": "-0.2"}]'), None),
        (body(top='[{"token": "yes", "logprob": NaN}]'), None),
        (body(top='[{"token": "yes", "logprob": -Infinity}]'), None),
        (body(top='[{"token": "yes", "logprob": -0.01}, {"token": "Yes", "logprob": -0.01}]'), None),
        (body(top='[{"token": "The", "logprob": -0.01}, {"token": "yes", "logprob": -5}]'), None),
        (body(top='[{"token": "yes"}]'), None),
        (body()[:-1], None),
        (b"[1]", None),
    ],
)
def test_the_rule(sent: bytes, p_yes: float | None) -> None:
    found = valid_p_yes(200, sent, 0.5)
    assert found is None if p_yes is None else found == pytest.approx(p_yes, abs=1e-4)
    assert valid_p_yes(500, sent, 0.5) is None


# ---------------------------------------------------------------------------------------------- recipes and folders


@pytest.mark.parametrize(
    ("status", "said", "found"),
    [
        (0, "hours: 3", []),
        (2 << 8, "error: no such setting\n  next:     correct it", []),
        (2 << 8, "error: no such setting", ["lost"]),
        (1 << 8, "Traceback (most recent call last):\nKeyError: 1", ["traceback"]),
        (1 << 8, "quietly", ["traceback"]),
        (2 << 8, f"error: x\n  got:      '{SECRET}'\n  next:     correct it", ["leak"]),
        (2 << 8, "error: \x1b[31mred\n  next:     correct it", ["leak"]),
    ],
)
def test_how_a_recipe_is_received(status: int, said: str, found: list[str]) -> None:
    assert [fault.kind for fault in verdict(Life(status, said))] == found


def made(tmp_path: Path) -> folders._Folder:
    clip = folders._good_clip(tmp_path / "clip.mp4", 0)
    home = tmp_path / "clips"
    home.mkdir()
    folder = folders._Folder(home, clip, random.Random(0))
    for name in ("a.mp4", "b.mp4"):
        folder.put(name, clip if name == "a.mp4" else folders._good_clip(tmp_path / "b.mp4", 1))
        folder.row(name, f"a circle called {name}")
        folder.good.append(name)
    folder.put("alone.mp4", clip)
    folders._plain(folder)
    return folder


def judged(folder: folders._Folder, tmp_path: Path) -> set[str]:
    life = live(partial(folders._read, folder.home, tmp_path / "table"), tmp_path / "log")
    assert life.bug is None, life.said
    return {fault.kind for fault in folders._verdict(folder, life.exit_code == 0, life.said, tmp_path / "table")}


def test_a_folder_whose_files_are_all_in_the_table(tmp_path: Path) -> None:
    assert judged(made(tmp_path), tmp_path) == set()


@pytest.mark.parametrize("missing", ["alone.mp4", "a.mp4"])
def test_a_file_that_is_not_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def forgetful(*arguments: Any) -> ClipFolder:
        found = read_clip_folder(*arguments)
        return ClipFolder(found.clips, tuple(row for row in found.rows if row.name != missing))

    monkeypatch.setattr(folders, "read_clip_folder", forgetful)
    assert judged(made(tmp_path), tmp_path) == {"lost"}


def test_a_row_without_a_file_that_counts_as_used(tmp_path: Path) -> None:
    folder = made(tmp_path)
    outcomes = {"a.mp4": "used", "b.mp4": "used", "alone.mp4": "dropped", "ghost.mp4": "cut"}
    (tmp_path / "table").write_text(json.dumps([[name, how, "reason", "detail"] for name, how in outcomes.items()]))
    assert {fault.kind for fault in folders._verdict(folder, True, "", tmp_path / "table")} == {"made up"}


# ---------------------------------------------------------------------------------------------- damage


def mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, do: Callable[[Path, list[str]], int], spoiled: str = "{damaged}"
) -> set[str]:
    """The kinds of faults where `do` stands for the command line, on a run with a damaged scorecard."""
    monkeypatch.setattr(kills, "improve", partial(run_of, stored))
    (tmp_path / "bench").mkdir()
    straight = left_alone(None, tmp_path / "bench")  # type: ignore[arg-type]
    home = tmp_path / "bench" / "straight"
    (home / "scorecard.json").write_text(spoiled)
    bench = damage._Bench(straight, home, home, tmp_path / "recipe.yaml", tmp_path / "log")
    monkeypatch.setattr(damage, "main", partial(do, home))
    return {fault.kind for fault in damage._mended(bench, home, look_first=True, is_used=spoiled == "{}")}


def heals(home: Path, command: list[str]) -> int:
    if "--heal" in command:
        (home / "scorecard.json").write_text("{}")
    return int(command[0] == "check" and "--heal" not in command)


def names_a_command(home: Path, command: list[str]) -> int:
    if command[0] == "run" and not (home / "told").exists():
        (home / "told").touch()
        print(f"error: it is damaged\n  next:     rushes check {home} --heal --really && rushes run x --home {home}")
        return 2
    if "--really" in command:
        (home / "scorecard.json").write_text("{}" if command[-1] == "--really" else "{damaged}")
    return int(command[0] == "check")


def test_damage_that_is_healed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mended(tmp_path, monkeypatch, heals) == set()


def test_damage_with_a_command_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mended(tmp_path, monkeypatch, names_a_command) == set()


def test_damage_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mended(tmp_path, monkeypatch, lambda home, command: 0) == {"made up"}


def test_damage_that_a_result_does_not_show_must_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mended(tmp_path, monkeypatch, lambda home, command: 0, spoiled="{}") == {"made up"}


def test_damage_of_each_kind_is_looked_for_and_met_by_a_resume() -> None:
    turns = [damage._turn(number) for number in range(2 * len(damage.TARGETS))]
    assert {(target.name, first) for target, first in turns} == {
        (target.name, first) for target in damage.TARGETS for first in (True, False)
    }


def test_damage_that_check_finds_but_nothing_mends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mended(tmp_path, monkeypatch, lambda home, command: int(command[0] == "check")) == {"made up"}


def test_damage_with_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mended(tmp_path, monkeypatch, lambda home, command: 1 // 0) == {"traceback"}


def test_damage_changes_the_file() -> None:
    data = np.random.default_rng(0).bytes(400) + b'"p_yes":0.5'
    for how, change in damage._HOW.items():
        assert change(data, random.Random(0)) != data, how


# ---------------------------------------------------------------------------------------------- databases

CLIPS = [("clips", f"{number:064x}", f'{{"text": "{"clip " * 30}", "n": {number}}}') for number in range(60)]
ANSWERS = [("answers", f"{number + 99:064x}", f'{{"p_yes":0.{number}}}') for number in range(60)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of several pages, with a log and its index beside it."""
    home = tmp_path_factory.mktemp("kept")
    database = Database(home / "writing.sqlite")
    database.insert("records", [*CLIPS, *ANSWERS], "NOTHING")
    database.insert("costs", [("clips", '{"seconds":1}')], "NOTHING")
    database.set_meta("base", "ab")
    for ending in ("", "-wal", "-shm"):  # as a kill leaves it
        shutil.copyfile(home / f"writing.sqlite{ending}", home / f"logged.sqlite{ending}")
    database.close()
    return home


def put(kept: Path, home: Path, harm: databases.Harm) -> Path:
    """A copy of it to be harmed."""
    source = kept / ("logged.sqlite" if harm.in_training else "writing.sqlite")
    for ending in ("", "-wal", "-shm") if harm.in_training else ("",):
        shutil.copyfile(f"{source}{ending}", home / f"records.sqlite{ending}")
    return home / "records.sqlite"


@pytest.mark.parametrize("harm", databases.HARMS, ids=lambda harm: harm.name)
def test_each_harm_changes_the_database(tmp_path: Path, kept: Path, harm: databases.Harm) -> None:
    path = put(kept, tmp_path, harm)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    harm.do(path, random.Random(1))
    assert before != {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}


def test_there_are_enough_databases_to_damage() -> None:
    from benchmarks.chaos import PARTS

    assert PARTS["databases"][1] >= 24 and len({harm.name for harm in databases.HARMS}) == len(databases.HARMS)
