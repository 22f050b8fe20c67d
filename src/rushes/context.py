"""The tools of a run, built when first needed: the model with whatever weights a stage asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rushes.recipe.recipe import Recipe, as_draft
from rushes.records import BlobRef, Checkpoint
from rushes.store.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from rushes.families.family import Conditions, Family


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
    def family(self) -> Family:
        """The loaded pipeline of the recipe's base model."""
        import torch

        from rushes.families.load import load_family
        from rushes.families.offload import offload_order

        torch.set_num_threads(self.recipe.runtime.num_threads)
        shapes = [recipe.shape for recipe in (self.recipe, as_draft(self.recipe))]
        runtime = self.recipe.runtime
        family = load_family(self.recipe.base, runtime.device, offload_order(runtime, shapes))
        for shape in shapes:
            family.latent_shape(shape)
        self.run.log.write("model_placed", **asdict(family.placement))
        self._loaded = family.fingerprint
        return family

    @property
    def conditions(self) -> Conditions:
        """What the transformer is told in training besides latents, timestep and text: as it was told when filming."""
        from rushes.families.family import Conditions

        return Conditions(fps=self.recipe.shape.fps, guidance=self.recipe.generate.sampler.guidance_scale)

    @cached_property
    def vocabulary(self) -> frozenset[str] | None:
        """The words a word-level tokenizer knows; None for models that can read any word."""
        from rushes.families.folder import word_level_vocabulary

        return word_level_vocabulary(self.recipe.base)

    @cached_property
    def base(self) -> Model:
        """The recipe's untouched model."""
        from rushes.families.folder import fingerprint_of

        return Model(fingerprint_of(self.recipe.base) or self.family.fingerprint, None)

    @cached_property
    def _base_weights(self) -> dict[str, Tensor]:
        """A copy in main memory, which a GPU has less of."""
        with self.family.plain_weights():
            return {name: value.to("cpu", copy=True) for name, value in self.family.transformer.state_dict().items()}

    def with_weights(self, model: Model, texts: Sequence[str] = ()) -> Family:
        """The pipeline with a model's weights in it; text encoder and autoencoder are the base's.

        Args:
            model: which weights.
            texts: all that it will have to read; where the recipe says so, read now, and the text encoder is freed.
        """
        family = self.family
        if texts and self.recipe.runtime.free_text_encoder:
            family.keep_texts(texts)
            family.drop_text_encoder()
        base = self._base_weights
        if self._loaded != model.name:
            family.load_weights(base if model.weights is None else self.run.blobs.read_tensors(model.weights))
            self._loaded = model.name
        return family
