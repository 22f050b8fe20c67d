"""Recipe settings for generation: sampler, takes, how clips are stored, cheap drafts before full clips."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.recipe.base import BaseModelSpec
from rushes.records import SamplerSettings
from rushes.records.base import Share, Size, Text
from rushes.roles import Spec

StoredAs = Literal["lossless", "h264"]
"""How frames are stored; see `store.blobs.Blobs.put_video`."""


class DraftSpec(Spec):
    """Cheap draft takes of every prompt; only prompts with something to learn from get full-length clips."""

    spec_name: ClassVar[str] = "draft"

    num_frames: Size | None = None
    """Frames of a draft take; null for those of `shape`."""
    height_px: Size | None = None
    """Height of a draft take, pixels; null for that of `shape`."""
    width_px: Size | None = None
    """Width of a draft take, pixels; null for that of `shape`."""
    num_steps: Size | None = None
    """Denoising steps of a draft take; null for those of `generate.sampler`."""
    num_takes: Size = 1
    """Draft takes per prompt."""
    hopeless: Share = 0.1
    """A prompt is dropped if no draft take scores above this: there would be no good take to learn from."""
    solved: Share = 0.95
    """A prompt is dropped if every draft take scores this or more: it is not a weakness."""
    min_kept: Share = 0.25
    """Share of the prompts that always get full-length clips, whatever the drafts score; the most uncertain ones."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.hopeless >= self.solved:
            raise ValueError(f"generate.draft.hopeless must be below solved, got {self.hopeless!r} and {self.solved!r}")
        return self


class GenerateLoraSpec(Spec):
    """A LoRA file that is added to the model that generates: usually a distilled one, for few steps without
    guidance."""

    spec_name: ClassVar[str] = "generate.lora"

    model: Text
    """A `.safetensors` file, a folder, or a Hub id."""
    file: Text | None = None
    """The file in that folder or on the Hub; null where there is only one."""
    revision: str | None = None
    """Commit or branch of a Hub id; null for its main branch."""
    strength: Annotated[float, Field(gt=0)] = 1.0
    """Factor of its change of the weights."""


class GenerateSpec(Spec):
    """How the frozen model generates."""

    spec_name: ClassVar[str] = "generate"
    added_later: ClassVar[frozenset[str]] = frozenset({"model", "lora"})

    sampler: SamplerSettings = SamplerSettings(
        num_steps=20, guidance_scale=3.0, shift=2.0, scheduler="UniPCMultistepScheduler", precision="bfloat16"
    )
    num_takes: Size = 4
    """Seeds per prompt."""
    latents: Literal["sampler", "reencoded"] = "reencoded"
    """Latents to train on: as they leave the sampler, or the decoded clip encoded again."""
    decode: bool = True
    """False keeps the training clips as latents only: the judge cannot score them, so all get the same weight
    (`weights.kind: uniform`, plain fine-tuning on the model's own clips). Probes, drafts and held-out clips are always
    decoded. If you set it back to true, the existing clips are decoded and none is sampled again."""
    stored_as: StoredAs = "lossless"
    """How every generated clip is stored, and therefore judged and measured: `lossless`, or `h264`, which is much
    smaller but not exact. Clips of up to 4 MiB stay raw either way; real clips are always stored without loss."""
    draft: DraftSpec | None = None
    """Cheap draft takes first; null generates full-length clips of every prompt directly."""
    model: BaseModelSpec | None = None
    """Another model that generates the clips to train on, such as a larger one, with settings as in `base`; null for
    the model that is tuned. Probes and held-out clips always come from the model that is tuned."""
    lora: GenerateLoraSpec | None = None
    """Added to the weights that generate, and to nothing else; null for none."""

    @property
    def is_by_another(self) -> bool:
        """Whether other weights than those that are tuned generate the clips to train on."""
        return self.model is not None or self.lora is not None
