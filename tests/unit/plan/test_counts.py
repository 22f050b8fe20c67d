"""What a recipe's stages have to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.families.defaults import USUAL
from rushes.plan.calls import calls_per_clip
from rushes.plan.counts import work_of
from rushes.plan.judged import QUESTIONS_PER_PROMPT
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.load import load_recipe
from tests.support.sandbox_recipe import VBENCH_CATALOGUE, sandbox_with

VBENCH = [
    f"diagnose.catalogue={VBENCH_CATALOGUE}",
    "measure.measurer={kind: plugin, use: 'rushes_vbench.metrics.measurer:VBenchMeasurerSpec', options: {suite: x}}",
]


def test_nothing_is_drafted_for_the_diagnosis_where_a_suite_brings_its_own_prompts() -> None:
    own, suite = (
        work_of(sandbox_with(*VBENCH, *more))[0]
        for more in ([], ["measure.suite={use: vbench2, options: {path: VBench2_full_info.json}}"])
    )
    assert own.units["drafts"] > 0
    assert "drafts" not in suite.units
    assert suite.units["clip_calls"] == own.units["clip_calls"]


def folder_of(tmp_path: Path, pipeline: str) -> BaseModelSpec:
    (tmp_path / "model_index.json").write_text(f'{{"_class_name": "{pipeline}"}}')
    return BaseModelSpec(model=str(tmp_path))


@pytest.mark.parametrize(
    ("pipeline", "calls"),
    [("WanPipeline", 100), ("CogVideoXPipeline", 100), ("LTXPipeline", 100), ("HunyuanVideoPipeline", 50)],
)
def test_guidance_doubles_the_calls_unless_the_model_takes_it_as_an_input(
    pipeline: str, calls: int, tmp_path: Path
) -> None:
    sampler = USUAL["wan"].sampler  # 50 steps, guided
    base = folder_of(tmp_path, pipeline)
    assert calls_per_clip(sampler, base) == calls
    assert calls_per_clip(sampler.model_copy(update={"guidance_scale": 1.0}), base) == 50


def test_the_family_is_told_without_a_folder_and_without_the_hub(tmp_path: Path) -> None:
    sampler = USUAL["hunyuan"].sampler
    named = BaseModelSpec(family="hunyuan", model="someone/fine-tuned")
    released = load_recipe("hunyuanvideo").base
    unknown = BaseModelSpec(model="someone/never-fetched")
    gone = BaseModelSpec(model=str(tmp_path / "not there"))
    found = [calls_per_clip(sampler, base) for base in (named, released, unknown, gone)]
    assert released.model == "hunyuanvideo-community/HunyuanVideo"
    assert found == [50, 50, 100, 100]


def test_stages_of_a_recipe_count_them() -> None:
    recipe = load_recipe("hunyuanvideo")
    stages = {work.stage: work for work in work_of(recipe)}
    generate, diagnose = recipe.generate.sampler.num_steps, recipe.measure.sampler.num_steps
    assert recipe.generate.sampler.guidance_scale > 1
    assert stages["generate"].units["clip_calls"] == stages["generate"].num_items * generate
    assert stages["diagnose"].units["clip_calls"] == stages["diagnose"].num_items * diagnose


def test_what_training_asks_the_judge_is_counted_with_it() -> None:
    def units(*overrides: str) -> dict[str, float]:
        (train,) = [work for work in work_of(load_recipe("sandbox", list(overrides))) if work.stage == "train"]
        return dict(train.units)

    size = ["weights.kind=raw", "train.num_steps=10", "train.batch_size=16", "train.realism.share=0.25"]
    plain = units(*size, "train.objective={kind: flow}")
    assert "answers" not in plain and "decodes" not in plain
    online = units(*size, "train.objective={kind: online}")
    assert online == plain | {"decodes": 120, "answers": 120 * QUESTIONS_PER_PROMPT}
    fourth = units(*size, "train.objective={kind: online, every: 4}")
    assert fourth == plain | {"decodes": 36, "answers": 36 * QUESTIONS_PER_PROMPT}, "in steps 1, 5 and 9"
    there_and_back = units(*size, "train.objective={kind: reward_gradient}")
    assert there_and_back["decodes"] == 3 * online["decodes"]


def test_clips_kept_as_latents_alone_are_not_decoded() -> None:
    alone = [
        "generate.decode=false",
        "weights.kind=uniform",
        "generate.latents=sampler",
        "train.objective={kind: flow}",
    ]
    stages = {work.stage: work for work in work_of(load_recipe("sandbox", alone))}
    assert stages["generate"].units["decodes"] == 0 < stages["generate"].units["clip_calls"]
    assert stages["measure"].units["decodes"] == stages["measure"].num_items


def test_probes_are_judged_only_where_the_judges_choice_decides() -> None:
    gap, picked = (
        work_of(load_recipe("sandbox", [f"diagnose.choose={choose}"]))[0].units for choose in ("gap", "picked")
    )
    assert "answers" not in gap
    assert picked["answers"] >= picked["measurements"]


def test_a_comparison_of_the_focus_alone_is_over_its_dimensions_only() -> None:
    whole, focus = (
        work_of(load_recipe("sandbox", ["diagnose.num_focus=2", f"measure.only_focus={value}"]))[-1]
        for value in ("false", "true")
    )
    spec = load_recipe("sandbox").measure
    assert focus.num_items == 2 * 2 * (spec.num_prompts + spec.num_extra_focus_prompts) * spec.num_takes
    assert focus.num_items < whole.num_items


def test_extra_focus_prompts_are_for_the_focus_alone() -> None:
    plain, more = (
        work_of(load_recipe("sandbox", ["diagnose.num_focus=2", f"measure.num_extra_focus_prompts={num}"]))
        for num in (0, 10)
    )
    assert more[-1].num_items == plain[-1].num_items + 2 * 2 * 10
    # They are drafted for every dimension: which are the focus is not known yet.
    assert more[0].tables["prompts"] > plain[0].tables["prompts"]
