"""The base model with the weights that a stage requests, loaded on first use in any process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rushes.families.folder import fingerprint_of
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import BlobRef, Checkpoint
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog

if TYPE_CHECKING:
    from torch import Tensor

    from rushes.families.family import Family


@dataclass(frozen=True)
class Model:
    """Weights by name: the recipe's base, or a checkpoint on it."""

    name: str
    """Fingerprint of the base's files, or key of the checkpoint."""
    weights: BlobRef | None
    """The checkpoint's weights; None for the base."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Model:
        """The model of a checkpoint."""
        return cls(checkpoint.key, checkpoint.weights)


class Models:
    """One loaded pipeline whose weights are swapped. A finished run loads nothing, and each worker loads its own."""

    def __init__(
        self,
        base: BaseModelSpec,
        runtime: RuntimeSpec,
        shapes: Sequence[ShapeSpec],
        blobs: Blobs,
        log: EventLog | None = None,
    ) -> None:
        """Remember what to load; load nothing.

        Args:
            base: the model.
            runtime: device and threads, whether the text encoder is freed after encoding, and what is offloaded.
            shapes: of all clips that it will generate, at least one.
            blobs: where the weights of checkpoints are stored.
            log: gets an event with the placement of the model's parts; not sent to workers.
        """
        self._base, self._runtime, self._shapes, self._log = base, runtime, tuple(shapes), log
        # An absolute path: a worker has another working directory.
        self._blobs = replace(blobs, folder=blobs.folder.resolve())
        self._loaded: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_base", "_runtime", "_shapes", "_blobs")
        return {**{name: getattr(self, name) for name in kept}, "_log": None, "_loaded": None}

    @cached_property
    def family(self) -> Family:
        """The loaded pipeline of the base model.

        Raises:
            RecipeError: the model cannot make clips of one of the shapes.
        """
        import torch

        from rushes.families.load import load_family
        from rushes.families.offload import offload_order

        torch.set_num_threads(self._runtime.num_threads)
        family = load_family(self._base, self._runtime.device, offload_order(self._runtime, self._shapes))
        for shape in self._shapes:
            family.latent_shape(shape)
        if self._log is not None:
            self._log.write("model_placed", **asdict(family.placement))
        self._loaded = family.fingerprint
        return family

    @cached_property
    def base(self) -> Model:
        """The base model, before any training."""
        return Model(fingerprint_of(self._base) or self.family.fingerprint, None)

    @cached_property
    def _copy_of_base(self) -> dict[str, Tensor]:
        """A copy in main memory, since GPU memory is scarce."""
        with self.family.plain_weights():
            return {name: value.to("cpu", copy=True) for name, value in self.family.transformer.state_dict().items()}

    def _base_weights(self) -> Mapping[str, Tensor]:
        """The copy; or, for a base that is not loaded in float32, what its files hold, read again."""
        is_float32 = self._base.transformer_precision is None
        return self._copy_of_base if is_float32 else self.family.master_weights()

    def weights(self, model: Model) -> Mapping[str, Tensor]:
        """A model's weights, float32, in main memory; not to be changed."""
        return self._base_weights() if model.weights is None else self._blobs.read_tensors(model.weights)

    def with_weights(self, model: Model, texts: Sequence[str] = ()) -> Family:
        """The pipeline with a model's weights in it; text encoder and autoencoder are the base's.

        Args:
            model: which weights.
            texts: all texts that it will need. If the recipe says so, they are encoded now, and the text encoder is
                freed.
        """
        family = self.family
        if texts and self._runtime.free_text_encoder:
            family.keep_texts(texts)
            family.drop_text_encoder()
        if self._base.transformer_precision is None:
            _ = self._copy_of_base  # made before anything overwrites them
        if self._loaded != model.name:
            family.load_weights(
                self._base_weights() if model.weights is None else self._blobs.read_tensors(model.weights)
            )
            self._loaded = model.name
        return family
