"""Faults of judges of other kinds, of own videos and of folders to score: each advice is followed as it is printed.

`tests/unit/advice.yaml` says which texts these are.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.audit.people import _together
from rushes.cli.main import main
from rushes.errors import InputError, RecipeError
from rushes.judge.labels import LabelFile
from rushes.recipe.load import load_recipe, parse_recipe
from rushes.store.run import Run
from tests.support.advice import how_covered
from tests.support.followed import commands_in, failing, printed_step, ways_in
from tests.support.preflight import found
from tests.unit.preflight.test_judges import CHOOSER, OWN, RATER, findings

SEES = "{use: 'tests.unit.preflight.test_judges:%s', options: {flow_in: Composition}}"
OWN_CLIPS = ["prompts.num_weakness=0", "prompts.num_caption=0", "prompts.real={folder: clips, num_clips: 4}"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    rows = "".join(f'{{"file_name": "{name}.mp4", "text": "a red circle"}}\n' for name in "abcd")
    (tmp_path / "clips" / "metadata.jsonl").write_text(rows)
    for name in "abcd":
        (tmp_path / "clips" / f"{name}.mp4").touch()


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("weights.kind", [RATER, "weights={kind: raw}"]),
        ("generate.num_takes", [CHOOSER, "generate.num_takes=1"]),
        ("generate.draft", [OWN, "generate.draft={num_takes: 2}"]),
        ("train.objective", [OWN, "train.objective={kind: online}"]),
        ("judge.scales", ["judge.scales={zzzzzz: 1.0}"]),
        ("judge.judge", [RATER, "judge.scales={zzzzzz: 1.0}"]),
        (
            "measure.measurer",
            [f"judge.judge={SEES % 'SeesSpec'}", f"measure.measurer={SEES % 'SeesMeasurerSpec'}"],
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_set_what_the_check_of_judges_prints(setting: str, wrong: list[str]) -> None:
    finding = findings(*wrong)[setting]
    step = printed_step(str(finding))
    assert "test_set_what_the_check_of_judges_prints" in how_covered(step), f"say so in the table: {step}"
    ways = ways_in(step)
    assert ways, finding
    for way in ways:
        assert setting not in findings(*wrong, *way), way


def test_train_on_all_videos_alike() -> None:
    wrong = [*OWN_CLIPS, "train.objective={kind: dpo}", "weights={kind: uniform}"]
    finding = found(*wrong)["train.objective"]
    (way,) = ways_in(printed_step(str(finding)))
    assert "train.objective" not in found(*wrong, *way)


def test_add_the_dimension_that_has_a_judge() -> None:
    wrong = "judge.by_dimension={Zzzzzz: {use: sandbox}}"
    finding = findings(wrong)["judge.by_dimension"]
    assert finding.next_step == "add your own with diagnose.extra"
    example = "{prompt: a red circle sleeps, questions: {'does the circle rest?': 'yes'}}"
    own = f"diagnose.extra=[{{name: Zzzzzz, description: Things that sleep., examples: [{example}]}}]"
    assert "judge.by_dimension" not in findings(wrong, own)


def test_remove_one_of_the_two_names() -> None:
    both = "from: tiny\njudge: {default: {use: sandbox}, judge: {use: sandbox}}\n"
    with pytest.raises(RecipeError) as caught:
        parse_recipe(both, source="r")
    assert printed_step(str(caught.value)) == "remove judge.judge"
    assert parse_recipe(both.replace(", judge: {use: sandbox}", ""), source="r")


def test_name_files_of_one_kind() -> None:
    scores, votes = (LabelFile(f"{kind}.csv", kind, {}, ()) for kind in ("scores", "preferences"))  # type: ignore[arg-type]
    with pytest.raises(InputError) as caught:
        _together([scores, votes], Path("runs/x"))
    assert printed_step(str(caught.value)).startswith("name files of one kind; ")
    assert _together([votes, votes], Path("runs/x")).kind == "preferences"


def test_see_what_a_run_without_takes_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Run.open(tmp_path / "run", load_recipe("tiny")):
        pass
    for of in ("takes", "models"):
        step = failing(["export", "study", str(tmp_path / "run"), "--of", of, "--out", str(tmp_path / of)], capsys)
        (command,) = commands_in(step)
        assert command[0] in ("status", "run"), step
        if command[0] == "status":
            assert main(command) == 0
            assert str(tmp_path / "run") in capsys.readouterr().out


def test_score_the_folder_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    step = failing(["vbench", "compare", str(tmp_path / "one"), str(tmp_path / "two")], capsys)
    (command,) = commands_in(step)
    assert command == ["vbench", "score", str(tmp_path / "one")]
