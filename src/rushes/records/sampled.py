"""The record of a clip that somebody asked for, to look at it: see `rushes.sample`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from rushes.records.base import BlobRef, Count, Key, KeyedRecord, Seconds, Size, Text
from rushes.records.expensive import SamplerSettings


class SampledClip(KeyedRecord):
    """A clip of a text that somebody typed or picked. It is never judged, measured or trained on.

    Example:
        SampledClip(key="2d" * 32, text="A red ball rolls.", seed=0, model="5a" * 32, checkpoint="5a" * 32, step=200,
                    strength=1.0, height_px=64, width_px=64, num_frames=17, fps=8.0, seconds=0.8,
                    sampler=SamplerSettings(num_steps=20, guidance_scale=4.0, shift=3.0, scheduler="UniPC"),
                    video=BlobRef(sha256="5f" * 32, suffix=".mkv", num_bytes=208_984))
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"seconds"})

    text: Text
    """The text given to the model."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Seed of the first noise, as it was asked for."""
    model: Text
    """Name of the weights: fingerprint of the base, key of a checkpoint, or a key of both with the strength."""
    checkpoint: Key | None
    """The run's checkpoint; None for the base, and for weights from outside the run."""
    step: Count | None
    """Steps of training of that checkpoint, 0 for the base; None for weights from outside the run."""
    strength: Annotated[float, Field(ge=0.0)]
    """How much of the change from the base counts: 1 is the checkpoint itself."""
    sampler: SamplerSettings
    """How it was sampled."""
    height_px: Size
    """Height, pixels."""
    width_px: Size
    """Width, pixels."""
    num_frames: Size
    """Number of frames."""
    fps: Annotated[float, Field(gt=0.0)]
    """Frames per second."""
    seconds: Seconds
    """Wall-clock seconds spent on generating it; not part of its identity."""
    video: BlobRef
    """Its frames."""

    @property
    def frames(self) -> BlobRef:
        """The stored frames, by the name that other clips have for them."""
        return self.video
