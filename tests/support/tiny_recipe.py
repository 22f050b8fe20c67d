"""A whole run in seconds: random tiny model, fake judge and measurer, two dimensions."""

from __future__ import annotations

from pathlib import Path

from rushes.recipe.base import BaseModelSpec
from rushes.recipe.generate import GenerateSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import RealClipsSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.train import TrainSpec
from rushes.records import SamplerSettings
from tests.support.sandbox_recipe import SANDBOX, diagnose_spec, judge_spec, measure_spec, prompts_spec
from tests.support.tiny_families import TinyFamily
from tests.support.tiny_wan import TINY_SHAPE

SAMPLER = SamplerSettings(
    num_steps=2, guidance_scale=2.0, shift=2.0, scheduler="UniPCMultistepScheduler", precision="float32"
)


def tiny_recipe(model: Path, *, num_rounds: int = 1) -> Recipe:
    """The recipe; `model` is a folder made by `make_tiny_wan`."""
    return Recipe(
        name="tiny",
        num_rounds=num_rounds,
        base=BaseModelSpec(model=str(model), max_tokens=16),
        shape=TINY_SHAPE,
        diagnose=diagnose_spec(
            dimensions=("Composition", "Mechanics"), focus=("Composition", "Mechanics"), num_focus=2, num_prompts=3
        ),
        prompts=prompts_spec(num_weakness=6, real=RealClipsSpec(source=SANDBOX, num_clips=4)),
        generate=GenerateSpec(sampler=SAMPLER, num_takes=2),
        judge=judge_spec(judge=PluginSpec(use="tests.support.fakes:HashJudgeSpec")),
        train=TrainSpec(
            num_steps=6, batch_size=4, learning_rate=1e-3, warmup_steps=1, checkpoint_every=1, precision="float32"
        ),
        measure=measure_spec(
            measurer=PluginSpec(use="tests.support.fakes:HashMeasurerSpec"),
            num_prompts=4,
            num_diversity_prompts=2,
            num_diversity_takes=2,
            sampler=SAMPLER,
            num_bootstrap=200,
        ),
        runtime=RuntimeSpec(num_threads=1, generate_batch=4, judge_batch=4),
    )


def small(tiny: TinyFamily, folder: Path) -> Recipe:
    """A smaller one for any family: one dimension, a handful of clips, a few steps; `folder` holds the saved model."""
    recipe = tiny_recipe(folder)
    dimension = ("Composition",)
    return recipe.model_copy(
        update={
            "base": tiny.base(folder),
            "shape": tiny.shape,
            "runtime": recipe.runtime.model_copy(update={"free_text_encoder": tiny.family == "hunyuan"}),
            "diagnose": diagnose_spec(dimensions=dimension, focus=dimension, num_focus=1, num_prompts=2),
            "prompts": prompts_spec(num_weakness=2, real=RealClipsSpec(source=SANDBOX, num_clips=2)),
            "generate": recipe.generate.model_copy(update={"sampler": tiny.sampler}),
            "train": recipe.train.model_copy(update={"num_steps": 3, "num_held_out": 1}),
            "measure": recipe.measure.model_copy(
                update={"sampler": tiny.sampler, "num_prompts": 2, "num_diversity_prompts": 0}
            ),
        }
    )
