"""A known key is hidden by its value wherever something is written."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from urllib.parse import quote

import pytest

from rushes import known_keys
from rushes.errors import UserError
from rushes.plain import plain
from rushes.records import Failure
from rushes.store.events import EventLog

KEY = 'xy-Zq"0123/456789abcd'


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_keys, "_known", {})
    known_keys.remember("MY_KEY", KEY)


@pytest.mark.parametrize("written", [KEY, json.dumps(KEY), quote(KEY, safe="")])
def test_a_key_is_hidden_in_every_spelling(written: str) -> None:
    shown = known_keys.hidden(f"before {written} after")
    assert "[MY_KEY]" in shown and "0123" not in shown


def test_words_that_stand_for_no_key_are_left() -> None:
    known_keys.remember("DUMMY", "none")
    assert known_keys.hidden("none") == "none"


@pytest.mark.parametrize("masked", [f"{KEY[:8]}***", f"***{KEY[-8:]}", f"{KEY[:9]}*****abcd"])
def test_a_masked_key_in_a_servers_message_loses_its_ends(masked: str) -> None:
    shown = known_keys.hidden_parts(f"bad key {masked}.")
    assert KEY[:8] not in shown and "abcd" not in shown


def test_the_log_of_events_moves_no_terminal_and_reads_back(tmp_path: Path) -> None:
    said = "a\x1b[2J b\x9b2J c\u202ed \x7f \ud800 \u6f22"
    log = EventLog(tmp_path / "events.jsonl")
    log.write("item_failed", message=said)
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert plain(text) == text and "\u6f22" in text and text.endswith("\n")
    for noise in ("{}", "[]", "7", '{"event": 3}', "[" * 100_000, '{"at": "now", "event": "cut'):
        with log.path.open("a") as file:
            file.write(f"{noise}\n")
    (event,) = log.read()
    assert event["message"] == said


def test_errors_and_events_show_no_key(tmp_path: Path) -> None:
    error = UserError(f"no {KEY}", expected="another", got={"said": KEY}, next_step=f"drop {KEY}")
    assert "0123" not in str(error) and "[MY_KEY]" in str(error)
    EventLog(tmp_path / "events.jsonl").write("item_failed", message=f"said {KEY}")
    text = (tmp_path / "events.jsonl").read_text()
    assert "0123" not in text and json.loads(text)["message"] == "said [MY_KEY]"


def test_records_and_failures_hold_no_key(tmp_path: Path) -> None:
    from rushes.records import Prompt
    from rushes.store.database import Database
    from rushes.store.table import Table

    prompt = Prompt.model_validate(_prompt())
    failure = Failure(work_key="a" * 64, stage="prompts", attempt=1, error_type="E", message=KEY, trace=f"at {KEY}")
    database = Database(tmp_path / "records.sqlite")
    table = Table(database, "prompts", Prompt)
    table.land([prompt], [failure])
    assert "[MY_KEY]" in table.get(prompt.key).text and table.failures()[0].message == "[MY_KEY]"
    database.close()
    assert all(b"0123/456789abcd" not in each.read_bytes() for each in tmp_path.iterdir())


def _prompt() -> dict[str, object]:
    return {
        "key": "b" * 64, "text": f"a sign that reads {KEY}", "base_text": "a sign", "dimension": "Composition",
        "origin": "weakness", "index": 0,
    }  # fmt: skip


CRASH = """
import os, warnings
from rushes.cli.main import main
main(["--version"])
warnings.warn("careful with " + os.environ["PLUGIN_API_KEY"])
raise RuntimeError("lost " + os.environ["PLUGIN_API_KEY"])
"""


def test_warnings_and_tracebacks_show_no_key_that_a_plug_in_reads_by_itself() -> None:
    import os

    key = "q9w8e7r6t5y4u3i2o1p0"
    done = subprocess.run(
        [sys.executable, "-c", CRASH], capture_output=True, text=True, env={**os.environ, "PLUGIN_API_KEY": key}
    )
    assert done.returncode == 1 and key not in done.stderr and done.stderr.count("[PLUGIN_API_KEY]") == 2


def test_the_guard_leaves_other_warnings_as_they_are() -> None:
    assert "here" in warnings.formatwarning("here", UserWarning, "f.py", 1)


def test_the_names_of_variables_with_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "word")
    monkeypatch.setenv("SOME_KEYBOARD", "qwerty")
    monkeypatch.setattr(known_keys, "_known", {"abcdefgh12345": "ODD_NAME"})
    assert {"SOME_API_KEY", "ODD_NAME"} <= known_keys.names() and "SOME_KEYBOARD" not in known_keys.names()
