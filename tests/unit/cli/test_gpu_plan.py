"""`rushes plan` and `rushes run` with real models and budgets: nothing is fetched, nothing is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import rushes.pipeline
from rushes.cli import main
from rushes.recipe.recipe import Recipe


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_real_recipe_is_planned_for_named_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "wan2.1-1.3b", "--gpu", "h100", "--gpu", "RTX 4090"]) == 0
    said = capsys.readouterr().out
    assert "h on H100" in said and "h on RTX 4090" in said and "h on H200" not in said
    assert "estimates" in said and "not in the hours of measure: the measurer" in said
    assert "too small by this estimate: RTX 4090" in said
    assert not list(Path().iterdir())


def test_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "ltx-video", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"H100", "RTX 4090"} <= set(found)
    hours = {name: sum(stage["seconds"] or 0 for stage in plan) for name, plan in found.items()}
    assert hours["H100"] < hours["RTX 4090"]


def test_memory_that_nothing_tells_makes_the_sum_a_lower_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "tiny", "--no-calibrate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (judge,) = (line.split() for line in lines if line.split()[:1] == ["judge"])
    (total,) = (line for line in lines if line.split()[:1] == ["all"])
    assert judge.count("?") == 2 and total.count("over ") == 2  # time and memory; disk and memory


def test_shared_training_is_told_whose_memory_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "runtime.train.num_processes=4", "--set", "runtime.train.parallel=fsdp"]
    assert main(["plan", "wan2.1-1.3b", "--gpu", "H100", "--set", "train.num_accumulation=1", *settings]) == 0
    assert "runs on 4 processes (fsdp): its GPU memory is per process" in capsys.readouterr().out
    assert main(["plan", "wan2.1-1.3b", "--gpu", "H100"]) == 0
    assert "shared by" not in capsys.readouterr().out


def test_a_budget_says_what_it_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "wan2.1-1.3b", "--set", "budget.gpu_hours=4", "--gpu", "H100"]) == 0
    said = capsys.readouterr().out
    assert "budget: 4 GPU-hours on one H100" in said
    assert re.search(r"generate\.sampler\.num_steps +50 +4 +\d", said) and "saves h" in said


def test_a_run_keeps_its_budget(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Recipe] = []
    monkeypatch.setattr(rushes.pipeline, "improve", lambda recipe, *_, **__: seen.append(recipe))
    assert main(["run", "ltx-video", "--set", "budget.gpu_hours=1", "--home", "run", "--no-check"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"shape\.num_frames +161 +{seen[0].shape.num_frames} +\d", said)
    assert seen[0].shape.num_frames < 161 and seen[0].budget.gpu_hours == 1


@pytest.mark.parametrize("wrong", [["--gpu", "Voodoo 2"], ["--set", "base.model=a/b", "--gpu", "H100"]])
def test_what_is_not_known_is_an_error(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "wan2.1-1.3b", *wrong]) != 0
    assert "expected" in capsys.readouterr().err
