"""Draft takes in a run: made smaller, judged, kept apart from the run's clips; made once, whoever is killed when."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.errors import RecipeError
from rushes.generate.stage import DRAFT_CLIPS
from rushes.pipeline import improve
from rushes.recipe.generate import DraftSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Answer, Clip, DraftOutcome
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

# The fake judge scores around 0.5: three of the six prompts lie between.
DRAFT = DraftSpec(num_frames=1, num_steps=1, hopeless=0.4, solved=0.55, min_kept=0.0)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    tiny = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    generate = tiny.generate.model_copy(update={"draft": DRAFT})
    return tiny.model_copy(update={"generate": generate})


def test_only_prompts_that_drafts_leave_are_generated_in_full_and_a_rerun_makes_nothing(
    recipe: Recipe, tmp_path: Path
) -> None:
    home = tmp_path / "run"
    improve(recipe, home, until="generate")
    with Run.view(home) as run:
        drafts, answers = run.table(DRAFT_CLIPS, Clip).all(), run.table("draft_answers", Answer).all()
        found = run.read_derived("drafts-0", DraftOutcome)
        assert found is not None
        weakness = {prompt.key for prompt in run.prompts.all() if prompt.origin == "weakness"}
        takes = [clip for clip in run.clips.all() if clip.prompt_key in weakness]
        num_before = len(run.log.read())
    kept = {each.prompt_key for each in found if each.is_kept}
    assert {clip.prompt_key for clip in drafts} == {each.prompt_key for each in found} <= weakness
    assert {(c.num_frames, c.sampler.num_steps, c.latents) for c in drafts if c.sampler} == {(1, 1, None)}
    assert {answer.clip_key for answer in answers} == {clip.key for clip in drafts}
    assert {clip.prompt_key for clip in takes} == kept and len(takes) == 2 * len(kept)
    assert {clip.num_frames for clip in takes} == {recipe.shape.num_frames}
    assert 0 < len(kept) < len(found), "the limits must part the prompts, or nothing is tested"
    # Records lost: made again, to the same keys and pixels, and nothing else is.
    with Run.open(home, recipe) as run:
        run.table(DRAFT_CLIPS, Clip).drop([drafts[0].key])
    improve(recipe, home, until="generate")
    with Run.view(home) as run:
        again = run.table(DRAFT_CLIPS, Clip).all()
        assert [clip.content() for clip in again] == [clip.content() for clip in drafts]
        started = [e["stage"] for e in run.log.read()[num_before:] if e["event"] == "stage_started"]
        assert started == [DRAFT_CLIPS]


def test_a_shape_that_the_model_cannot_make_is_an_error_before_anything_is_generated(
    recipe: Recipe, tmp_path: Path
) -> None:
    generate = recipe.generate.model_copy(update={"draft": DRAFT.model_copy(update={"num_frames": 3})})
    with pytest.raises(RecipeError, match="cannot make clips of this shape"):
        improve(recipe.model_copy(update={"generate": generate}), tmp_path / "run", until="prompts")
