"""An index of a run's clips, beside the server and not in the run: which clip has which score, weight and measurement.

Records are read once each, in the order in which they were written, so that a run that goes on is followed at the cost
of what is new. The index is a SQLite file in the server's temporary folder, so that memory stays flat for any number of
clips.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rushes.errors import RecipeError, StoreError
from rushes.judge.grade import aggregate
from rushes.records import Rejection, Sample, Score, Scored
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.store.sums import row_sum
from rushes.view.files import Fingerprint, fingerprint

_SCHEMA: Final = """
CREATE TABLE prompts (key TEXT PRIMARY KEY, text TEXT, dimension TEXT, origin TEXT, num_questions INTEGER);
CREATE TABLE clips (
    key TEXT PRIMARY KEY, prompt_key TEXT, dimension TEXT, text TEXT, used_for TEXT, take INTEGER, model TEXT,
    has_frames INTEGER, duration_s REAL, score REAL, measured REAL, weight REAL
);
CREATE INDEX clips_by_prompt ON clips (prompt_key, model, take);
CREATE TABLE answers (key TEXT PRIMARY KEY, source TEXT, clip_key TEXT, question TEXT, p_expected REAL);
CREATE INDEX answers_by_clip ON answers (clip_key);
CREATE TABLE votes (key TEXT PRIMARY KEY, source TEXT, clip_key TEXT, other_key TEXT);
CREATE INDEX votes_by_clip ON votes (clip_key);
CREATE TABLE samples (round INTEGER, clip_key TEXT, body TEXT, PRIMARY KEY (clip_key, round));
CREATE TABLE refused (prompt_key TEXT, text TEXT, dimension TEXT, reason TEXT, detail TEXT);
CREATE INDEX refused_by_prompt ON refused (prompt_key);
CREATE TABLE measurements (key TEXT, source TEXT, clip_key TEXT, PRIMARY KEY (clip_key, key));
"""
_TABLES: Final = ("prompts", "clips", "answers", "ratings", "votes", "measurements")
_NAMES: Final = (*_TABLES, *(f"watch_{name}" for name in _TABLES[1:]))
_DERIVED: Final = re.compile(r"(samples|scores)-\d+\.json|rejections\.json")
_BATCH: Final = 2000
"""Records read at once: a read that goes on for long would keep the run's write-ahead log from being cut."""


@dataclass(frozen=True)
class Progress:
    """How much of a run is in the index."""

    num_read: int
    """Position of the last record read."""
    num_there: int
    """Position of the last record that the run has."""
    num_damaged: int
    """Records that do not match their sums, and are left out."""

    @property
    def is_whole(self) -> bool:
        """Whether all is read."""
        return self.num_read >= self.num_there


