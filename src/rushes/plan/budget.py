"""Reduces a recipe until everything, data and judging included, fits into a number of GPU-hours: a pure function.

Better choices come before smaller ones: generation in few steps, a cache in the comparison; then the comparison and the
probes shrink, then the data, then length and steps of drafts and clips, then everything to the smallest useful size.
The remaining budget is spent on prompts. Training keeps its number of epochs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from rushes.errors import RecipeError
from rushes.plan.counts import num_focused
from rushes.plan.detectable import detectable
from rushes.plan.gpus import find_gpu
from rushes.plan.models import RealModel, known_model
from rushes.plan.plan import hours_on
from rushes.recipe.dimensions import probed
from rushes.recipe.generate import GenerateLoraSpec
from rushes.recipe.recipe import Recipe
from rushes.records.caches import TaylorSeerCache

Change = Callable[[Recipe], Recipe]

_SHOWN: Final = (
    "generate.lora",
    "generate.sampler.guidance_scale",
    "generate.sampler.num_steps",
    "measure.sampler.cache",
    "measure.only_focus",
    "measure.num_takes",
    "measure.num_diversity_takes",
    "measure.num_diversity_prompts",
    "measure.num_extra_focus_prompts",
    "measure.num_prompts",
    "diagnose.num_prompts",
    "prompts.num_weakness",
    "prompts.num_caption",
    "prompts.real.num_clips",
    "train.num_steps",
    "measure.sampler.num_steps",
    "generate.num_takes",
    "shape.num_frames",
)
"""Settings that may be changed, in the order in which they are shown."""
FOCUS_PROMPTS: Final = 40
"""Prompts in the focus that the comparison keeps as long as there is anything else to give up."""
_MANY_STEPS: Final = 20
"""From this number of steps on a cache is worth it."""
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


# ---------------------------------------------------------------------------------------------- what may be given up


def _changes(model: RealModel) -> Iterator[Change]:
    """Changes, from the least to the most harmful."""
    yield _few_steps
    yield _cached
    for _ in range(6):
        yield _halve("measure.num_takes", 1)
        yield _halve("measure.num_diversity_takes", 4)
        yield _halve("measure.num_diversity_prompts", 2)
        yield _halve("measure.num_extra_focus_prompts", 0)
        yield _halve("diagnose.num_prompts", 4)
    yield _only_focus
    yield _fewer_compared
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


def _few_steps(recipe: Recipe) -> Recipe:
    """Clips to train on from a distilled LoRA, if the budget names one: few steps, no guidance."""
    few, generate = recipe.budget.few_step, recipe.generate
    if few is None or generate.is_by_another or generate.sampler.num_steps <= few.num_steps:
        return recipe
    if recipe.base.transformer_precision == "float8":  # weights in 8 bits take no LoRA
        return recipe
    sampler = generate.sampler.model_copy(update={"num_steps": few.num_steps, "guidance_scale": 1.0, "cache": None})
    lora = GenerateLoraSpec(model=few.model, file=few.file)
    changed = recipe.model_copy(update={"generate": generate.model_copy(update={"lora": lora, "sampler": sampler})})
    return _shorter_drafts(changed, num_steps=few.num_steps)


def _cached(recipe: Recipe) -> Recipe:
    """Layers computed in every third step of the comparison, for both models alike, where it has many."""
    sampler = recipe.measure.sampler
    if sampler.cache is not None or sampler.num_steps < _MANY_STEPS:
        return recipe
    measure = recipe.measure.model_copy(update={"sampler": sampler.model_copy(update={"cache": TaylorSeerCache()})})
    return recipe.model_copy(update={"measure": measure})


def _only_focus(recipe: Recipe) -> Recipe:
    """Only the focus is compared; the other dimensions are not measured."""
    return recipe.model_copy(update={"measure": recipe.measure.model_copy(update={"only_focus": True})})


def _fewer_compared(recipe: Recipe) -> Recipe:
    """No more prompts in the focus than `FOCUS_PROMPTS` needs."""
    return _set(recipe, "measure.num_prompts", min(recipe.measure.num_prompts, _enough(recipe)))


def _enough(recipe: Recipe) -> int:
    """Prompts of each dimension that make `FOCUS_PROMPTS` in the focus."""
    return math.ceil(FOCUS_PROMPTS / max(1, num_focused(recipe, len(probed(recipe.diagnose)))))


def _halve(setting: str, least: int) -> Change:
    def change(recipe: Recipe) -> Recipe:
        value = _get(recipe, setting)
        return recipe if value <= least else _set(recipe, setting, max(least, value // 2))

    return change


def _data(least: int) -> Change:
    """Half of the prompts and of the real clips."""

    def change(recipe: Recipe) -> Recipe:
        prompts = recipe.prompts
        if prompts.num_weakness <= least:
            return recipe
        recipe = _set(recipe, "prompts.num_weakness", max(least, prompts.num_weakness // 2))
        recipe = _set(recipe, "prompts.num_caption", prompts.num_caption // 2)
        return _set(recipe, "prompts.real.num_clips", max(min(32, prompts.real.num_clips), prompts.real.num_clips // 2))

    return change


def _frames(model: RealModel, at_most: int) -> Change:
    def change(recipe: Recipe) -> Recipe:
        frames = min(recipe.shape.num_frames, _legal(model, at_most))
        return _shorter_drafts(_set(recipe, "shape.num_frames", frames), num_frames=frames)

    return change


def _legal(model: RealModel, at_most: int) -> int:
    """The largest number of frames that a family can generate; 8 k + 1 is legal for all families."""
    # CogVideoX's autoencoder needs an odd number of latent frames.
    step = model.size.compression[0] * (2 if model.family == "cogvideox" else 1)
    return (at_most - 1) // step * step + 1


def _draft(model: RealModel, *, num_frames: int, num_steps: int, num_takes: int) -> Change:
    """Drafts with at most that many frames, steps and takes."""
    return lambda recipe: _shorter_drafts(
        recipe, num_frames=_legal(model, num_frames), num_steps=num_steps, num_takes=num_takes
    )


def _shorter_drafts(recipe: Recipe, **at_most: int) -> Recipe:
    """A draft never has more frames or steps than a full take; recipes without drafts do not change."""
    if recipe.generate.draft is None:
        return recipe
    draft = recipe.generate.draft
    own = {name: getattr(draft, name) for name in at_most}
    usual = {"num_frames": recipe.shape.num_frames, "num_steps": recipe.generate.sampler.num_steps}
    less = {name: most for name, most in at_most.items() if most < (own[name] or usual[name])}
    generate = recipe.generate.model_copy(update={"draft": draft.model_copy(update=less)})
    return recipe.model_copy(update={"generate": generate})


def _steps(at_most: int) -> Change:
    """Sampling steps of both samplers."""

    def change(recipe: Recipe) -> Recipe:
        for setting in ("generate.sampler.num_steps", "measure.sampler.num_steps"):
            recipe = _set(recipe, setting, min(at_most, _get(recipe, setting)))
        return _shorter_drafts(recipe, num_steps=at_most)

    return change


def _with_same_epochs(original: Recipe, recipe: Recipe) -> Recipe:
    """The same number of epochs as the original."""
    if original.train.num_epochs is not None:
        return recipe
    share = _num_own(recipe) / max(1, _num_own(original))
    return _set(recipe, "train.num_steps", max(1, round(original.train.steps * share)))


def _filled(original: Recipe, fitted: Recipe, fits: Callable[[Recipe], bool]) -> Recipe:
    """As many weakness prompts as fit, up to the original number."""
    low, high = fitted.prompts.num_weakness, original.prompts.num_weakness
    best = fitted
    while low < high:
        middle = (low + high + 1) // 2
        tried = _with_same_epochs(original, _set(fitted, "prompts.num_weakness", middle))
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
        old, new = _get(before, setting), _get(after, setting)
        if old != new:
            so_far = _set(so_far, setting, new)
            found.append(_trade(setting, (_text(old), _text(new)), spent - hours(so_far), so_far))
            spent = hours(so_far)
    first, last = before.generate.draft, after.generate.draft
    if first is not None and last is not None and first != last:
        usual = {"num_frames": before.shape.num_frames, "num_steps": before.generate.sampler.num_steps}
        for name in _DRAFT:
            old, new = getattr(first, name) or usual.get(name), getattr(last, name)
            # If a draft is as long as a full take, it has no separate setting that could be reduced.
            if new is not None and new != old:
                so_far = _set(so_far, f"generate.draft.{name}", new)
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


def _get(recipe: Recipe, setting: str) -> Any:
    value: Any = recipe
    for name in setting.split("."):
        value = getattr(value, name)
    return value


def _set(recipe: Recipe, setting: str, value: Any) -> Recipe:
    changed: Recipe = _changed(recipe, setting.split("."), value)
    return changed


def _changed(model: Any, names: list[str], value: Any) -> Any:
    holder: BaseModel = model
    if len(names) > 1:
        return holder.model_copy(update={names[0]: _changed(getattr(holder, names[0]), names[1:], value)})
    return holder.model_copy(update={names[0]: value})
