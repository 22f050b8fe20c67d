"""`~` is the home folder wherever a file or folder can be named, also where a shell leaves it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.cli import main
from rushes.recipe.load import load_recipe


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("words", [["status", "~/run"], ["check", "~/run"], ["report", "~/run"]])
def test_an_argument_in_quotes(words: list[str], at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert f"{at_home}/run is not a run folder" in capsys.readouterr().err


def test_an_option_with_an_equals_sign(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "~/mine.yaml", "--from=sandbox"]) == 0
    assert (at_home / "mine.yaml").is_file()
    assert main(["plan", "--from=~/nowhere", "tiny", "--no-check"]) == 2
    assert f"{at_home}/nowhere" in capsys.readouterr().err


def test_places_in_a_recipe(at_home: Path) -> None:
    settings = ("prompts.real={folder: ~/clips}", "base.model=~/wan", "runtime.cache_folder=~/cache", "name=~/x")
    recipe = load_recipe("tiny", settings)
    assert recipe.prompts.real.folder == f"{at_home}/clips"
    assert recipe.base.model == f"{at_home}/wan"
    assert recipe.runtime.cache_folder == f"{at_home}/cache"
    assert recipe.name == "~/x", "a name is no place"
