"""A whole run in seconds: random tiny model, fake judge and measurer, two dimensions."""

from __future__ import annotations

from pathlib import Path

from rushes.recipe.base import BaseModelSpec
from rushes.recipe.diagnose import DiagnoseSpec
from rushes.recipe.generate import GenerateSpec
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import PromptsSpec, RealClipsSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.train import TrainSpec
from rushes.records import SamplerSettings
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
        diagnose=DiagnoseSpec(
            dimensions=("Composition", "Mechanics"), focus=("Composition", "Mechanics"), num_focus=2, num_prompts=3
        ),
        prompts=PromptsSpec(num_weakness=6, real=RealClipsSpec(num_clips=4)),
        generate=GenerateSpec(sampler=SAMPLER, num_takes=2),
        judge=JudgeSpec(judge=PluginSpec(use="tests.support.fakes:HashJudgeSpec")),
        train=TrainSpec(
            num_steps=6, batch_size=4, learning_rate=1e-3, warmup_steps=1, checkpoint_every=1, precision="float32"
        ),
        measure=MeasureSpec(
            measurer=PluginSpec(use="tests.support.fakes:HashMeasurerSpec"),
            num_prompts=4,
            num_diversity_prompts=2,
            num_diversity_takes=2,
            sampler=SAMPLER,
            num_bootstrap=200,
        ),
        runtime=RuntimeSpec(num_threads=1, generate_batch=4, judge_batch=4),
    )
