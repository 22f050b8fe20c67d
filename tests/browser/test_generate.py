"""Generating in a real browser: a prompt is typed, and base and checkpoint of the sandbox appear beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file

from rushes.families.folder import model_folder
from rushes.records import Checkpoint, SampledClip, SamplerSettings
from rushes.sample.stage import TABLE
from rushes.store.run import Run
from rushes.view.shelf import name_of
from tests.support.browser import opened, served
from tests.support.made_run import key
from tests.support.sandbox_recipe import MODEL, measure_spec, sandbox_recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
SAMPLER = SamplerSettings(num_steps=2, guidance_scale=1.0, shift=3.0, scheduler="UniPCMultistepScheduler")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the sandbox's model, whose checkpoint is the base with its last layer turned up."""
    found = tmp_path_factory.mktemp("runs") / "run"
    recipe = sandbox_recipe(name="sandbox", measure=measure_spec(sampler=SAMPLER))
    with Run.open(found, recipe) as run:
        (file,) = (Path(model_folder(MODEL)) / "transformer").glob("*.safetensors")
        state = load_file(file)
        state["proj_out.weight"] = state["proj_out.weight"] * 1.2
        weights = run.blobs.put_tensors(state)
        run.checkpoints.land([Checkpoint(key=key("x"), step=50, kind="full", ema=True, weights=weights, seconds=1.0)])
    return found


def test_base_beside_the_checkpoint_appears_as_it_is_sampled(browser: Browser, home: Path) -> None:
    with served(home, may_write=True) as link, opened(browser) as (page, seen):
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
        assert page.locator("#sampled figcaption b").all_inner_texts() == ["base", "step 50 x 0.5"]
        page.wait_for_function("() => [...document.querySelectorAll('#sampled video')].every(v => v.readyState >= 2)")
    assert seen.hosts == {link.split("/")[2]}
    assert [each for each in seen.errors if "400" not in each] == []
    with Run.view(home) as run:
        clips = run.table(TABLE, SampledClip).all()
        shown = {each.strength: run.blobs.read_video(each.video) for each in clips}
        assert not run.clips.num_records()
    assert {(each.step, each.strength, each.seed) for each in clips} == {(0, 1.0, 0), (50, 0.5, 0)}
    assert shown[1.0].shape == (17, 64, 64, 3) and (shown[1.0] != shown[0.5]).any()
