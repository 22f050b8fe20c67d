"""Checks of another model that generates the clips to train on, and of the LoRA that is added to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rushes.errors import UserError
from rushes.families.added import added_lora, lora_file
from rushes.families.folder import family_of, local_folder, model_folder
from rushes.families.weights import hash_autoencoder
from rushes.findings import Finding
from rushes.recipe.recipe import Recipe
from rushes.train.off_policy import off_policy


def check_generating_model(recipe: Recipe) -> Iterator[Finding]:
    """The model is of a supported family, the one that the recipe names; it is here, or on the Hub."""
    other = recipe.generate.model
    if other is None:
        return
    try:
        if Path(model_folder(other.model)).is_dir() or local_folder(other) is None:
            family_of(other)
    except UserError as error:
        yield Finding(
            "generate.model.model",
            error.problem.replace("base.", "generate.model."),
            expected=error.expected,
            got=error.got_repr,
            next_step="name a model that docs/families.md lists in generate.model.model, correct "
            "generate.model.family, or leave generate.model out",
        )


def check_generating_lora(recipe: Recipe) -> Iterator[Finding]:
    """A LoRA file that is named by a path is there."""
    spec = recipe.generate.lora
    try:
        if spec is not None:
            lora_file(spec)
    except UserError as error:
        yield Finding.of("generate.lora.model", error)


def check_generating_lora_on_hub(recipe: Recipe) -> Iterator[Finding]:
    """A LoRA file on the Hub can be downloaded; it is kept in this machine's cache."""
    spec = recipe.generate.lora
    try:
        if spec is not None and lora_file(spec) is None:
            added_lora(spec)
    except UserError as error:
        yield Finding.of("generate.lora.model", error)


def check_generating_latents(recipe: Recipe) -> Iterator[Finding]:
    """Clips that are kept as latents alone come from the autoencoder of the model that is tuned."""
    other = recipe.generate.model
    if other is None or recipe.generate.decode:
        return
    folders = [local_folder(each) for each in (recipe.base, other)]
    try:
        hashes = [hash_autoencoder(each) for each in folders if each is not None]
    except (OSError, ValueError):
        return
    if len(set(hashes)) == 2:
        yield Finding(
            "generate.decode",
            "the model that generates has another autoencoder than the one that is tuned: its latents cannot be "
            "trained on",
            expected="true, so that its clips are encoded again",
            got="false",
            next_step="--set generate.decode=true",
        )


def check_off_policy(recipe: Recipe) -> Iterator[Finding]:
    """A warning where an objective for the tuned model's own clips gets those of another model."""
    try:
        said = off_policy(recipe)
    except UserError:  # see `check_plugins`
        return
    if said is not None:
        yield Finding(
            "train.objective",
            said,
            expected="an objective that reads weights alone, or clips of the model that is tuned",
            next_step="--set 'train.objective={kind: flow}' --set weights.kind=raw, or leave generate.model and "
            "generate.lora out",
            is_certain=False,
        )
