"""Sections that installed packages add to the report: shown, escaped, and never the end of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_data

from rushes.report import section
from rushes.report.html import render_report
from rushes.report.section import Section, Sources, sections_of
from rushes.store.run import Run

EVIL = "<script>alert(1)</script>"
OFFICIAL = Section(f"Official {EVIL}", f"As scored {EVIL}.", ("Name", EVIL), ((EVIL, "52 %"),), (f"140 of 150 {EVIL}",))


class Point:
    """An entry point of the group."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def load(self) -> Any:
        return self._make


def failing(sources: Sources) -> Section | None:
    raise ZeroDivisionError("no rows")


def test_sections_stand_in_the_page_and_in_its_menu_and_are_never_markup() -> None:
    page = render_report(make_data(sections=(OFFICIAL,)))
    assert page.count('href="#section-1"') == 1 and page.count('id="section-1"') == 1
    assert EVIL not in page and "52 %" in page
    # Title twice, lead, column twice (its head, and its name in a cell on phones), first cell and note.
    assert page.count("&lt;script&gt;alert(1)") == 7
    assert 'id="section-' not in render_report(make_data())


def test_one_that_fails_is_shown_with_its_error_and_one_with_nothing_to_show_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = {"a": Point(lambda sources: OFFICIAL), "b": Point(failing), "c": Point(lambda sources: None)}
    monkeypatch.setattr(section, "extensions", lambda group: offered if group == "rushes.sections" else {})
    with Run.open(tmp_path / "run", {"test": 1}) as run:
        found = sections_of(Sources(run, (), (), {}, {}))
    assert found[0] == OFFICIAL and len(found) == 2
    assert (found[1].title, found[1].rows) == ("b", ()) and "ZeroDivisionError: no rows" in found[1].lead
