"""`rushes recipes`, `rushes status` without a run, and what a shell completes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rushes.cli import main
from rushes.cli.listing import about, recipe_names
from rushes.recipe.load import packaged_recipes
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe


def test_every_packaged_recipe_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found] == sorted(packaged_recipes())
    assert all(each["about"].endswith((".", ":")) for each in found)
    assert main(["recipes"]) == 0
    assert "sandbox" in capsys.readouterr().out


def test_what_a_recipe_is_is_the_first_sentence_of_its_comment() -> None:
    assert about("# A small\n# one. It does\n#\n# more.\nname: x") == "A small one."
    assert about("name: x\n# A comment. Later.") == ""


def test_without_a_run_status_lists_the_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 2
    assert "make one: rushes run sandbox" in capsys.readouterr().err
    for age, name in enumerate(("new", "old")):
        with Run.open(Path("runs") / name, sandbox_recipe()):
            pass
        os.utime(Path("runs") / name / "events.jsonl", (1000 - age, 1000 - age))
    (Path("runs") / "no run").mkdir()
    (Path("runs") / "new" / "done").write_text("")
    broken = Path("runs") / "broken"
    broken.mkdir()
    (broken / "header.json").write_text("{")
    assert main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["home"] for each in found] == ["runs/broken", "runs/new", "runs/old"]
    assert "problem" in found[0]
    assert [each["state"] for each in found[1:]] == ["finished", "stopped"]
    assert main(["status"]) == 0
    shown = capsys.readouterr().out
    assert "cannot be read" in shown
    assert shown.index("runs/new") < shown.index("runs/old")
    assert main(["status", "runs"]) == 0
    assert capsys.readouterr().out == shown, "a folder of runs is named"
    assert main(["status", "runs/no run"]) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_a_shell_completes_the_names_of_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert "sandbox" in recipe_names()
    assert main(["run", "--help"]) == 0
    assert main(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out
