"""Preview clips while training runs: the stock pipeline with the averaged weights, as mp4 files for people.

A preview changes no weight and uses no random state of training. If it fails (too little memory, an error), the event
log records why and training continues. Legend: T frames, H height, W width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor

from rushes.errors import RecipeError
from rushes.families.family import Family
from rushes.families.model_size import ModelSize, loaded_model_size, sampling_bytes
from rushes.families.recompute import SAFETY, free_bytes
from rushes.families.texts import as_negative
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import PreviewRuntime
from rushes.records import SamplerSettings
from rushes.store.identity import seed_from_key
from rushes.store.video import write_video
from rushes.train.network import Network
from rushes.train.tracker import Preview

MARGIN: Final = 2.0
"""The memory model of sampling may be off by this factor, so that much more must be free."""
TARGET_PX: Final = 256
"""Tiny clips are enlarged to about this side, so that they are visible in a player."""


class Log(Protocol):
    """As `EventLog.write`."""

    def __call__(self, event: str, **fields: object) -> None:
        """Append one event."""
        ...


@dataclass(frozen=True)
class PreviewOrder:
    """What to sample, how, and where the files go."""

    texts: tuple[str, ...]
    """Prompts."""
    sampler: SamplerSettings
    """The run's sampler settings."""
    shape: ShapeSpec
    """The shape of the run's clips; the number of frames is an upper bound."""
    every: int
    """Steps between previews; 0 for none."""
    num_steps: int
    """Steps of training: there is always a preview of the last."""
    folder: Path
    """Where the files go: `step-000050-1.mp4` is the second prompt after 50 steps."""

    @classmethod
    def of(
        cls,
        runtime: PreviewRuntime,
        own_texts: Sequence[str],
        *,
        sampler: SamplerSettings,
        shape: ShapeSpec,
        num_steps: int,
        folder: Path,
    ) -> PreviewOrder:
        """The previews of a recipe.

        Args:
            runtime: `runtime.train.previews`.
            own_texts: prompts of the clips that are trained on, used if none are named.
            sampler: `generate.sampler`.
            shape: of the run's clips.
            num_steps: of training.
            folder: where the files go.
        """
        texts = runtime.prompts or tuple(dict.fromkeys(own_texts))[: runtime.num_prompts]
        frames = min(shape.num_frames, runtime.num_frames or shape.num_frames)
        return cls(
            texts=texts if runtime.every else (),
            sampler=sampler.model_copy(update={"num_steps": runtime.num_steps or sampler.num_steps}),
            shape=shape.model_copy(update={"num_frames": frames}),
            every=runtime.every,
            num_steps=num_steps,
            folder=folder,
        )

    @property
    def read(self) -> tuple[str, ...]:
        """All texts that previews need encoded: the prompts, and the sampler's negative prompt."""
        return (as_negative(self.sampler.negative_prompt), *self.texts) if self.texts else ()

    def is_due(self, step: int) -> bool:
        """Whether a preview is due after `step` optimiser steps; 0 is before the first."""
        return bool(self.texts) and (step % self.every == 0 or step == self.num_steps)

    def path(self, step: int, index: int) -> Path:
        """File of one prompt after `step` steps."""
        return self.folder / f"step-{step:06d}-{index}.mp4"


