"""`rushes plan` on this machine: what it reads and tries, what it refuses, and what gain it says can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

import rushes.cli.trial
from rushes.cli import main
from rushes.cli.plan import Ways, show_plan
from rushes.findings import Unready
from rushes.plan.counts import work_of
from rushes.plan.prices import Price, Prices
from rushes.recipe.recipe import Recipe
from rushes.store.run import Run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def all_prices(recipe: Recipe) -> Prices:
    kinds = {kind for work in work_of(recipe) for kind in work.units}
    return Prices({kind: Price(1.0, "trial") for kind in kinds})


def test_a_trial_is_made_only_for_what_no_run_knows(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[str] = []

    def calibrate(recipe: Recipe) -> Prices:
        tried.append(recipe.name)
        return all_prices(recipe)

    show_plan("tiny", (), Ways(calibrate=calibrate))
    assert tried == ["tiny"] and "trial" in capsys.readouterr().out
    show_plan("tiny", (), Ways())
    assert tried == ["tiny"] and "unknown" in capsys.readouterr().out


def test_nothing_is_tried_here_with_a_recipe_that_cannot_work_here() -> None:
    def calibrate(_: Recipe) -> Prices:
        raise AssertionError("a trial was made")

    wrong = ["shape.num_frames=16", "prompts.real={folder: nowhere}", "generate.sampler.scheduler=Euler"]
    with pytest.raises(Unready) as refused:
        show_plan("tiny", wrong, Ways(calibrate=calibrate))
    named = {each.setting for each in refused.value.findings}
    assert named == {"shape.num_frames", "prompts.real.folder", "generate.sampler.scheduler"}


def test_for_another_machine_what_this_one_lacks_is_only_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "wan2.1-1.3b", "--gpu", "H100", "--set", "prompts.real.folder=nowhere"]) == 0
    said = capsys.readouterr().err
    assert "not ready on this machine: prompts.real.folder" in said
    assert main(["plan", "wan2.1-1.3b", "--gpu", "H100", "--set", "shape.num_frames=80"]) == 2
    assert "--set shape.num_frames=81" in capsys.readouterr().err


def test_earlier_runs_are_read_only_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def view(home: Path) -> Run:
        raise AssertionError(f"{home} was read")

    Path("runs/earlier").mkdir(parents=True)
    Path("runs/earlier/records.sqlite").touch()
    monkeypatch.setattr(Run, "view", view)
    assert main(["plan", "wan2.1-1.3b", "--gpu", "H100"]) == 0
    assert main(["plan", "wan2.1-1.3b", "--set", "budget.gpu_hours=4"]) == 0


def test_the_plan_says_what_gain_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "wan2.1-1.3b", "--gpu", "H100"]) == 0
    said = capsys.readouterr().out
    assert "the mean of the 3 focus dimensions" in said
    assert "cannot see a gain of 4 points" in said and "--set measure.num_prompts=" in said
    assert main(["plan", "tiny", "--no-calibrate", "--set", "measure.num_prompts=2"]) == 0
    assert "NOT A MEASUREMENT" in capsys.readouterr().out
    assert main(["plan", "tiny", "--no-calibrate", "--set", "measure.num_prompts=700"]) == 0
    said = capsys.readouterr().out
    assert "NOT A MEASUREMENT" not in said and "cannot see" not in said


def test_the_trial_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its small recipe has too few prompts for a measurement, on purpose."""
    asked: list[bool] = []
    monkeypatch.setattr("rushes.pipeline.improve", lambda *_, check_first=True, **__: asked.append(check_first))
    monkeypatch.setattr(rushes.cli.trial, "prices_of", lambda _, recipe: all_prices(recipe))
    assert main(["plan", "tiny"]) == 0
    assert asked == [False]


def test_a_run_that_is_refused_names_no_folder_and_an_expert_may_skip_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[Path] = []
    monkeypatch.setattr("rushes.pipeline.improve", lambda _, home, **__: begun.append(home))
    wrong = ["run", "tiny", "--set", "shape.num_frames=16"]
    assert main(wrong) == 2
    said = capsys.readouterr().err
    assert "run folder" not in said and "shape.num_frames" in said
    assert not begun and not Path("runs").exists()
    assert main([*wrong, "--no-check"]) == 0
    assert begun == [Path("runs/tiny")] and "run folder: runs/tiny" in capsys.readouterr().err


def test_a_finished_run_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was made from may be gone."""
    begun: list[Path] = []
    monkeypatch.setattr("rushes.pipeline.improve", lambda _, home, **__: begun.append(home))
    Path("home").mkdir()
    Path("home/done").touch()
    assert main(["run", "tiny", "--home", "home", "--set", "prompts.real.source=null"]) == 2, (
        "a recipe's own rules hold"
    )
    assert main(["run", "tiny", "--home", "home", "--set", "prompts.writer={kind: fixed, path: gone.jsonl}"]) == 0
    assert begun == [Path("home")]
