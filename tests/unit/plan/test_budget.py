"""A budget is kept, says what was given up, and gives up nothing without need."""

from __future__ import annotations

import json

import pytest

from rushes.errors import RecipeError
from rushes.plan.budget import FOCUS_PROMPTS, drafts_pay, fit
from rushes.plan.calls import calls_per_clip
from rushes.plan.chat_models import TOKENS_PER_DRAFT, chat_price
from rushes.plan.choices import served
from rushes.plan.gpus import find_gpu
from rushes.plan.models import real_model
from rushes.plan.plan import hours_on
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.recipe import Recipe
from rushes.records.caches import TaylorSeerCache

REAL = [name for name in packaged_recipes() if real_model(load_recipe(name)) is not None]


def hours(recipe: Recipe) -> float:
    return hours_on(recipe, find_gpu(recipe.budget.gpu))


@pytest.mark.parametrize("name", REAL)
def test_four_hours_are_kept_and_used(name: str) -> None:
    before = load_recipe(name, ["budget.gpu_hours=4"])
    fitted = fit(before)
    assert hours(fitted.recipe) <= 4
    assert fitted.hours == hours(fitted.recipe) and fitted.hours_before == hours(before)
    # Used: one more prompt would not have fitted, unless all that were asked for are there.
    assert fitted.hours > 3 or fitted.recipe.prompts.num_weakness == before.prompts.num_weakness
    assert Recipe.model_validate(fitted.recipe.model_dump()) == fitted.recipe


@pytest.mark.parametrize("name", REAL)
def test_the_trades_are_all_that_changed(name: str) -> None:
    fitted = fit(load_recipe(name, ["budget.gpu_hours=4"]))
    overrides = [f"{trade.setting}={trade.after}" for trade in fitted.trades]
    assert load_recipe(name, ["budget.gpu_hours=4", *overrides]) == fitted.recipe
    numbers = [(json.loads(trade.before), json.loads(trade.after)) for trade in fitted.trades]
    assert all(after < before for before, after in numbers if isinstance(after, int) and not isinstance(after, bool))
    saved = sum(trade.hours for trade in fitted.trades)
    assert saved == pytest.approx(fitted.hours_before - fitted.hours)
    assert all(trade.gain is None or 0 < trade.gain <= 1 for trade in fitted.trades)


def test_frames_stay_legal() -> None:
    for name, step in (("wan2.1-1.3b", 4), ("cogvideox-5b", 8), ("ltx-video", 8), ("hunyuanvideo", 4)):
        frames = fit(load_recipe(name, ["budget.gpu_hours=4"])).recipe.shape.num_frames
        assert (frames - 1) % step == 0 and frames >= 17


