"""`rushes judge` and `rushes judge audit`: what is a recipe, what a sub-command, what comes out."""

from __future__ import annotations

import csv
import json
import sys
import types
from pathlib import Path

import pytest

from rushes.audit.run import AUDIT_FILE, PICTURE_FILE, read_audit
from rushes.cli import main
from rushes.records import Scorecard
from tests.unit.audit.test_sources import make_run


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def fake_pipeline(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    calls: list[dict[str, object]] = []

    def improve(recipe: object, home: Path, **options: object) -> Scorecard | None:
        calls.append({"home": home, **options})
        return None

    module = types.ModuleType("rushes.pipeline")
    module.improve = improve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rushes.pipeline", module)
    return calls


@pytest.mark.parametrize(
    "arguments",
    [["judge", "tiny", "--home", "a"], ["judge", "--home", "a", "tiny"], ["judge", "recipe", "tiny", "--home", "a"]],
)
def test_a_recipe_is_run_up_to_the_judge(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    calls = fake_pipeline(monkeypatch)
    assert main(arguments) == 0
    assert [(str(call["home"]), call["until"]) for call in calls] == [("a", "judge")]


AUDIT = ["judge", "audit", "RUN", "--recipe", "sandbox", "--control", "black_video", "--control", "double_rate"]
JUDGE = ["--set", "judge.judge.kind=plugin", "--set", "judge.judge.use=tests.support.fakes:HashJudgeSpec"]


def test_an_audit_of_a_run_is_stored_in_it_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run")
    arguments = [str(tmp_path / "run") if each == "RUN" else each for each in (*AUDIT, *JUDGE)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Mechanics" in shown and "audit.svg" in shown
    stored = read_audit(tmp_path / "run" / "audit")
    assert stored is not None and stored.judge == "tests.hash-judge"
    assert (tmp_path / "run" / "audit" / PICTURE_FILE).is_file()
    assert main([*arguments, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["num_from_before"] == again["num_requests"] == stored.num_requests


def test_a_sheet_is_written_filled_in_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run")
    base = [str(tmp_path / "run") if each == "RUN" else each for each in (*AUDIT, *JUDGE)]
    assert main([*base, "--sheet", "sheet"]) == 0 and not (tmp_path / "run" / "audit").exists()
    text = Path("sheet/labels.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    Path("labels.csv").write_text(
        "\n".join(",".join([*row[:2], "yes", row[3]] if i else row) for i, row in enumerate(rows)), encoding="utf-8"
    )
    assert main([*base, "--labels", "labels.csv", "--second", "tests.support.fakes:HashJudgeSpec"]) == 0
    shown = capsys.readouterr().out
    assert "beside labels.csv on 12 questions" in shown
    assert "beside tests.hash-judge on 12 questions: same answer 100%" in shown


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--control", "frozen_fram"], "did you mean 'frozen_frame'"),
        (["--second", "perceptoin"], "try: --second perception"),
        (["--labels", "none.csv"], "cannot read the labels"),
        (["--dimension", "Mechanix"], "has usable questions"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
    make_run(tmp_path / "run")
    assert main(["judge", "audit", str(tmp_path / "run"), *more, *JUDGE]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run" / "audit" / AUDIT_FILE).exists()


def test_a_source_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "audit", "nowhere"]) == 2
    assert "rushes judge audit sandbox" in capsys.readouterr().err