@dataclass(frozen=True, eq=False)
class Previews:
    """Makes the preview clips of one training run."""

    order: PreviewOrder
    log: Log
    """Records every clip, and every clip that could not be made, with the reason."""
    free: Callable[[torch.device], int | None] = free_bytes
    """Returns the free memory of a device; replaced in tests."""
    shown: Callable[[Preview], None] = lambda preview: None
    """Called with every clip that was made: the tracker's."""

    def make(self, network: Network, average: Mapping[str, Tensor], step: int) -> None:
        """Sample the missing clips that are due after `step` steps. It never raises, and changes neither argument.

        Args:
            network: the current network; sharded or offloaded ones have no previews.
            average: the averaged parameters.
            step: optimiser steps done.
        """
        if not self.order.is_due(step):
            return
        missing = [i for i in range(len(self.order.texts)) if not self.order.path(step, i).exists()]
        if not missing:
            return
        try:
            self._sample(network, average, step, missing)
        except Exception as error:  # no error in a preview may end hours of training
            self._tell("preview_failed", step=step, error=f"{type(error).__name__}: {error}"[:1000])

    def _sample(self, network: Network, average: Mapping[str, Tensor], step: int, missing: Sequence[int]) -> None:
        family, order = network.family, self.order
        if any(hasattr(value, "placements") for value in network.parameters().values()):
            self._tell("preview_skipped", step=step, reason="the weights are spread over several processes")
            return
        if family.placement.offload != "none":
            self._tell("preview_skipped", step=step, reason="the model's other parts are offloaded to main memory")
            return
        shape = self._affordable(family)
        if shape is None:
            self._tell("preview_skipped", step=step, reason="not even one frame fits into the memory that is free")
            return
        sampler = order.sampler
        if network.autocast and sampler.precision == "float32":
            # Frozen weights are in bfloat16 then, which float32 layers cannot use.
            sampler = sampler.model_copy(update={"precision": "bfloat16"})
        for index in missing:
            text = order.texts[index]
            with acting(network, average):
                latents = family.sample([text], [seed_from_key(text, "preview")], sampler, shape)
                (frames,) = family.decode(latents)
            scale = max(1, round(TARGET_PX / max(shape.height_px, shape.width_px)))
            path = order.path(step, index)
            write_video(path, frames, shape.fps, scale=scale)
            self.shown(Preview(step, index, text, path, frames))
            self._tell("preview", step=step, file=str(path), num_frames=shape.num_frames, prompt=text)

    def _affordable(self, family: Family) -> ShapeSpec | None:
        size = loaded_model_size(family.pipeline)
        free = self.free(family.device)
        if size is None or free is None:
            return self.order.shape
        if family.device.type == "cuda":
            size = replace(size, num_heads=0)
        return shape_that_fits(family, size, self.order.shape, free)

    def _tell(self, event: str, **fields: object) -> None:
        # A full disk must not end training through the log either; the next checkpoint will report it.
        with contextlib.suppress(Exception):
            self.log(event, **fields)


def shape_that_fits(family: Family, size: ModelSize, shape: ShapeSpec, free: int) -> ShapeSpec | None:
    """`shape` with as many of its frames as fit into free memory for one clip; None if not even one frame does.

    Args:
        family: its rules for the number of frames apply.
        size: sizes that determine its memory.
        shape: the requested shape.
        free: free memory, bytes.
    """
    for num_frames in (shape.num_frames, *range((shape.num_frames - 2) // 4 * 4 + 1, 0, -4)):
        tried = shape.model_copy(update={"num_frames": num_frames})
        try:
            family.latent_shape(tried)
        except RecipeError:
            continue
        if MARGIN * sampling_bytes(size, tried, 1) <= SAFETY * free:
            return tried
    return None


@contextlib.contextmanager
def acting(network: Network, average: Mapping[str, Tensor]) -> Iterator[None]:
    """Run the family's pipeline with the network and its averaged parameters; afterwards everything is restored.

    Parameters and average are swapped, so that no additional memory is needed.
    """
    family, tuned = network.family, network.tuned
    before, was_training = family.transformer, tuned.training
    devices = [family.device] if family.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _changed_places(network.parameters(), average):
        try:
            family.pipeline.register_modules(**{family.part: tuned.eval()})
            yield
        finally:
            family.pipeline.register_modules(**{family.part: before})
            tuned.train(was_training)
            if devices:
                torch.cuda.empty_cache()


@contextlib.contextmanager
def _changed_places(parameters: Mapping[str, Tensor], average: Mapping[str, Tensor]) -> Iterator[None]:
    def change() -> None:
        for name, value in parameters.items():
            value.data, average[name].data = average[name].data, value.data

    change()
    try:
        yield
    finally:
        change()


@contextlib.contextmanager
def texts_at_hand(family: Family, texts: Sequence[str], *, free_encoder: bool) -> Iterator[None]:
    """Keep the encoded `texts` in memory meanwhile, and drop them afterwards.

    Later stages may encode a text in another batch, which changes its last bits. They must not reuse these states.

    Args:
        family: the loaded model.
        texts: to encode and keep.
        free_encoder: whether to free the text encoder's memory.
    """
    new = family.keep_texts(texts) if texts else []
    if free_encoder:
        family.drop_text_encoder()
    try:
        yield
    finally:
        family.forget_texts(new)