def test_passes_over_the_clips_stay_the_same() -> None:
    before = load_recipe("wan2.1-1.3b", ["budget.gpu_hours=20"])
    after = fit(before).recipe

    def epochs(recipe: Recipe) -> float:
        num_clips = (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
        return recipe.train.num_steps * recipe.train.batch_size / num_clips

    assert after.train.num_steps < before.train.num_steps
    assert epochs(after) == pytest.approx(epochs(before), rel=0.05)


def test_what_fits_is_left_alone_and_fitting_twice_changes_nothing() -> None:
    roomy = load_recipe("wan2.1-1.3b", ["budget.gpu_hours=10000"])
    assert fit(roomy).recipe == roomy and fit(roomy).trades == ()
    once = fit(load_recipe("wan2.1-1.3b", ["budget.gpu_hours=4"])).recipe
    assert fit(once).recipe == once
    assert fit(load_recipe("sandbox")).trades == ()


def test_what_never_fits_is_refused() -> None:
    with pytest.raises(RecipeError, match="gpu_hours"):
        fit(load_recipe("hunyuanvideo", ["budget.gpu_hours=0.1"]))
    with pytest.raises(RecipeError, match="arithmetic"):
        fit(load_recipe("sandbox", ["budget.gpu_hours=4"]))


DRAFTS = "generate.draft={num_frames: 49, num_takes: 3}"
PLAIN = "budget.few_step=null"
"""Without few steps, whose savings would leave drafts and frames alone."""


@pytest.mark.parametrize("name", ["wan2.1-1.3b", "cogvideox-5b"])
def test_drafts_give_up_frames_steps_and_takes_too_and_are_never_longer_than_a_clip(name: str) -> None:
    before = load_recipe(name, ["budget.gpu_hours=4", DRAFTS, PLAIN])
    fitted = fit(before)
    after, draft = fitted.recipe, fitted.recipe.generate.draft
    assert draft is not None and draft.num_frames is not None and draft.num_steps is not None
    assert hours(after) <= 4 < hours(before)
    traded = {trade.setting: (trade.before, trade.after) for trade in fitted.trades}
    assert traded["generate.draft.num_frames"] == ("49", str(draft.num_frames))
    assert traded["generate.draft.num_steps"] == (str(before.generate.sampler.num_steps), str(draft.num_steps))
    assert traded["generate.draft.num_takes"] == ("3", str(draft.num_takes))
    assert draft.num_frames <= after.shape.num_frames and draft.num_steps <= after.generate.sampler.num_steps
    assert (draft.num_frames - 1) % (8 if name == "cogvideox-5b" else 4) == 0
    overrides = [f"{trade.setting}={trade.after}" for trade in fitted.trades]
    assert load_recipe(name, ["budget.gpu_hours=4", DRAFTS, PLAIN, *overrides]) == after


def test_drafts_are_cut_before_the_length_of_clips_and_roomy_budgets_leave_them() -> None:
    whole = load_recipe("wan2.1-1.3b", [DRAFTS, "budget.gpu_hours=10000"])
    assert fit(whole).trades == ()
    cuts = [
        fit(load_recipe("wan2.1-1.3b", [DRAFTS, PLAIN, f"budget.gpu_hours={limit}"])).recipe for limit in (32, 16, 8, 4)
    ]
    frames = [(recipe.shape.num_frames, recipe.generate.draft.num_frames) for recipe in cuts if recipe.generate.draft]
    assert len(frames) == 4 and frames[-1][0] < 81, "short clips at last"
    assert all(draft is not None and draft <= 33 for clip, draft in frames if clip < 81)


def test_better_choices_come_before_smaller_ones() -> None:
    before = load_recipe("wan2.1-1.3b", ["budget.gpu_hours=4"])
    after = fit(before).recipe
    assert after.generate.lora is not None and after.generate.sampler.num_steps == 4
    assert after.generate.sampler.guidance_scale == 1.0 and after.measure.sampler.cache is not None
    assert after.shape == before.shape, "no frame is given up while there are better choices"
    num_focus = before.diagnose.num_focus
    assert num_focus * after.measure.num_prompts >= FOCUS_PROMPTS
    plain = fit(load_recipe("wan2.1-1.3b", ["budget.gpu_hours=4", PLAIN])).recipe

    def clips(recipe: Recipe) -> int:
        return (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes

    assert plain.generate.lora is None
    assert clips(after) > 1000 > 500 > clips(plain)
    assert after.generate.latents == "sampler" and after.train.lora is not None
    assert after.train.learning_rate == before.budget.lora.learning_rate if before.budget.lora else False
    writers = (after.prompts.writer, after.prompts.questions, getattr(after.prompts.screen, "critic", None))
    assert [getattr(each, "model", None) for each in writers] == [
        ServerModelSpec(model="Qwen/Qwen2.5-7B-Instruct", server="here")
    ] * 3
    roomy = fit(load_recipe("wan2.1-1.3b", ["budget.gpu_hours=100"])).recipe
    assert roomy.generate.lora is not None and roomy.measure.num_prompts == before.measure.num_prompts
    assert roomy.prompts == before.prompts, "few steps alone are enough there"


def test_texts_that_are_written_together_share_the_reads_of_the_weights() -> None:
    recipe, gpu = load_recipe("wan2.1-1.3b"), find_gpu("H100")
    local = chat_price(recipe, "drafts", gpu)
    prices = []
    for num in (1, 32):
        many = recipe.runtime.servers["here"].model_copy(update={"max_concurrent": num})
        runtime = recipe.runtime.model_copy(update={"servers": {"here": many}})
        prices.append(chat_price(served(recipe.model_copy(update={"runtime": runtime})), "drafts", gpu))
    one, together = prices
    assert local is not None and one is not None and together is not None
    assert one.seconds == pytest.approx(local.seconds)
    reading = gpu.reading_seconds(2 * 7e9 * TOKENS_PER_DRAFT)
    assert one.seconds - together.seconds == pytest.approx(reading * 31 / 32)
    elsewhere = recipe.model_copy(update={"budget": recipe.budget.model_copy(update={"server": "other"})})
    assert served(elsewhere) == elsewhere, "a server that the recipe does not have"
    not_counted = served(recipe).model_copy(update={"budget": elsewhere.budget})
    assert chat_price(not_counted, "drafts", gpu) is None, "a server that the budget does not name is somebody else's"


def test_drafts_pay_where_they_drop_what_they_cost() -> None:
    recipe = load_recipe("wan2.1-1.3b")
    found = drafts_pay(recipe)
    assert found is not None and 0 < found.share < 1
    with_drafts = recipe.model_copy(
        update={"generate": recipe.generate.model_copy(update={"draft": found.draft})},
    )
    assert found.hours == pytest.approx(hours(with_drafts) - hours(recipe))
    assert drafts_pay(with_drafts) is None
    shape = recipe.shape.model_copy(update={"num_frames": 33})
    short = drafts_pay(recipe.model_copy(update={"shape": shape}))
    assert short is not None and short.share > 0.9, "a draft as long as a clip costs as much"


def test_only_the_steps_that_a_cache_computes_are_counted() -> None:
    recipe = load_recipe("wan2.1-1.3b")
    sampler = recipe.measure.sampler.model_copy(update={"cache": TaylorSeerCache(interval=3, num_first=3)})
    assert calls_per_clip(recipe.measure.sampler, recipe.base) == 100
    # Steps 0, 1, 2, then 4, 7, ..., 49.
    assert calls_per_clip(sampler, recipe.base) == 2 * (3 + 16)
