"""A run whose objective asks the judge: its scores are on the scale of the stage's, and its key says all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rushes.context import Context
from rushes.families.load import load_family
from rushes.judge.grade import grade
from rushes.pipeline import improve
from rushes.plan.counts import units_done
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import TrainSpec
from rushes.records import Clip, Prompt, Question, Sample, Scored
from rushes.store.run import Run
from rushes.train.judging import asked_identity, judge_order
from rushes.train.lesson import Lesson, lesson_key
from rushes.train.live_judge import LiveJudge
from rushes.train.stage import at_last_step
from tests.support.judged import make_question
from tests.support.judges import SMOOTH
from tests.support.sandbox_recipe import sandbox_with
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


def with_objective(recipe: Recipe, **objective: Any) -> Recipe:
    train = TrainSpec.model_validate({**recipe.train.model_dump(), "objective": objective})
    return recipe.model_copy(update={"train": train, "judge": SMOOTH})


def sample(clip: Clip) -> Sample:
    return Sample(clip_key=clip.key, prompt_key=clip.prompt_key, weight=1.0, source="own", dimension=clip.dimension)


def test_a_stored_clip_gets_the_score_that_it_has(tmp_path: Path) -> None:
    """Whole clips, not denoised ones: the only difference left is how they come to the judge."""
    recipe = with_objective(tiny_recipe(make_tiny_wan(tmp_path / "model")), kind="online")
    assert improve(recipe, tmp_path / "run", until="judge") is None
    with Run.open(tmp_path / "run", recipe, allow_change=False) as run:
        context = Context(recipe, run)
        context.prompts |= {prompt.key: prompt for prompt in run.prompts.all()}
        answered = {answer.clip_key for answer in run.answers.all()}
        clips = [clip for clip in run.clips.all() if clip.key in answered][:6]
        scores = grade(clips, context.prompts, run.answers.all(), recipe.judge)
        order = judge_order(context, recipe.train, tuple(sample(clip) for clip in clips))
        assert order is not None and order.fps == clips[0].fps
        live = LiveJudge.of(order, load_family(recipe.base), gradient=True)
        latents = torch.stack([run.blobs.read_tensors(clip.latents)["latents"] for clip in clips if clip.latents])
        found = live.value(latents, torch.arange(len(clips)))
    stored = [score.outcome.value for score in scores if isinstance(score.outcome, Scored)]
    assert len(set(stored)) > 3
    assert found.tolist() == pytest.approx(stored, abs=1e-3)


def test_a_run_says_what_training_asked(tmp_path: Path) -> None:
    recipe = with_objective(tiny_recipe(make_tiny_wan(tmp_path / "model")), kind="reward_gradient", at="last_step")
    assert improve(recipe, tmp_path / "run") is not None
    with Run.view(tmp_path / "run") as run:
        (event,) = [each for each in run.log.read() if each["event"] == "judge_asked_in_training"]
        (made,) = run.checkpoints.all()
    assert event["num_clips"] == 3 * recipe.train.steps and event["num_missing"] == 0 < event["seconds"]
    assert {"reward_logit", "reward_gradient_size", "reward_missing"} <= {each.term for each in made.losses}


def test_a_judge_that_is_asked_in_each_second_step_costs_half(tmp_path: Path) -> None:
    """And with `every: 1` the training is the same piece of work as without the word."""
    recipe = with_objective(tiny_recipe(make_tiny_wan(tmp_path / "model")), kind="online", max_sigma=1.0)
    half = with_objective(recipe, kind="online", max_sigma=1.0, every=2)
    keys = []
    for made in (recipe, with_objective(recipe, kind="online", max_sigma=1.0, every=1), half):
        improve(made, tmp_path / "run", until="train", allow_change=True)
        with Run.view(tmp_path / "run") as run:
            asked = [each["num_clips"] for each in run.log.read() if each["event"] == "judge_asked_in_training"]
            keys.append({each.key for each in run.checkpoints.all()})
    assert keys[0] == keys[1] < keys[2] and asked == [3 * 6, 3 * 3]
    with Run.view(tmp_path / "run") as run:
        counted = units_done(run, half)["checkpoints"]
    assert counted["decodes"] == 2 * 3 * 3, "both trainings counted as this recipe's"


# ---------------------------------------------------------------------------------------------- keys

PROMPT = Prompt(
    key="1c" * 32,
    text="a red circle moves left",
    base_text="a red circle",
    dimension="Composition",
    origin="weakness",
    index=0,
    questions=(make_question("is the circle red?"),),
    source="grammar",
)
OWN = Sample(clip_key="2d" * 32, prompt_key=PROMPT.key, weight=1.0, source="own", dimension="Composition", score=0.5)
LAST = "train.objective={kind: reward_gradient, at: last_step}"


def identity(*overrides: str, questions: tuple[Question, ...] = PROMPT.questions) -> str | None:
    prompts = {PROMPT.key: PROMPT.model_copy(update={"questions": questions})}
    return asked_identity(sandbox_with(*overrides), (OWN,), prompts)


def test_all_that_decides_an_answer_in_training_enters_its_key() -> None:
    assert identity("train.objective={kind: flow}") is None
    online = "train.objective={kind: online}"
    others = [
        identity(online),
        identity(online, "judge.aggregate=minimum"),
        identity(online, "shape.fps=4"),
        identity(online, "judge.judge={use: 'tests.support.judges:SmoothJudgeSpec'}"),
        identity(online, questions=(make_question("is the circle blue?"),)),
        identity(LAST),
        identity(LAST, "generate.sampler.num_steps=7"),
    ]
    assert None not in others and len(set(others)) == len(others)
    assert identity(online) == identity(online, "generate.sampler.num_steps=7", "runtime.judge_batch=3")


def test_a_lesson_without_the_judge_keeps_its_key() -> None:
    plain = Lesson((OWN,), "ab" * 32, None, TrainSpec(), reencode=False)
    assert lesson_key(plain) == lesson_key(Lesson((OWN,), "ab" * 32, None, TrainSpec(), reencode=False, asked=None))
    assert lesson_key(plain) != lesson_key(Lesson((OWN,), "ab" * 32, None, TrainSpec(), reencode=False, asked="x"))


def test_the_last_step_is_that_of_the_sampler(tmp_path: Path) -> None:
    recipe = tiny_recipe(make_tiny_wan(tmp_path))
    family, sampler = load_family(recipe.base), recipe.generate.sampler
    spec = TrainSpec.model_validate({"objective": {"kind": "reward_gradient", "at": "last_step"}})
    found = at_last_step(spec, family, sampler).objective
    assert found.model_dump()["last_sigma"] == family.last_sigma(sampler)
    named = TrainSpec.model_validate({"objective": {"kind": "reward_gradient", "at": "last_step", "last_sigma": 0.3}})
    assert at_last_step(named, family, sampler) is named and at_last_step(TrainSpec(), family, sampler) == TrainSpec()
