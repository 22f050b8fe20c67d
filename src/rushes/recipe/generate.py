"""What a recipe can say about generating: sampler, takes, how clips are stored, cheap drafts before full clips."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from rushes.records import SamplerSettings
from rushes.records.base import Share, Size
from rushes.roles import Spec

StoredAs = Literal["lossless", "h264"]
"""How frames are stored; see `store.blobs.Blobs.put_video`."""


class DraftSpec(Spec):
    """Cheap draft takes of every prompt: only prompts whose drafts leave something to select get full-length clips."""

    spec_name: ClassVar[str] = "draft"

    num_frames: Size | None = None
    """Frames of a draft take; None for those of `shape`."""
    height_px: Size | None = None
    """Its height, pixels; None for that of `shape`."""
    width_px: Size | None = None
    """Its width, pixels; None for that of `shape`."""
    num_steps: Size | None = None
    """Its denoising steps; None for those of `generate.sampler`."""
    num_takes: Size = 1
    """Draft takes per prompt."""
    hopeless: Share = 0.1
    """A prompt is dropped where no draft take scores above this: there would be no good take to learn from."""
    solved: Share = 0.95
    """A prompt is dropped where every draft take scores this or more: it is no weakness."""
    min_kept: Share = 0.25
    """Share of the prompts that gets full-length clips whatever the drafts say: the most uncertain of them."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.hopeless >= self.solved:
            raise ValueError(f"generate.draft.hopeless must be below solved, got {self.hopeless!r} and {self.solved!r}")
        return self


class GenerateSpec(Spec):
    """How the frozen model generates."""

    spec_name: ClassVar[str] = "generate"

    sampler: SamplerSettings = SamplerSettings(
        num_steps=20, guidance_scale=3.0, shift=2.0, scheduler="UniPCMultistepScheduler", precision="bfloat16"
    )
    num_takes: Size = 4
    """Seeds per prompt."""
    latents: Literal["sampler", "reencoded"] = "reencoded"
    """Train on latents as they leave the sampler, or on the decoded clip encoded again."""
    decode: bool = True
    """False keeps the clips to train on as latents alone: nobody looks at them, so the judge cannot score them and each
    weighs the same (`weights.kind: uniform`, plain fine-tuning on own clips). Probes, drafts and held-out clips are
    decoded in any case. Set back to true, the same clips are decoded and none is sampled anew."""
    stored_as: StoredAs = "lossless"
    """How every clip that a model generates is stored, and so judged and measured: `lossless`, or `h264`, much smaller
    and not quite the same. Clips of up to 4 MiB stay raw either way; real clips are always stored without loss."""
    draft: DraftSpec | None = None
    """Cheap draft takes first; None generates full-length clips of every prompt at once."""
