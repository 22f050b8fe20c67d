"""A tracker judges one dimension and a judge of questions the other; their scores are weighed together as they are."""

from __future__ import annotations

from pathlib import Path

from rushes.pipeline import improve
from rushes.preflight import found_in_recipe
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Prompt
from rushes.store.run import Run
from rushes_vbench.judges.asked_camera import asked_motion
from tests.support.sandbox_recipe import diagnose_spec, judge_spec
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

CAMERA = PluginSpec(use="vbench2-camera")


def test_a_tracker_beside_questions_with_raw_weights(tmp_path: Path) -> None:
    base = tiny_recipe(make_tiny_wan(tmp_path / "model"))
    names = ("Composition", "Camera_Motion")
    recipe = Recipe.model_validate(
        {
            **base.model_dump(),
            "diagnose": diagnose_spec(dimensions=names, focus=names, num_focus=2, num_prompts=3).model_dump(),
            "judge": judge_spec(judge=base.judge.judge, by_dimension={"Camera_Motion": CAMERA}).model_dump(),
        }
    )
    assert recipe.weights.kind != "uniform" and not [each for each in found_in_recipe(recipe) if each.is_certain]
    improve(recipe, tmp_path / "run", until="judge", check_first=False)
    with Run.view(tmp_path / "run") as run:
        prompts: dict[str, Prompt] = {each.key: each for each in run.prompts.all()}
        clips = {each.key: each for each in run.clips.all()}
        rated = {clips[each.clip_key].dimension for each in run.ratings.all()}
        answered = {clips[each.clip_key].dimension for each in run.answers.all()}
        camera = [each for each in run.ratings.all()]
    assert rated == {"Camera_Motion"} and answered == {"Composition"}
    asked = [asked_motion(prompts[clips[each.clip_key].prompt_key].text) for each in camera]
    assert all((each.value is None) == (each.unscored_reason is not None) for each in camera)
    assert all(each.value is None for each, label in zip(camera, asked, strict=True) if not isinstance(label, str))
    assert all(0.0 <= each.value <= 1.0 for each in camera if each.value is not None)
