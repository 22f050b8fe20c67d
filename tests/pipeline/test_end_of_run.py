"""What a finished run says about itself: totals that came true, latents beside real ones, costs on another machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean

import pytest

from rushes.errors import TrainingError
from rushes.judge.agreement import agreement
from rushes.measure.latents import ClipMoments
from rushes.pipeline import improve
from rushes.plan.arithmetic import UnitFlops
from rushes.plan.status import read_status
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import PreviewRuntime
from rushes.records import PromptGain, Scorecard
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path, Scorecard]:
    plain = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")), num_rounds=2)
    train = plain.runtime.train.model_copy(update={"previews": PreviewRuntime(every=3, num_prompts=1)})
    recipe = plain.model_copy(update={"runtime": plain.runtime.model_copy(update={"train": train})})
    home = tmp_path_factory.mktemp("runs") / "run"
    scorecard = improve(recipe, home)
    assert scorecard is not None
    return recipe, home, scorecard


def test_what_was_planned_is_what_was_made(finished: tuple[Recipe, Path, Scorecard]) -> None:
    _, home, _ = finished
    with Run.view(home) as run:
        made = {name: table.num_records() for name, table in run.tables().items()}
        plans = [event for event in run.log.read() if event["event"] == "stage_planned"]
    last = {event["stage"]: (event["num_total"], event["is_exact"]) for event in plans}
    # Kinds of feedback that the judge does not give have no records and no plan.
    assert last == {name: (num, True) for name, num in made.items() if num or name in last}
    # The first word of the clips came before any was generated, and could only be a bound.
    first = next(event for event in plans if event["stage"] == "clips")
    assert not first["is_exact"]
    assert first["num_total"] >= made["clips"]


def test_status_takes_an_inexact_plan_for_a_bound(finished: tuple[Recipe, Path, Scorecard], tmp_path: Path) -> None:
    recipe, _, _ = finished
    with Run.open(tmp_path / "run", recipe) as run:
        run.log.write("stage_planned", stage="clips", num_total=90, is_exact=False)
        run.log.write("stage_planned", stage="answers", num_total=70, is_exact=True)
    found = {stage.stage: stage for stage in read_status(tmp_path / "run").stages}
    assert (found["clips"].num_total, found["clips"].is_total_exact) == (90, False)
    assert (found["answers"].num_total, found["answers"].is_total_exact) == (70, True)


def test_latents_of_both_models_stand_beside_real_ones(finished: tuple[Recipe, Path, Scorecard]) -> None:
    recipe, home, scorecard = finished
    rows = {row.name: row for row in scorecard.drift}
    for name in ("latent mean, distance to real", "latent spread, distance to real"):
        row = rows[name]
        assert row.real is not None
        # A random model's latents lie much further from real ones than real ones from each other.
        assert row.before > 3 * row.real and row.after > 3 * row.real
    with Run.view(home) as run:
        remembered = run.read_derived("real-latents", ClipMoments) or []
        real = {clip.key for clip in run.clips.all() if clip.origin == "real"}
    assert {each.clip_key for each in remembered} == real
    assert len(real) == recipe.prompts.real.num_clips


def test_the_error_on_clips_that_are_not_trained_on_is_known_before_step_1_and_at_every_checkpoint(
    finished: tuple[Recipe, Path, Scorecard],
) -> None:
    recipe, home, _ = finished
    assert recipe.train.num_held_out == 0, "the default keeps no real clip out; probe clips are never trained on"
    with Run.view(home) as run:
        curves = [json.loads(run.blobs.read_bytes(each.curves)) for each in run.checkpoints.all() if each.curves]
    assert len(curves) == recipe.num_rounds
    spec = recipe.train
    for each in curves:
        steps, errors = zip(*each["held_out_own"], strict=True)
        assert list(steps) == list(range(0, spec.num_steps + 1, spec.checkpoint_every))
        assert all(error > 0 for error in errors) and len(set(errors)) == len(errors)
        assert "held_out_real" not in each


def test_too_few_real_clips_are_noticed_before_anything_is_generated_for_training(
    finished: tuple[Recipe, Path, Scorecard], tmp_path: Path
) -> None:
    recipe, _, _ = finished
    train = recipe.train.model_copy(update={"num_held_out": recipe.prompts.real.num_clips})
    with pytest.raises(TrainingError, match=r"fewer than the 4 real clips there are(.|\n)*lower train.num_held_out"):
        improve(recipe.model_copy(update={"train": train}), tmp_path / "run")
    with Run.view(tmp_path / "run") as run:
        origins = {prompt.key: prompt.origin for prompt in run.prompts.all()}
        assert {origins[clip.prompt_key] for clip in run.clips.all() if clip.origin == "model"} == {"probe"}


def test_the_cost_ledger_says_what_another_machine_would_take(finished: tuple[Recipe, Path, Scorecard]) -> None:
    _, home, _ = finished
    with Run.view(home) as run:
        (unit,) = run.read_derived("unit-arithmetic", UnitFlops) or []
    assert unit.attention > 0 and unit.linear > 0 and unit.decode > 0 and unit.encode > 0
    assert unit.answer is None, "a plug-in's arithmetic is not known, which is not 0"
    page = (home / "report.html").read_text(encoding="utf-8")
    cost = page[page.index('id="cost"') :]
    assert "On one NVIDIA H200" in cost
    assert "at least" in cost and "unknown" in cost


def test_the_gain_of_every_prompt_is_written_and_adds_up_to_the_scorecard(
    finished: tuple[Recipe, Path, Scorecard],
) -> None:
    _, home, scorecard = finished
    with Run.view(home) as run:
        gains = run.read_derived("gains", PromptGain) or []
        texts = {prompt.key for prompt in run.prompts.all() if prompt.origin == "held_out"}
    assert {each.prompt_key for each in gains} <= texts
    for row in scorecard.rows:
        found = [each for each in gains if each.dimension == row.dimension]
        assert len(found) == row.num_prompts
        assert fmean(each.after - each.before for each in found) == pytest.approx(row.gain)
    assert {each.num_pairs for each in gains if each.dimension == "Diversity"} == {1}


def test_a_report_is_written_anew_without_loading_the_model(
    finished: tuple[Recipe, Path, Scorecard], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, home, scorecard = finished

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the model must not be loaded")

    monkeypatch.setattr("rushes.families.load.load_family", refuse)
    (home / "report.html").unlink()
    with Run.open(home, recipe) as run:
        run.reopen_work()
    assert improve(recipe, home) == scorecard
    assert (home / "report.html").is_file()


def test_the_report_shows_what_training_generated(finished: tuple[Recipe, Path, Scorecard]) -> None:
    _, home, _ = finished
    with Run.view(home) as run:
        told = [event["prompt"] for event in run.log.read() if event["event"] == "preview"]
    assert len(told) == len(list((home / "previews").glob("*/*.mp4"))) == 2 * 3, (
        "two rounds; before, halfway, at the end"
    )
    page = (home / "report.html").read_text(encoding="utf-8")
    assert page.count('preload="none"') == 6
    for words in ("round 1, before step 1", "round 1, after 3 steps", "round 2, after 6 steps", *told):
        assert words in page, words


def test_the_judge_is_compared_with_the_measurer_on_each_models_own_clips(
    finished: tuple[Recipe, Path, Scorecard],
) -> None:
    _, home, scorecard = finished
    with Run.view(home) as run:
        answers, clips = list(run.answers.all()), {clip.key: clip for clip in run.clips.all()}
        prompts = {prompt.key: prompt for prompt in run.prompts.all() if prompt.origin == "held_out"}
        looked_at = [each for each in run.measurements.all() if clips[each.subject[0]].prompt_key in prompts]
    shown: dict[str, list[int]] = {}
    for model in (scorecard.base_model, scorecard.tuned_model):
        own = [each for each in looked_at if clips[each.subject[0]].model == model]
        for row in agreement(answers, own):
            shown.setdefault(row.dimension, []).append(row.num_questions)
    page = (home / "report.html").read_text(encoding="utf-8")
    section = page[page.index('id="judge"') : page.index('id="drift"')]
    for dimension, numbers in shown.items():
        row = section[section.index(f'<th scope="row">{dimension.replace("_", " ")}</th>') :]
        found = [int(number) for number in re.findall(r"of (\d+)</small>", row[: row.index("</tr>")])]
        assert len(numbers) == 2 and found[-2:] == numbers, dimension
    assert shown, "nothing was compared"
