"""Generating in a real browser: a prompt is typed, and base and trained sandbox model appear beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rushes.pipeline import improve
from rushes.recipe.generate import GenerateSpec
from rushes.recipe.prompts import RealClipsSpec
from rushes.recipe.train import TrainSpec
from rushes.records import SampledClip, SamplerSettings
from rushes.sample.stage import TABLE
from rushes.store.run import Run
from rushes.view.shelf import name_of
from tests.support.browser import opened
from tests.support.sandbox_recipe import SANDBOX, diagnose_spec, measure_spec, prompts_spec, sandbox_recipe
from tests.support.studio import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
STEPS = 3
SAMPLER = SamplerSettings(num_steps=2, guidance_scale=1.0, shift=3.0, scheduler="UniPCMultistepScheduler")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trained the sandbox's model for a few steps on its own judged clips."""
    found = tmp_path_factory.mktemp("runs") / "run"
    dimensions = ("Composition", "Mechanics")
    sandbox = sandbox_recipe(name="sandbox")
    recipe = sandbox_recipe(
        name="sandbox",
        diagnose=diagnose_spec(dimensions=dimensions, focus=dimensions[:1], num_focus=1, num_prompts=2),
        prompts=prompts_spec(num_weakness=4, real=RealClipsSpec(source=SANDBOX, num_clips=2)),
        generate=GenerateSpec(sampler=SAMPLER, num_takes=2),
        train=TrainSpec(num_steps=STEPS, batch_size=4, learning_rate=1e-3, warmup_steps=1, num_held_out=1),
        measure=measure_spec(sampler=SAMPLER, num_prompts=1, num_diversity_prompts=0),
        runtime=sandbox.runtime.model_copy(update={"num_threads": 1}),
    )
    improve(recipe, found, until="train")
    return found


def test_base_beside_the_checkpoint_appears_as_it_is_sampled(browser: Browser, home: Path) -> None:
    with serving(home, may_write=True) as link, opened(browser) as (page, seen):
        page.set_default_timeout(300_000)
        page.goto(link)
        page.goto(f"{link.split('/?')[0]}/run/{name_of(home)}/generate")
        page.fill("#prompt", "a green elephant")
        page.click("#ask button.main")
        page.wait_for_selector("pre.said")
        assert "cannot read 'elephant'" in page.inner_text("pre.said")
        page.go_back()
        page.fill("#prompt", "a red circle moves to the left")
        page.fill("[name=seeds]", "1")
        page.evaluate("() => { const dial = document.getElementById('strength'); dial.value = 0.5; }")
        page.click("#ask button.main")
        page.wait_for_selector("#jobs tr[data-state=working], #jobs tr[data-state=done]")
        page.wait_for_selector("#jobs tr[data-state=done]")  # without a reload: the server says what is new
        page.wait_for_selector("#sampled article figure:nth-child(2) video")
        assert page.locator("#sampled figcaption b").all_inner_texts() == ["base", f"step {STEPS} x 0.5"]
        page.wait_for_function("() => [...document.querySelectorAll('#sampled video')].every(v => v.readyState >= 2)")
    assert seen.hosts == {link.split("/")[2]}
    assert [each for each in seen.problems if "400" not in each] == []
    with Run.view(home) as run:
        clips = run.table(TABLE, SampledClip).all()
        shown = {each.strength: run.blobs.read_video(each.video) for each in clips}
        assert run.checkpoints.num_records() == 1 and not {each.key for each in clips} & {
            c.key for c in run.clips.each()
        }
    assert {(each.step, each.strength, each.seed) for each in clips} == {(0, 1.0, 0), (STEPS, 0.5, 0)}
    assert shown[1.0].shape == (17, 64, 64, 3) and (shown[1.0] != shown[0.5]).any()
