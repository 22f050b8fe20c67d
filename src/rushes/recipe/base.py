"""What a recipe can say about the model to improve, and the shape of its clips."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.records.base import Size
from rushes.roles import Spec


class ShapeSpec(Spec):
    """The size of every clip in the run."""

    spec_name: ClassVar[str] = "shape"

    height_px: Size = 64
    """Height, pixels; a multiple of the step that the model's autoencoder needs."""
    width_px: Size = 64
    """Width, pixels."""
    num_frames: Size = 17
    """Frames; 4 k + 1 for the causal video autoencoders."""
    fps: Annotated[float, Field(gt=0)] = 8.0
    """Frames per second."""

    @property
    def num_pixels(self) -> int:
        """Pixels of a clip, over all frames."""
        return self.num_frames * self.height_px * self.width_px


class StartAdapterSpec(Spec):
    """A low-rank adapter that is part of the model to improve: somebody's, or one that an earlier run has trained."""

    spec_name: ClassVar[str] = "base.lora"

    file: str | None = None
    """A .safetensors file of diffusers, ComfyUI or kohya's tools; a folder with one; or `USER/NAME:FILE.safetensors` on
    the Hub. Of two transformers it is for the first, for high noise; null where only the second has one."""
    file_2: str | None = None
    """The same for the second of two transformers, for low noise."""
    strength: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor of its change."""

    @model_validator(mode="after")
    def _names_a_file(self) -> Self:
        if self.file is None and self.file_2 is None:
            raise ValueError("base.lora names no file: set base.lora.file, or base.lora to null")
        return self


class BaseModelSpec(Spec):
    """The model to improve."""

    spec_name: ClassVar[str] = "base"
    added_later: ClassVar[frozenset[str]] = frozenset(
        {"autoencoder_precision", "autoencoder_tiles", "lora", "transformer_precision"}
    )

    family: Literal["auto", "wan", "cogvideox", "hunyuan", "ltx", "sana_video", "hunyuan15", "ltx2"] = "auto"
    """Model family; `auto` reads it from the model's `model_index.json`, any other value is checked against that."""
    model: str
    """A diffusers folder, a Hub id, or a folder inside an installed package: `rushes_sandbox:weights/base`."""
    revision: str | None = None
    """Commit or branch of a Hub id; null for its main branch."""
    max_tokens: Size = 32
    """Text length for training and sampling, tokens: 32 for the sandbox, 512 for Wan, 226 for CogVideoX, 256 for
    HunyuanVideo, 128 for LTX-Video, 300 for SANA-Video, 1000 for
    HunyuanVideo 1.5, 1024 for LTX-2."""
    text_precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the text encoders' weights: bfloat16 for the large ones of real models (22 GB in float32)."""
    autoencoder_precision: Literal["bfloat16"] | None = None
    """Number format of the autoencoder's weights; null for float32. In bfloat16 it decodes and encodes faster on CPUs
    that compute in it (`python benchmarks/cpu_speed.py` measures it). Pixels and latents differ a little, so it is part
    of the model's name in work keys."""
    autoencoder_tiles: bool = False
    """True decodes and encodes large frames in overlapping tiles, for clips whose decoding does not fit into memory.
    Pixels and latents differ near the seams, so it is part of the model's name in work keys."""
    lora: StartAdapterSpec | None = None
    """An adapter that is folded into the model's weights when it is loaded: clips are generated with it, and tuning
    goes on from there (docs/families.md)."""
    transformer_precision: Literal["bfloat16", "float8"] | None = None
    """Number format of the transformer's weights where they are not trained: while it samples, and below an adapter;
    null for float32, which also takes the place of the others on a processor without instructions for bfloat16.
    `bfloat16` is how large models are published, and `float8` stores most of the weights in 8 bits and computes in
    bfloat16. Both need `precision: bfloat16` in every sampler and in `train`. Clips differ, so it is part of the
    model's name in work keys. Tuning in full trains float32 weights, whatever it is."""
