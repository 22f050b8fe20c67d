"""Which model generates the clips to train on: the one that is tuned, or another one that the recipe names."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.families.added import added_lora
from rushes.families.folder import local_folder
from rushes.families.models import Model, Models
from rushes.families.weights import hash_autoencoder
from rushes.recipe.base import BaseModelSpec
from rushes.records import MadeBy
from rushes.store.identity import content_hash


@dataclass(frozen=True)
class Source:
    """The model that generates."""

    models: Models
    """The loaded pipeline that its weights go into."""
    model: Model
    """Its weights, by a name that covers everything that decides its clips."""
    made_by: MadeBy | None = None
    """What clip records say about it; None for the model that is tuned."""
    is_trained_on: bool = True
    """Whether its latents can be trained on: its autoencoder is that of the model that is tuned."""


def source_of(context: Context, model: Model) -> Source:
    """Who generates the clips to train on.

    Args:
        context: the run in progress.
        model: the model of the round.

    Raises:
        InputError: the recipe's other model or its LoRA file cannot be found.
        RecipeError: the other model has another autoencoder, and the recipe keeps latents alone.
    """
    spec = context.recipe.generate
    if not spec.is_by_another:
        return Source(context.models, model)
    other, named = context.generators, spec.model or context.recipe.base
    own = model if spec.model is None else other.base
    made_by = MadeBy(model=named.model, revision=named.revision, fingerprint=own.name)
    is_trained_on = spec.model is None or has_same_autoencoder(context.recipe.base, spec.model)
    if not is_trained_on and not spec.decode:
        raise RecipeError(
            "the model that generates has another autoencoder than the one that is tuned: its latents cannot be "
            "trained on",
            expected="generate.decode: true, so that its clips are encoded again",
            got=spec.decode,
            next_step="--set generate.decode=true",
        )
    if spec.lora is not None:
        added = added_lora(spec.lora)
        name = content_hash({"model": own.name, "lora": added.sha256, "strength": added.strength})
        own = replace(own, name=name, added=added)
        said = {"lora": added.file.name, "lora_sha256": added.sha256, "lora_strength": added.strength}
        made_by = MadeBy(**{**made_by.model_dump(), **said})
    return Source(other, own, made_by, is_trained_on)


def has_same_autoencoder(tuned: BaseModelSpec, other: BaseModelSpec) -> bool:
    """Whether the latents of two models mean the same; False where one of them is not on this machine."""
    folders = [local_folder(each) for each in (tuned, other)]
    try:
        first, second = (hash_autoencoder(each) for each in folders if each is not None)
    except (OSError, ValueError):
        return False
    return first == second
