"""Real clips of a run: their captions are screened like every text that is trained on."""

from __future__ import annotations

from pathlib import Path

from rushes.context import Context
from rushes.prompts.evaluation import Evaluation
from rushes.prompts.real import real_material
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import RealClipsSpec
from rushes.records import Prompt
from rushes.store.run import Run
from tests.support.sandbox_recipe import prompts_spec, sandbox_recipe

RECIPE = sandbox_recipe(prompts=prompts_spec(real=RealClipsSpec(source=PluginSpec(use="sandbox"), num_clips=4)))


def captions(home: Path, evaluation: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    with Run.open(home, RECIPE) as run:
        return real_material(Context(RECIPE, run), Evaluation((), evaluation)).captions


def test_a_caption_that_an_evaluation_prompt_repeats_is_not_trained_on(tmp_path: Path) -> None:
    unguarded = captions(tmp_path / "first", ())
    same = unguarded[0].model_copy(update={"origin": "held_out", "key": "ab" * 32})

    guarded = captions(tmp_path / "second", (same,))

    assert unguarded[0].text not in {prompt.text for prompt in guarded}
    assert len(guarded) == len(unguarded) == 4
