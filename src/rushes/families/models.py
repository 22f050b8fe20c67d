"""The base model with the weights that a stage requests, loaded on first use in any process."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rushes.families.added import Added, add_lora
from rushes.families.folder import fingerprint_of
from rushes.families.weights import blend
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
    strength: float = 1.0
    """How much of the difference from the base counts: 0 is the base, 1 the checkpoint, more exaggerates it. For
    low-rank adapters this is the scale of the adapter."""
    file: Path | None = None
    """A file outside the run with the weights, or with a low-rank adapter; None where `weights` has them."""
    weights_2: BlobRef | None = None
    """Those of the second of two transformers, if both were tuned."""
    added: Added | None = None
    """A LoRA file whose change is added to these weights; its content is part of the name."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Model:
        """The model of a checkpoint."""
        return cls(checkpoint.key, checkpoint.weights, weights_2=checkpoint.weights_2)


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
        from rushes.families.speed import Speed, compile_blocks

        torch.set_num_threads(self._runtime.num_threads)
        family = load_family(self._base, self._runtime.device, offload_order(self._runtime, self._shapes))
        for shape in self._shapes:
            family.latent_shape(shape)
        if self._log is not None:
            self._log.write("model_placed", **asdict(family.placement))
        sampling = self._runtime.sampling
        if sampling.compile_blocks:
            for network in family.transformers.values():
                compile_blocks(network, setting="runtime.sampling.compile_blocks")
        family = family.with_speed(Speed(sampling, self._runtime.allow_remote_code, self._log))
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
            return {name: value.to("cpu", copy=True) for name, value in self.family.weights().items()}

    def _base_weights(self) -> Mapping[str, Tensor]:
        """The copy; or, for a base that is not held in float32, what its files hold, read again."""
        return self._copy_of_base if self._is_plain else self.family.all_master_weights()

    @property
    def _is_plain(self) -> bool:
        """Whether the loaded weights are all that the files hold."""
        return self.family.load_transformer is None

    def weights(self, model: Model) -> Mapping[str, Tensor]:
        """A model's weights, float32, in main memory; not to be changed. Of two transformers one may not be tuned."""
        if model.file is None and model.weights is None and model.weights_2 is None:
            return self._base_weights()
        tuned = [self._blobs.read_tensors(each) for each in (model.weights, model.weights_2) if each is not None]
        if model.file is None and model.strength == 1.0 and len(tuned) == len(self.family.transformers):
            return {name: value for part in tuned for name, value in part.items()}
        base = self._base_weights()
        if model.file is not None:
            from rushes.families.outside import read_weights

            after = read_weights(model.file, base, self.family.pipeline)
        else:
            after = {name: value for part in (base, *tuned) for name, value in part.items()}
        if model.strength == 1.0:
            return after
        return {name: blend(value, after[name], model.strength) for name, value in base.items()}

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
        if self._is_plain:
            _ = self._copy_of_base  # made before anything overwrites them
        if self._loaded != model.name:
            self._loaded = None  # where adding fails, the weights are neither
            family.load_weights(self.weights(model))
            if model.added is not None:
                add_lora(family, model.added)
            self._loaded = model.name
        return family

    def release(self) -> None:
        """Free the memory of what is loaded; it is loaded again on use."""
        if "family" not in vars(self):
            return
        vars(self).pop("_copy_of_base", None)
        device = vars(self).pop("family").device
        self._loaded = None
        gc.collect()
        if device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
