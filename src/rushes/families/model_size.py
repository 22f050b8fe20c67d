"""The sizes of a model that decide its memory, from configs and headers or a loaded pipeline; and memory estimates."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rushes.families.experts import PARTS
from rushes.families.paper import Paper, paper_of, read_paper
from rushes.recipe.base import ShapeSpec
from rushes.recipe.train import TrainSpec

FLOAT: Final = 4
"""Bytes per weight: models are loaded, tuned and averaged in float32."""
_COMPRESSION: Final = {
    "AutoencoderKLLTXVideo": (8, 32),
    "AutoencoderKLLTX2Video": (8, 32),
    "AutoencoderKLHunyuanVideo15": (4, 16),
}
"""Frames and pixels per latent if not 4 and 8."""
_WITH_IMAGE: Final = frozenset({"HunyuanVideo15Transformer3DModel"})
"""Transformers whose input has places for an image beside the latents; their output has none."""
_LINEAR: Final = frozenset({"SanaVideoTransformer3DModel"})
"""Transformers whose attention over the video never has a matrix of scores."""
TILE_PIXELS: Final = 512 * 512
"""Pixels of the largest tile that an autoencoder of these families works on at once; some have smaller ones."""


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a model that decide how much memory it needs."""

    num_transformer: int
    """Parameters of the transformer."""
    num_text: int
    """Parameters of its text encoders."""
    num_autoencoder: int
    """Parameters of its autoencoder."""
    num_layers: int
    """Blocks of the transformer."""
    width: int
    """Width of its residual stream."""
    ffn: int
    """Width inside its feed-forward layers."""
    num_heads: int
    """Attention heads that have a matrix of scores; 0 for linear attention."""
    channels: int
    """Latent channels."""
    patch: tuple[int, int, int]
    """Latent frames, rows and columns per token."""
    compression: tuple[int, int]
    """Frames and pixels per latent."""
    decoder_width: int
    """Channels of the autoencoder at full resolution, per pixel of the clip."""
    num_experts: int = 1
    """Transformers of this size: two where one predicts at high noise and one at low."""
    paper: Paper | None = None
    """The transformer on paper, whose passes are counted; None if they cannot be."""
    has_tiles: bool = False
    """Whether the autoencoder works on large frames in tiles."""

    @property
    def num_all(self) -> int:
        """Parameters of all transformers."""
        return self.num_experts * self.num_transformer

    def num_latents(self, shape: ShapeSpec) -> int:
        """Numbers in one clip's latents."""
        frames, height, width = self.grid(shape)
        return self.channels * frames * height * width

    def num_tokens(self, shape: ShapeSpec) -> int:
        """Tokens of one clip."""
        frames, height, width = self.grid(shape)
        return max(1, frames // self.patch[0]) * max(1, height // self.patch[1]) * max(1, width // self.patch[2])

    def grid(self, shape: ShapeSpec) -> tuple[int, int, int]:
        """Latent frames, rows and columns of a clip."""
        temporal, spatial = self.compression
        return (shape.num_frames - 1) // temporal + 1, shape.height_px // spatial, shape.width_px // spatial


def read_model_size(folder: Path) -> ModelSize | None:
    """The sizes of a diffusers folder, from its configs and the headers of its weights; no weight is read.

    Returns:
        None if the folder is not on this machine, or its transformer's config lacks a needed value.
    """
    try:
        return _size(
            json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8")),
            json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8")),
            num_transformer=_num_parameters(folder / "transformer"),
            num_text=sum(_num_parameters(each) for each in folder.glob("text_encoder*")),
            num_autoencoder=_num_parameters(folder / "vae"),
            num_experts=1 + (folder / PARTS["low"]).is_dir(),
            paper=read_paper(folder),
        )
    except (OSError, KeyError, TypeError, ValueError):
        return None


def loaded_model_size(pipeline: Any) -> ModelSize | None:
    """The sizes of a loaded diffusers pipeline; None if its transformer's config lacks a needed value."""
    parts = {name: getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2", "transformer", "vae")}
    count = {
        name: 0 if part is None else sum(value.numel() for value in part.parameters()) for name, part in parts.items()
    }
    transformer = {"_class_name": type(pipeline.transformer).__name__, **pipeline.transformer.config}
    autoencoder = dict(pipeline.vae.config)
    try:
        return _size(
            transformer,
            {"_class_name": type(pipeline.vae).__name__, **autoencoder},
            num_transformer=count["transformer"],
            num_text=count["text_encoder"] + count["text_encoder_2"],
            num_autoencoder=count["vae"],
            num_experts=1 + (getattr(pipeline, PARTS["low"], None) is not None),
            paper=paper_of(
                type(pipeline.transformer).__name__,
                transformer,
                expand_timesteps=bool(pipeline.config.get("expand_timesteps")),
            ),
            has_tiles=bool(getattr(pipeline.vae, "use_tiling", False)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _size(
    config: Mapping[str, Any],
    autoencoder: Mapping[str, Any],
    *,
    num_transformer: int,
    num_text: int,
    num_autoencoder: int,
    num_experts: int,
    paper: Paper | None,
    has_tiles: bool = False,
) -> ModelSize:
    num_heads, head_width = int(config["num_attention_heads"]), int(config["attention_head_dim"])
    width = num_heads * head_width
    is_linear = config.get("_class_name") in _LINEAR
    return ModelSize(
        num_transformer=num_transformer,
        num_text=num_text,
        num_autoencoder=num_autoencoder,
        num_layers=int(config["num_layers"]) + int(config.get("num_single_layers", 0)),
        width=width,
        # A gated layer has twice the width inside.
        ffn=int(2 * config["mlp_ratio"] * width) if is_linear else int(config.get("ffn_dim", 4 * width)),
        num_heads=0 if is_linear else num_heads,
        channels=int(config["out_channels" if config.get("_class_name") in _WITH_IMAGE else "in_channels"]),
        patch=_patch(config),
        compression=_COMPRESSION.get(autoencoder.get("_class_name", ""), (4, 8)),
        decoder_width=_decoder_width(autoencoder),
        num_experts=num_experts,
        paper=paper,
        has_tiles=has_tiles,
    )


def _patch(config: Mapping[str, Any]) -> tuple[int, int, int]:
    size = config.get("patch_size", 1)
    if isinstance(size, (list, tuple)):
        return int(size[0]), int(size[1]), int(size[2])
    return int(config.get("patch_size_t") or 1), int(size), int(size)


def _decoder_width(config: Mapping[str, Any]) -> int:
    """Channels at full resolution; an autoencoder that works on patches of pixels has fewer per pixel."""
    channels = config.get("base_dim") or min(config.get("block_out_channels") or [128])
    return max(1, int(channels) // int(config.get("patch_size") or 1) ** 2)


def _num_parameters(folder: Path) -> int:
    return sum(_in_header(file) for file in folder.glob("[!.]*.safetensors")) if folder.is_dir() else 0


def _in_header(file: Path) -> int:
    """Numbers in a safetensors file, from its header.

    Raises:
        ValueError: it is not one, or its header names more than the file holds.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as weights:
            return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def sampling_bytes(model: ModelSize, shape: ShapeSpec, num_clips: int) -> float:
    """Memory of sampling and decoding besides the loaded pipeline: the larger of one block and the autoencoder.

    Set `num_heads` to 0 for attention that does not store the matrix of scores, as on GPUs.
    """
    tokens = model.num_tokens(shape)
    block = tokens * (8 * model.width + 2 * model.ffn) + 2 * model.num_heads * tokens * tokens
    return num_clips * max(FLOAT * block, decoding_bytes(model, shape.num_frames, shape.height_px * shape.width_px))


def decoding_bytes(model: ModelSize, num_frames: int, pixels: int) -> float:
    """Memory of decoding one clip besides the loaded autoencoder.

    Args:
        model: its sizes.
        num_frames: frames of the clip.
        pixels: of one frame.
    """
    # Decoded a latent frame at a time: some feature maps of those frames, and all frames of the clip.
    frames = min(num_frames, model.compression[0])
    at_once = min(pixels, TILE_PIXELS) if model.has_tiles else pixels
    return FLOAT * (12 * model.decoder_width * frames * at_once + 3 * 3 * num_frames * pixels)


def moment_bytes(spec: TrainSpec) -> int:
    """Bytes of the optimiser's two moments per trained parameter."""
    return 2 if spec.optimizer == "adamw_8bit" else 8
