"""The tools of a run, built when first needed: the model with whatever weights a stage asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rushes.records import BlobRef, Checkpoint
from rushes.specs import Recipe
from rushes.store.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from rushes.families.wan import Wan


@dataclass(frozen=True)
class Model:
    """Weights by name: the recipe's base, or a checkpoint on it."""

    name: str
    """Fingerprint of the base's weights, or key of the checkpoint."""
    weights: BlobRef | None
    """The checkpoint's weights; None for the base."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Model:
        """The model that a checkpoint is."""
        assert isinstance(checkpoint.weights, BlobRef)
        return cls(checkpoint.key, checkpoint.weights)


class Workbench:
    """Holds one loaded pipeline and swaps weights in it; a finished run loads nothing."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        """Remember what to load; load nothing."""
        self.recipe = recipe
        self.run = run
        self._loaded: str | None = None

    @cached_property
    def wan(self) -> Wan:
        """The loaded pipeline of the recipe's base model."""
        import torch

        from rushes.families.wan import load_wan

        torch.set_num_threads(self.recipe.runtime.num_threads)
        wan = load_wan(self.recipe.base, self.recipe.runtime.device)
        self._loaded = wan.fingerprint
        return wan

    @cached_property
    def vocabulary(self) -> frozenset[str] | None:
        """The words a word-level tokenizer knows; None for models that can read any word."""
        from rushes.families.wan import word_level_vocabulary

        return word_level_vocabulary(self.recipe.base)

    @cached_property
    def base(self) -> Model:
        """The recipe's untouched model."""
        from rushes.families.wan import fingerprint_of

        return Model(fingerprint_of(self.recipe.base) or self.wan.fingerprint, None)

    @cached_property
    def _base_weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.wan.transformer.state_dict().items()}

    def with_weights(self, model: Model) -> Wan:
        """The pipeline with a model's weights in it; text encoder and autoencoder are the base's."""
        wan = self.wan
        base = self._base_weights
        if self._loaded != model.name:
            wan.load_weights(base if model.weights is None else self.run.blobs.read_tensors(model.weights))
            self._loaded = model.name
        return wan
