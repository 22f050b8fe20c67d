"""A run with fewer prompts than any verdict takes: from the plan to the report it is said to be no measurement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rushes.cli.main import main
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import small

GAIN = re.compile(r"[+\u2212-]\d+\.\d points|got better|No clear change|no clear change")


def test_plan_run_and_report_say_that_nothing_was_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = small(TINY["wan-2.1"], TINY["wan-2.1"].save(tmp_path / "model"))
    file, home = tmp_path / "recipe.json", tmp_path / "run"
    num_prompts = recipe.measure.num_prompts + recipe.measure.num_extra_focus_prompts
    assert num_prompts < 6
    file.write_text(recipe.model_dump_json(by_alias=True))
    assert main(["plan", str(file), "--no-calibrate"]) == 0
    planned = capsys.readouterr()
    assert "NOT A MEASUREMENT" in planned.out and "held-out prompts are no measurement" in planned.err
    assert main(["run", str(file), "--home", str(home)]) == 0
    ran = capsys.readouterr()
    assert "held-out prompts are no measurement" in ran.err, "before anything is spent"
    lines = ran.out.splitlines()
    last = " ".join(" ".join(lines[next(i for i, line in enumerate(lines) if "Nothing was decided" in line) :]).split())
    assert last.startswith("Nothing was decided about") and "prompts are no measurement" in last
    assert not GAIN.search(last)
    page = (home / "report.html").read_text(encoding="utf-8")
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert heading and "prompts are no measurement" in heading[1] and not GAIN.search(heading[1])
    assert '<span class="word">too few prompts</span>' in page