class Index:
    """The index of one run. Safe to use from several threads, one at a time."""

    def __init__(self, home: Path, file: Path) -> None:
        """Args: home: the run folder. file: where the index is kept; made new."""
        self.home = home
        self._file = file
        self._lock = threading.RLock()
        self._seen: Fingerprint = ()
        self._derived: Mapping[str, int] = {}
        self._empty()

    def _empty(self) -> None:
        self._file.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self._file, check_same_thread=False, isolation_level=None)
        for statement in ("PRAGMA journal_mode = MEMORY", "PRAGMA synchronous = OFF", *_SCHEMA.split(";\n")):
            self._connection.execute(statement)
        self._last, self._num_records, self._there, self._num_damaged = 0, 0, 0, 0
        self._derived = {}

    def close(self) -> None:
        """Close and delete the file."""
        with self._lock:
            self._connection.close()
            self._file.unlink(missing_ok=True)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def catch_up(self, within_s: float = 0.5) -> Progress:
        """Read what is new, for that many seconds; the rest at the next call.

        Raises:
            StoreError: the run cannot be read.
        """
        with self._lock:
            now = fingerprint([self.home])
            if now != self._seen or self._last < self._there:
                with Run.view(self.home) as run:
                    self._read(run, time.monotonic() + within_s)
                self._seen = now
            return Progress(self._last, self._there, self._num_damaged)

    def _read(self, run: Run, until: float) -> None:
        num, self._there = run.database.rows("SELECT count(*), coalesce(max(position), 0) FROM records")[0]
        if num < self._num_records or self._there < self._last:  # records were dropped, since they were damaged
            self._connection.close()
            self._empty()
            self._there = run.database.rows("SELECT coalesce(max(position), 0) FROM records")[0][0]
        how = _aggregate_of(self.home)
        marks = ",".join("?" * len(_NAMES))
        statement = (
            "SELECT position, name, key, CAST(body AS BLOB), sum FROM records "
            f"WHERE position > ? AND name IN ({marks}) ORDER BY position LIMIT {_BATCH}"
        )
        while True:
            rows = run.database.rows(statement, (self._last, *_NAMES))
            self._add(rows, how)
            self._num_records += len(rows)
            self._last = int(rows[-1][0]) if len(rows) == _BATCH else max(self._last, self._there)
            if len(rows) < _BATCH:
                break
            if time.monotonic() > until:
                return
        self._read_derived(run)

    # ---------------------------------------------------------------- records

    def _add(self, rows: Iterable[tuple[Any, ...]], how: str) -> None:
        found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in (*_TABLES, "values")}
        for _, name, key, body, stored in rows:
            if stored != row_sum(name, key, body):
                self._num_damaged += 1
                continue
            _row(name, key, json.loads(body), found)
        connection = self._connection
        connection.execute("BEGIN")
        connection.executemany("INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?, ?)", found["prompts"])
        connection.executemany(
            "INSERT OR REPLACE INTO clips"
            " (key, prompt_key, dimension, text, used_for, take, model, has_frames, duration_s)"
            " SELECT ?1, ?2, ?3, p.text, CASE ?4 WHEN '' THEN coalesce(p.origin, 'unknown') ELSE ?4 END, ?5, ?6, ?7, ?8"
            " FROM (SELECT 1) LEFT JOIN prompts AS p ON p.key = ?2",
            found["clips"],
        )
        connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", found["answers"])
        connection.executemany("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", found["votes"])
        connection.executemany("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?)", found["measurements"])
        connection.executemany("UPDATE clips SET measured = ? WHERE key = ?", found["values"])
        judged = {row[2] for row in found["answers"] if row[3] is not None}
        connection.executemany("UPDATE clips SET score = ? WHERE key = ?", self._scores(judged, how))
        connection.execute("COMMIT")

    def _scores(self, clips: Iterable[str], how: str) -> list[tuple[float, str]]:
        """The judge's score of clips of which every question has an answer, as `rushes.judge.grade` computes it."""
        found = []
        for clip in clips:
            rows = self._connection.execute(
                "SELECT p_expected, (SELECT num_questions FROM prompts WHERE key = (SELECT prompt_key FROM clips WHERE"
                " key = ?1)) FROM answers WHERE clip_key = ?1 AND question IS NOT NULL",
                (clip,),
            ).fetchall()
            values = [value for value, _ in rows if value is not None]
            if values and len(values) == len(rows) == rows[0][1]:
                found.append((aggregate(values, how), clip))
        return found

    # ---------------------------------------------------------------- derived records

    def _read_derived(self, run: Run) -> None:
        """Scores and weights of each round, and refused texts, where their files are new; one record after the other,
        so that memory stays flat."""
        folder = run.home / "derived"
        times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json") if _DERIVED.match(path.name)}
        if times == self._derived:
            return
        self._derived = times
        for number in range(sum(name.startswith("samples-") for name in times)):
            scores, samples = run.each_derived(f"scores-{number}", Score), run.each_derived(f"samples-{number}", Sample)
            values = ((each.outcome.value, each.clip_key) for each in scores if isinstance(each.outcome, Scored))
            self._change("UPDATE clips SET score = ? WHERE key = ?", values)
            kept = ((number, each.clip_key, each.model_dump_json()) for each in samples)
            self._change("INSERT OR REPLACE INTO samples VALUES (?, ?, ?)", kept)
        self._change(
            "UPDATE clips SET weight = (SELECT json_extract(body, '$.weight') FROM samples WHERE clip_key = clips.key"
            " ORDER BY round DESC LIMIT 1) WHERE key IN (SELECT clip_key FROM samples) AND 1 = ?",
            [(1,)],
        )
        self._change("DELETE FROM refused WHERE 1 = ?", [(1,)])
        refused = run.each_derived("rejections", Rejection)
        self._change(
            "INSERT INTO refused VALUES (?, ?, ?, ?, ?)",
            ((each.prompt_key, each.text, each.dimension, each.reason, each.detail) for each in refused),
        )

    def _change(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement for each row, all or none; where a file is being written just now, or damaged, none."""
        self._connection.execute("BEGIN")
        try:
            self._connection.executemany(statement, rows)
        except StoreError:  # the run's page says so
            self._connection.execute("ROLLBACK")
        else:
            self._connection.execute("COMMIT")


def _row(name: str, key: str, body: dict[str, Any], found: dict[str, list[tuple[Any, ...]]]) -> None:
    """Sort what the index keeps of one record under its table."""
    table = name.removeprefix("watch_")
    if table == "prompts":
        num = len(body.get("questions", ()))
        found[table].append((key, body["text"], body["dimension"], body["origin"], num))
    elif table == "clips":
        used_for = "watch" if name != table else "real" if body["origin"] == "real" else ""
        place = (key, body["prompt_key"], body["dimension"], used_for, body["seed_index"], body["model"])
        found[table].append((*place, body["video"] is not None, body["num_frames"] / body["fps"]))
    elif table == "answers":
        p, question = body["p_yes"], body["question"]
        p_expected = p if p is None or question["expected"] == "yes" else 1.0 - p
        found[table].append((key, name, body["clip_key"], question["text"], p_expected))
    elif table == "ratings":
        found["answers"].append((key, name, body["clip_key"], None, None))
    elif table == "votes":
        found[table].append((key, name, body["clip_key"], body["other_key"]))
    elif table == "measurements":
        found[table] += [(key, name, clip) for clip in body["subject"]]
        if len(body["subject"]) == 1:
            found["values"].append((body["outcome"].get("value"), body["subject"][0]))


def _aggregate_of(home: Path) -> str:
    """How the run's recipe makes a score of answers; the default where this version cannot read it."""
    try:
        return str(recipe_of(home).judge.aggregate)
    except (RecipeError, StoreError):
        return "product"
