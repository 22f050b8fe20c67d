"""What a budget chooses before it makes anything smaller: each takes a recipe and returns it, changed or as it was."""

from __future__ import annotations

from typing import Final

from rushes.plan.setting import get_in, set_in
from rushes.recipe.generate import GenerateLoraSpec
from rushes.recipe.models import LocalModelSpec, ServerModelSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from rushes.records.caches import TaylorSeerCache

_MANY_STEPS: Final = 20
"""From this number of steps on a cache is worth it."""
COMPARED_STEPS: Final = 25
"""Steps of the comparison, of both models alike, that a budget keeps as long as there is data to train on."""
WRITING: Final = ("prompts.writer.model", "prompts.questions.model", "prompts.screen.critic.model")
"""Where a recipe names the language models that write its prompts."""


def few_steps(recipe: Recipe) -> Recipe:
    """Clips to train on from a distilled LoRA, if the budget names one: few steps, no guidance."""
    few, generate = recipe.budget.few_step, recipe.generate
    if few is None or generate.is_by_another or generate.sampler.num_steps <= few.num_steps:
        return recipe
    if recipe.base.transformer_precision == "float8":  # weights in 8 bits take no LoRA
        return recipe
    sampler = generate.sampler.model_copy(update={"num_steps": few.num_steps, "guidance_scale": 1.0, "cache": None})
    lora = GenerateLoraSpec(model=few.model, file=few.file)
    changed = recipe.model_copy(update={"generate": generate.model_copy(update={"lora": lora, "sampler": sampler})})
    return shorter_drafts(changed, num_steps=few.num_steps)


def cached(recipe: Recipe) -> Recipe:
    """Layers computed in every third step of the comparison, for both models alike, where it has many."""
    sampler = recipe.measure.sampler
    if sampler.cache is not None or sampler.num_steps < _MANY_STEPS:
        return recipe
    measure = recipe.measure.model_copy(update={"sampler": sampler.model_copy(update={"cache": TaylorSeerCache()})})
    return recipe.model_copy(update={"measure": measure})


def own_latents(recipe: Recipe) -> Recipe:
    """Latents as they leave the sampler, where the same autoencoder would only encode the decoded clip again."""
    generate = recipe.generate
    return recipe if generate.model is not None else set_in(recipe, "generate.latents", "sampler")


def served(recipe: Recipe) -> Recipe:
    """Prompts written on the server that the budget names, many at a time, by the same models."""
    name = recipe.budget.server
    if name is None or name not in recipe.runtime.servers:
        return recipe
    for setting in WRITING:
        model = get_in(recipe, setting)
        if isinstance(model, LocalModelSpec):
            recipe = set_in(recipe, setting, ServerModelSpec(model=model.model, server=name))
    return recipe


def fewer_compared_steps(recipe: Recipe) -> Recipe:
    """Base and tuned model sampled in `COMPARED_STEPS`, if it is more now."""
    return set_in(recipe, "measure.sampler.num_steps", min(COMPARED_STEPS, recipe.measure.sampler.num_steps))


def as_adapter(recipe: Recipe) -> Recipe:
    """An adapter in place of all weights, if the budget names one."""
    lora = recipe.budget.lora
    if lora is None or recipe.train.lora is not None:
        return recipe
    train = {"lora": LoraSpec(rank=lora.rank, alpha=lora.alpha), "learning_rate": lora.learning_rate}
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=train)})


def shorter_drafts(recipe: Recipe, **at_most: int) -> Recipe:
    """A draft never has more frames or steps than a full take; recipes without drafts do not change."""
    if recipe.generate.draft is None:
        return recipe
    draft = recipe.generate.draft
    own = {name: getattr(draft, name) for name in at_most}
    usual = {"num_frames": recipe.shape.num_frames, "num_steps": recipe.generate.sampler.num_steps}
    less = {name: most for name, most in at_most.items() if most < (own[name] or usual[name])}
    generate = recipe.generate.model_copy(update={"draft": draft.model_copy(update=less)})
    return recipe.model_copy(update={"generate": generate})
