"""The recipes in the pages about judges are plans that `rushes plan` accepts, and the servers in them exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rushes.cli.plan import Ways, show_plan
from rushes.feedback import gives
from rushes.plugins import JUDGE, resolved
from rushes.preflight import found_in_recipe
from rushes.recipe.load import load_recipe

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("judges.md", "reward_servers.md")
BLOCKS = [
    (page, text)
    for page in PAGES
    for text in re.findall(
        r"^```yaml\n(from: .*?)^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M | re.S
    )
]


def saved(text: str, folder: Path) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def certain(path: str, *changes: str) -> str:
    """What keeps a recipe from working, wherever it runs."""
    return "\n".join(str(each) for each in found_in_recipe(load_recipe(path, changes)) if each.is_certain)


@pytest.mark.parametrize(("page", "text"), BLOCKS)
def test_recipes_are_planned(page: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(saved(text, tmp_path), (), Ways(gpus=("H100",)))
    assert "judge" in capsys.readouterr().out


def test_the_paper_s_choice_has_three_judges_and_raw_weights(tmp_path: Path) -> None:
    recipe = load_recipe(saved(BLOCKS[0][1], tmp_path))
    kinds = {name: gives(resolved(judge, JUDGE)) for name, judge in recipe.judge.named.items()}
    assert kinds == {
        "judge.judge": "answers",
        "judge.by_dimension.Camera_Motion": "scores",
        "judge.by_dimension.Instance_Preservation": "scores",
    }
    assert recipe.weights.kind == "raw" and certain(str(tmp_path / "recipe.yaml")) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            ["judge.by_dimension.Camera_Motion.options.tracker=lucas_kanade"],
            "in Camera_Motion it sees with lucas_kanade",
        ),
        (
            [
                "measure.measurer.options.judge={kind: vlm, model: {kind: transformers, model: other/vlm}}",
                "measure.measurer.options.detector=/data/owlv2-base-patch16-ensemble/",
            ],
            "in Instance_Preservation it sees with owlv2-base-patch16-ensemble",
        ),
    ],
)
def test_one_tracker_or_detector_as_both_is_refused(changes: list[str], says: str, tmp_path: Path) -> None:
    path = saved(BLOCKS[0][1], tmp_path)
    assert says in certain(path, *changes)
    assert certain(path, *changes, "measure.same_model_as_judge=true") == ""


def test_one_reward_model_as_both_is_refused(tmp_path: Path) -> None:
    page, text = BLOCKS[1]
    assert page == "reward_servers.md"
    measurer = (
        "measure.measurer={use: served, options: {server: videoalign, model: elsewhere/videoreward@2, "
        "scales: {VQ: {middle: 0, spread: 1}}}}"
    )
    assert "it sees with videoreward" in certain(saved(text, tmp_path), measurer, "measure.suite=null")


def test_the_scripts_that_the_page_names_exist() -> None:
    text = (ROOT / "docs" / "reward_servers.md").read_text(encoding="utf-8")
    named = set(re.findall(r"serve_\w+\.py", text))
    assert named == {path.name for path in (ROOT / "reward_servers").glob("serve_*.py")} and len(named) == 5
