"""Work that fails in passing: made before the run ends, or the run is not done, says why, and the next run makes it."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.cli.main import main
from rushes.errors import UserError
from rushes.pipeline import improve
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Failure, Unscored
from rushes.roles import Brief, Draft, Failed, GivenAnswer, JudgeRequest
from rushes.store.run import Run
from tests.support.fakes import HashJudge, HashMeasurer
from tests.support.repeating_writer import RepeatingWriter
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

Contents = dict[tuple[str, str], Any]
Answers = list[tuple[GivenAnswer, ...] | Failed]
DOWN = Failed("Http500", "the judge is busy")

MEASURED = ("seconds", "num_records")
"""Fields that two runs of the same work need not have in common."""


def flaky(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool]) -> list[int]:
    """Let the judge fail the calls (numbered from 0) that `fails` names; the returned list grows by one each call."""
    real, calls = HashJudge.answer, list[int]()

    def answer(self: HashJudge, requests: Sequence[JudgeRequest]) -> Answers:
        calls.append(len(calls))
        return [DOWN] * len(requests) if fails(calls[-1]) else real(self, requests)

    monkeypatch.setattr(HashJudge, "answer", answer)
    return calls


def refusing(victims: set[str]) -> Callable[[HashJudge, Sequence[JudgeRequest]], Answers]:
    """A judge that never answers about the clips of one prompt, the first that it meets."""
    real = HashJudge.answer

    def answer(self: HashJudge, requests: Sequence[JudgeRequest]) -> Answers:
        victims.update([requests[0].text] if not victims else [])
        answers = real(self, requests)
        return [DOWN if r.text in victims else a for r, a in zip(requests, answers, strict=True)]

    return answer


def contents(home: Path) -> Contents:
    """Every record without what a clock decides."""
    with Run.view(home) as run:
        rows = run.database.rows("SELECT name, key, body FROM records")
    return {(name, key): {k: v for k, v in json.loads(body).items() if k not in MEASURED} for name, key, body in rows}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def straight(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contents]:
    """A run without failures."""
    home = tmp_path_factory.mktemp("runs") / "straight"
    improve(recipe, home)
    return home, contents(home)


def test_a_judge_that_is_busy_for_a_moment_loses_nothing(
    recipe: Recipe, straight: tuple[Path, Contents], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A chunk and each of its clips alone, and two of the chunk's retries: three tries in all.
    flaky(monkeypatch, lambda call: call in range(1, 5))
    scorecard = improve(recipe, tmp_path / "run")
    assert scorecard is not None and not any("failed" in note for note in scorecard.notes)
    assert (tmp_path / "run" / "done").exists()
    assert contents(tmp_path / "run") == straight[1]


def test_what_stays_failed_is_said_and_the_next_run_makes_it(
    recipe: Recipe,
    straight: tuple[Path, Contents],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, file = tmp_path / "run", tmp_path / "recipe.json"
    file.write_text(recipe.model_dump_json(by_alias=True))
    victims: set[str] = set()
    real = HashJudge.answer
    monkeypatch.setattr(HashJudge, "answer", refusing(victims))
    assert main(["run", str(file), "--home", str(home)]) == 2
    said = capsys.readouterr()
    assert "answers failed: Http500: the judge is busy. The same command tries them again." in said.out
    assert "error: the run is not finished" in said.err and "Http500: the judge is busy" in said.err
    assert "Http500: the judge is busy" in (home / "report.html").read_text(encoding="utf-8")
    assert not (home / "done").exists() and victims
    assert main(["report", str(home)]) == 2
    told = capsys.readouterr().err
    assert "report.html shows the result without work that failed" in told and "Http500: the judge is busy" in told

    monkeypatch.setattr(HashJudge, "answer", real)
    assert main(["run", str(file), "--home", str(home)]) == 0
    assert (home / "done").exists()
    assert straight[1].items() <= contents(home).items(), "the records of an undisturbed run, and the first checkpoint"
    assert "Http500" not in capsys.readouterr().out


def test_a_run_that_was_marked_as_done_over_a_failure_is_taken_up_again(
    recipe: Recipe, straight: tuple[Path, Contents], tmp_path: Path
) -> None:
    home = tmp_path / "run"
    shutil.copytree(straight[0], home)
    with Run.open(home, recipe) as run:
        lost = run.answers.all()[0].key
        run.answers.drop([lost])
        gone = Failure(work_key="0" * 64, stage="clips", attempt=1, error_type="E", message="of another recipe")
        run.clips.land([], [gone])
        run.answers.land([], [Failure(work_key=lost, stage="answers", attempt=1, error_type="E", message="m")])
        assert run.is_done
    improve(recipe, home)
    assert contents(home) == straight[1]
    with Run.open(home, recipe) as run:
        assert run.is_done and not run.owes_work, "nothing of another recipe keeps a finished run open"


def test_what_three_runs_could_not_do_is_left_out_and_said(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "run"
    monkeypatch.setattr(HashJudge, "answer", refusing(set()))
    for attempt in (1, 2, 3):
        scorecard = improve(recipe, home)
        assert (home / "done").exists() == (attempt == 3)
    assert scorecard is not None
    assert any("the judge is busy. The run goes on without them." in note for note in scorecard.notes)


def test_a_measurer_that_scores_nothing_stops_the_run_before_it_writes_and_generates_for_training(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dark = Unscored(reason="too dark to see")
    monkeypatch.setattr(HashMeasurer, "measure", lambda self, subjects: [dark] * len(subjects))
    named = recipe.diagnose
    for number, diagnose in enumerate((named, named.model_copy(update={"focus": ()}))):
        home = tmp_path / f"run-{number}"
        with pytest.raises(UserError, match=r"no dimension could be measured|has no score") as caught:
            improve(recipe.model_copy(update={"diagnose": diagnose}), home)
        assert "too dark to see" in str(caught.value)
        with Run.view(home) as run:
            origins = {prompt.key: prompt.origin for prompt in run.prompts.all()}
            assert set(origins.values()) == {"probe", "held_out"}
            assert {origins[clip.prompt_key] for clip in run.clips.all()} == {"probe"}


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        (("Composition", "Mechanics"), r"stage 'prompts': .* prompts failed: UnusableReply: cut off"),
        (("Mechanics",), r"no probe prompt is left in Mechanics(.|\n)*45 of 90 prompts failed: UnusableReply: cut off"),
    ],
)
def test_prompts_that_fail_stop_the_run_before_it_generates(
    lacking: tuple[str, ...], told: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RepeatingWriter._one

    def one(self: RepeatingWriter, brief: Brief) -> Draft | Failed:
        return Failed("UnusableReply", "cut off", retry="useless") if brief.dimension in lacking else real(self, brief)

    monkeypatch.setattr(RepeatingWriter, "_one", one)
    prompts = recipe.prompts.model_copy(
        update={"writer": PluginSpec(use="tests.support.repeating_writer:RepeatingWriterSpec")}
    )
    measure = recipe.measure.model_copy(update={"num_diversity_prompts": 0})
    with pytest.raises(UserError, match=told):
        improve(recipe.model_copy(update={"prompts": prompts, "measure": measure}), tmp_path / "run")
    with Run.view(tmp_path / "run") as run:
        assert run.clips.num_records() == 0


def test_a_cluster_that_does_not_answer_is_said_before_any_stage(recipe: Recipe, tmp_path: Path) -> None:
    with socket.socket() as silent:  # bound and not listening: refuses
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        runtime = recipe.runtime.model_copy(update={"executor": "ray", "ray_address": address})
        with pytest.raises(UserError, match="no Ray cluster answers at"):
            improve(recipe.model_copy(update={"runtime": runtime}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
