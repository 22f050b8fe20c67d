"""The terminal table: readable at 80 columns, plain, and never read as markup."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_data, make_scorecard

from rushes.records import Scorecard
from rushes.report.html import render_report
from rushes.report.table import print_scorecard


def printed(scorecard: Scorecard, width: int) -> str:
    file = io.StringIO()
    print_scorecard(scorecard, Console(file=file, width=width))
    return file.getvalue()


def test_eighty_columns_hold_a_row_in_a_line() -> None:
    text = printed(make_scorecard(), 80)
    assert max(map(len, text.splitlines())) <= 80
    (line,) = (line for line in text.splitlines() if "Dynamic Spatial Relationship" in line)
    assert line.split() == "Dynamic Spatial Relationship * 34.4 46.9 +12.5 +1.5 to +23.5 better".split()
    (worse,) = (line for line in text.splitlines() if line.strip().startswith("Mechanics"))
    assert "WORSE" in worse
    assert "mean of the focus (*)" in text and "+5.6 to +19.4" in text
    assert "not measured: Human Anatomy: the measurer has no questions about it" in text
    assert "note: Mechanics got worse" in text
    assert "The model got better" in text
    assert "\x1b" not in text


def test_the_judge_is_shown_where_there_is_room() -> None:
    assert "judge" not in printed(make_scorecard(), 80)
    wide = printed(make_scorecard(), 120)
    (line,) = (line for line in wide.splitlines() if "Composition" in line)
    assert line.rstrip().endswith("76.8, 81.9")
    (unasked,) = (line for line in wide.splitlines() if line.strip().startswith("Diversity"))
    assert unasked.rstrip().endswith("-")


def test_too_few_prompts_stand_where_a_verdict_would() -> None:
    card = make_scorecard()
    rows = [row.model_copy(update={"num_prompts": 2, "verdict": "no clear change"}) for row in card.rows]
    few = card.model_copy(update={"rows": tuple(rows), "focus_num_prompts": 4})
    lines = printed(few, 80).splitlines()
    assert sum(line.rstrip().endswith(" too few") for line in lines) == len(rows) + 1, "each row, and the focus"
    assert max(map(len, lines)) <= 80
    assert "4 prompts are no measurement" in " ".join(printed(few, 80).split())
    page = render_report(dataclasses.replace(make_data(), scorecard=few))
    assert page.count('<span class="word">too few prompts</span>') == len(rows) + 1


def test_names_are_not_read_as_markup() -> None:
    card = make_scorecard()
    rows = tuple(row.model_copy(update={"dimension": "[red]x[/red]"}) for row in card.rows[:1])
    text = printed(card.model_copy(update={"rows": rows, "notes": ("[bold]note",)}), 80)
    assert "[red]x[/red]" in text and "[bold]note" in text


def test_nothing_measured_prints_no_table() -> None:
    card = make_scorecard().model_copy(
        update={"rows": (), "focus_gain": None, "focus_gain_low": None, "focus_gain_high": None, "notes": ()}
    )
    text = printed(card, 80)
    assert "dimension " not in text.splitlines()[0]
    assert "could not be measured" in text
