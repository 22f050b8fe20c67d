"""Reduces a recipe until everything, data and judging included, fits into a number of GPU-hours: a pure function.

Better choices come before smaller ones: generation in few steps, a cache in the comparison, latents as they are
sampled, prompts written many at a time; then the comparison and the probes shrink, an adapter is trained, then the data
shrinks, then length and steps of drafts and clips, then everything to the smallest useful size.
The remaining budget is spent on prompts. Training keeps its number of epochs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import BaseModel

from rushes.errors import RecipeError
from rushes.plan.choices import as_adapter, cached, few_steps, fewer_compared_steps, own_latents, served, shorter_drafts
from rushes.plan.counts import num_focused
from rushes.plan.detectable import detectable
from rushes.plan.gpus import find_gpu
from rushes.plan.models import RealModel, known_model, real_model
from rushes.plan.plan import hours_on, plan_on
from rushes.plan.setting import get_in, set_in
from rushes.recipe.dimensions import probed
from rushes.recipe.generate import DraftSpec
from rushes.recipe.recipe import Recipe

Change = Callable[[Recipe], Recipe]

_SHOWN: Final = (
    "generate.lora",
    "generate.sampler.guidance_scale",
    "generate.sampler.num_steps",
    "measure.sampler.cache",
    "generate.latents",
    "prompts.writer.model",
    "prompts.questions.model",
    "prompts.screen.critic.model",
    "measure.only_focus",
    "measure.num_takes",
    "measure.num_diversity_takes",
    "measure.num_diversity_prompts",
    "measure.num_extra_focus_prompts",
    "measure.num_prompts",
    "measure.sampler.num_steps",
    "train.lora",
    "train.learning_rate",
    "diagnose.num_prompts",
    "prompts.num_weakness",
    "prompts.num_caption",
    "prompts.real.num_clips",
    "train.num_steps",
    "generate.num_takes",
    "shape.num_frames",
)
"""Settings that may be changed, in the order in which they are shown."""
FOCUS_PROMPTS: Final = 40
"""Prompts in the focus that the comparison keeps as long as there is anything else to give up."""
DRAFT_FRAMES: Final = 33
"""Frames of the drafts that `drafts_pay` counts."""
_DRAFT: Final = ("num_frames", "num_steps", "num_takes")
"""Those of `generate.draft`, if a recipe uses drafts."""


@dataclass(frozen=True)
class Trade:
    """One setting that was changed."""

    setting: str
    """Its name in a recipe, as in `--set`."""
    before: str
    """Its value as `--set` takes it."""
    after: str
    hours: float
    """GPU-hours that it saves after those before it."""
    gain: float | None
    """Smallest gain in the mean of the focus that the recipe can see with it and those before it, 0 to 1; None if no
    gain could be seen."""


@dataclass(frozen=True)
class Fitted:
    """A recipe that fits."""

    recipe: Recipe
    """The recipe with the changes, within its budget."""
    trades: tuple[Trade, ...]
    """What was changed; empty if it fitted unchanged."""
    hours_before: float
    """GPU-hours that the recipe was estimated at."""
    hours: float
    """GPU-hours that it is estimated at now."""


def fit(recipe: Recipe) -> Fitted:
    """The recipe within its `budget`, or unchanged if it has none.

    Raises:
        RecipeError: the base model or the GPU is unknown, or even the smallest version does not fit.
    """
    limit = recipe.budget.gpu_hours
    if limit is None:
        return Fitted(recipe, (), 0.0, 0.0)
    model = known_model(recipe, otherwise="--set budget.gpu_hours=null, and choose the numbers yourself (rushes plan)")
    gpu = find_gpu(recipe.budget.gpu)
    hours = partial(hours_on, gpu=gpu)
    fitted = recipe
    for change in _changes(model):
        if hours(fitted) <= limit:
            break
        fitted = _with_same_epochs(recipe, change(fitted))
    if hours(fitted) > limit:
        raise RecipeError(
            "this recipe does not fit its budget, even at its smallest",
            expected=f"budget.gpu_hours of {hours(fitted):.1f} or more on one {gpu.name}",
            got=limit,
            next_step=f"--set budget.gpu_hours={math.ceil(hours(fitted))}, name a faster budget.gpu, or choose a "
            "smaller model or shape",
        )
    fitted = _filled(recipe, fitted, lambda of: hours(of) <= limit)
    return Fitted(fitted, _trades(recipe, fitted, hours), hours(recipe), hours(fitted))


@dataclass(frozen=True)
class DraftsPay:
    """When drafts would pay, which a plan cannot know: how many prompts they drop shows only in the run."""

    draft: DraftSpec
    """The drafts."""
    hours: float
    """GPU-hours that drafts of all prompts take, judged."""
    share: float
    """Share of the prompts that they must drop, so that the clips that are not generated and judged pay for them."""


def drafts_pay(recipe: Recipe) -> DraftsPay | None:
    """When drafts of `DRAFT_FRAMES` frames would pay; None for a recipe that has or can have none, or another model.

    Raises:
        RecipeError: the GPU is unknown.
    """
    model, gpu = real_model(recipe), find_gpu(recipe.budget.gpu)
    if model is None or recipe.generate.draft is not None or not recipe.generate.decode or not recipe.is_judged:
        return None
    draft = DraftSpec(num_frames=min(recipe.shape.num_frames, _legal(model, DRAFT_FRAMES)))
    hours = hours_on(set_in(recipe, "generate.draft", draft), gpu) - hours_on(recipe, gpu)
    stages = plan_on(recipe, model, gpu)
    whole = sum(each.seconds or 0.0 for each in stages if each.stage in ("generate", "judge")) / 3600
    return DraftsPay(draft, hours, hours / whole) if whole else None


# ---------------------------------------------------------------------------------------------- what may be given up


def _changes(model: RealModel) -> Iterator[Change]:
    """Changes, from the least to the most harmful."""
    yield few_steps
    yield cached
    yield own_latents
    yield served
    for _ in range(6):
        yield _halve("measure.num_takes", 1)
        yield _halve("measure.num_diversity_takes", 4)
        yield _halve("measure.num_diversity_prompts", 2)
        yield _halve("measure.num_extra_focus_prompts", 0)
        yield _halve("diagnose.num_prompts", 4)
    yield _only_focus
    yield _fewer_compared
    yield fewer_compared_steps
    yield as_adapter
    for _ in range(7):
        yield _halve("diagnose.num_prompts", 2)
        yield _data(least=96)
    yield _draft(model, num_frames=33, num_steps=20, num_takes=2)
    for num_frames in (121, 97, 81, 65, 49):
        yield _frames(model, num_frames)
    yield _steps(30)
    yield _draft(model, num_frames=17, num_steps=12, num_takes=1)
    yield _frames(model, 33)
    for _ in range(8):
        yield _data(least=24)
        yield _halve("measure.num_extra_focus_prompts", 0)
        yield _halve("measure.num_prompts", 2)
        yield _halve("diagnose.num_prompts", 1)
        yield _halve("measure.num_diversity_prompts", 0)
    yield _halve("generate.num_takes", 2)
    yield _frames(model, 17)
    yield _steps(20)


def _only_focus(recipe: Recipe) -> Recipe:
    """Only the focus is compared; the other dimensions are not measured."""
    return recipe.model_copy(update={"measure": recipe.measure.model_copy(update={"only_focus": True})})


def _fewer_compared(recipe: Recipe) -> Recipe:
    """No more prompts in the focus than `FOCUS_PROMPTS` needs."""
    return set_in(recipe, "measure.num_prompts", min(recipe.measure.num_prompts, _enough(recipe)))


def _enough(recipe: Recipe) -> int:
    """Prompts of each dimension that make `FOCUS_PROMPTS` in the focus."""
    return math.ceil(FOCUS_PROMPTS / max(1, num_focused(recipe, len(probed(recipe.diagnose)))))


def _halve(setting: str, least: int) -> Change:
    def change(recipe: Recipe) -> Recipe:
        value = get_in(recipe, setting)
        return recipe if value <= least else set_in(recipe, setting, max(least, value // 2))

    return change


def _data(least: int) -> Change:
    """Half of the prompts and of the real clips."""

    def change(recipe: Recipe) -> Recipe:
        prompts = recipe.prompts
        if prompts.num_weakness <= least:
            return recipe
        recipe = set_in(recipe, "prompts.num_weakness", max(least, prompts.num_weakness // 2))
        recipe = set_in(recipe, "prompts.num_caption", prompts.num_caption // 2)
        return set_in(
            recipe, "prompts.real.num_clips", max(min(32, prompts.real.num_clips), prompts.real.num_clips // 2)
        )

    return change


def _frames(model: RealModel, at_most: int) -> Change:
    def change(recipe: Recipe) -> Recipe:
        frames = min(recipe.shape.num_frames, _legal(model, at_most))
        return shorter_drafts(set_in(recipe, "shape.num_frames", frames), num_frames=frames)

    return change


def _legal(model: RealModel, at_most: int) -> int:
    """The largest number of frames that a family can generate; 8 k + 1 is legal for all families."""
    # CogVideoX's autoencoder needs an odd number of latent frames.
    step = model.size.compression[0] * (2 if model.family == "cogvideox" else 1)
    return (at_most - 1) // step * step + 1


def _draft(model: RealModel, *, num_frames: int, num_steps: int, num_takes: int) -> Change:
    """Drafts with at most that many frames, steps and takes."""
    return lambda recipe: shorter_drafts(
        recipe, num_frames=_legal(model, num_frames), num_steps=num_steps, num_takes=num_takes
    )


def _steps(at_most: int) -> Change:
    """Sampling steps of both samplers."""

    def change(recipe: Recipe) -> Recipe:
        for setting in ("generate.sampler.num_steps", "measure.sampler.num_steps"):
            recipe = set_in(recipe, setting, min(at_most, get_in(recipe, setting)))
        return shorter_drafts(recipe, num_steps=at_most)

    return change


def _with_same_epochs(original: Recipe, recipe: Recipe) -> Recipe:
    """The same number of epochs as the original."""
    if original.train.num_epochs is not None:
        return recipe
    share = _num_own(recipe) / max(1, _num_own(original))
    return set_in(recipe, "train.num_steps", max(1, round(original.train.steps * share)))


def _filled(original: Recipe, fitted: Recipe, fits: Callable[[Recipe], bool]) -> Recipe:
    """As many weakness prompts as fit, up to the original number."""
    low, high = fitted.prompts.num_weakness, original.prompts.num_weakness
    best = fitted
    while low < high:
        middle = (low + high + 1) // 2
        tried = _with_same_epochs(original, set_in(fitted, "prompts.num_weakness", middle))
        if fits(tried):
            low, best = middle, tried
        else:
            high = middle - 1
    return best


def _num_own(recipe: Recipe) -> int:
    return (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes


def _trades(before: Recipe, after: Recipe, hours: Callable[[Recipe], float]) -> tuple[Trade, ...]:
    """The differences, with what each saves, taken one after the other in the order of `_SHOWN`."""
    found, so_far, spent = [], before, hours(before)
    for setting in _SHOWN:
        old, new = get_in(before, setting), get_in(after, setting)
        if old != new:
            so_far = set_in(so_far, setting, new)
            found.append(_trade(setting, (_text(old), _text(new)), spent - hours(so_far), so_far))
            spent = hours(so_far)
    first, last = before.generate.draft, after.generate.draft
    if first is not None and last is not None and first != last:
        usual = {"num_frames": before.shape.num_frames, "num_steps": before.generate.sampler.num_steps}
        for name in _DRAFT:
            old, new = getattr(first, name) or usual.get(name), getattr(last, name)
            # If a draft is as long as a full take, it has no separate setting that could be reduced.
            if new is not None and new != old:
                so_far = set_in(so_far, f"generate.draft.{name}", new)
                found.append(_trade(f"generate.draft.{name}", (str(old), str(new)), spent - hours(so_far), so_far))
                spent = hours(so_far)
    return tuple(found)


def _trade(setting: str, values: tuple[str, str], hours: float, recipe: Recipe) -> Trade:
    rows = detectable(recipe)
    return Trade(setting, *values, hours, rows[0].gain if rows else None)


def _text(value: object) -> str:
    """A value as `--set` takes it."""
    plain = value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
    return json.dumps(plain)
