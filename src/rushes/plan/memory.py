"""How much memory a stage takes at its peak: weights, their copies, optimiser, average, activations. A model, in bytes.

It is meant to be within a factor of two, to tell before hours are spent whether a recipe fits at all. A test holds it
to what small models are measured to take on a CPU: full and low-rank training, and filming came out at 0.76 to 1.24.
Where the device is a GPU, all but the libraries lies there.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rushes.specs import Recipe, ShapeSpec, TrainSpec

FLOAT: Final = 4
"""Bytes of a weight: models are loaded, tuned and averaged in float32."""
LIBRARIES: Final = 700e6
"""Resident size of the process with torch, diffusers and transformers imported, before a model is loaded."""
FIRST_USE: Final = 60e6
"""What the libraries add when a model first runs: code that is loaded then, and their own work space."""
AUTOCAST: Final = 0.75
"""Activations in bfloat16 beside float32: what linear layers keep halves, norms and the residual stream stay."""

# What one transformer block keeps for its backward pass, in bytes, fitted to the tensors that autograd saves for
# WanTransformer3DModel in float32, with attention as plain matrix products (widths 192 and 384, 20 to 320 tokens).
_PER_TOKEN_WIDTH: Final = 90.0
_PER_TOKEN_FFN: Final = 8.0
_PER_TEXT_WIDTH: Final = 22.0
_PER_SCORE: Final = 4.0

_COMPRESSION: Final = {"AutoencoderKLLTXVideo": (8, 32)}
"""Frames and pixels per latent where it is not 4 and 8."""


@dataclass(frozen=True)
class ModelSize:
    """What of a model decides how much memory it takes."""

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
    """Attention heads."""
    channels: int
    """Latent channels."""
    patch: tuple[int, int, int]
    """Latent frames, rows and columns per token."""
    compression: tuple[int, int]
    """Frames and pixels per latent."""
    decoder_width: int
    """Channels of the autoencoder where it works at full resolution, per pixel of the clip."""

    def num_latents(self, shape: ShapeSpec) -> int:
        """Numbers in one clip's latents."""
        frames, height, width = self._grid(shape)
        return self.channels * frames * height * width

    def num_tokens(self, shape: ShapeSpec) -> int:
        """Tokens of one clip."""
        frames, height, width = self._grid(shape)
        return max(1, frames // self.patch[0]) * max(1, height // self.patch[1]) * max(1, width // self.patch[2])

    def _grid(self, shape: ShapeSpec) -> tuple[int, int, int]:
        temporal, spatial = self.compression
        return (shape.num_frames - 1) // temporal + 1, shape.height_px // spatial, shape.width_px // spatial


def read_model_size(folder: Path) -> ModelSize | None:
    """The sizes of a diffusers folder, from its configs and the headers of its weights; no weight is read.

    Returns:
        None where the folder is not on this machine, or its transformer's config lacks what is needed.
    """
    try:
        config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
        autoencoder = json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))
        num_heads, head_width = int(config["num_attention_heads"]), int(config["attention_head_dim"])
        width = num_heads * head_width
        return ModelSize(
            num_transformer=_num_parameters(folder / "transformer"),
            num_text=sum(_num_parameters(each) for each in folder.glob("text_encoder*")),
            num_autoencoder=_num_parameters(folder / "vae"),
            num_layers=int(config["num_layers"]) + int(config.get("num_single_layers", 0)),
            width=width,
            ffn=int(config.get("ffn_dim", 4 * width)),
            num_heads=num_heads,
            channels=int(config["in_channels"]),
            patch=_patch(config),
            compression=_COMPRESSION.get(autoencoder.get("_class_name", ""), (4, 8)),
            decoder_width=_decoder_width(autoencoder),
        )
    except (OSError, KeyError, TypeError, ValueError, struct.error):
        return None


def _patch(config: dict[str, Any]) -> tuple[int, int, int]:
    size = config.get("patch_size", 1)
    if isinstance(size, list):
        return int(size[0]), int(size[1]), int(size[2])
    return int(config.get("patch_size_t") or 1), int(size), int(size)


def _decoder_width(config: dict[str, Any]) -> int:
    """Channels at full resolution; an autoencoder that works on patches of pixels has fewer per pixel."""
    channels = config.get("base_dim") or min(config.get("block_out_channels") or [128])
    return max(1, int(channels) // int(config.get("patch_size") or 1) ** 2)


def _num_parameters(folder: Path) -> int:
    return sum(_in_header(file) for file in folder.glob("*.safetensors")) if folder.is_dir() else 0


def _in_header(file: Path) -> int:
    """Numbers in a safetensors file, from its header: eight bytes of length, then JSON."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for extent in tensor["shape"]:
                size *= extent
            total += size
    return total


def adapter_parameters(model: ModelSize, rank: int) -> int:
    """Parameters of a low-rank adapter on both attentions and the feed-forward layers of every block."""
    return model.num_layers * rank * (8 * 2 * model.width + 2 * (model.width + model.ffn))


def saved_activations(model: ModelSize, shape: ShapeSpec, num_clips: int, num_text: int) -> float:
    """Bytes that the backward pass of a batch needs, in float32, without gradient checkpointing."""
    tokens = model.num_tokens(shape)
    per_clip = (
        tokens * (_PER_TOKEN_WIDTH * model.width + _PER_TOKEN_FFN * model.ffn)
        + num_text * _PER_TEXT_WIDTH * model.width
        + model.num_heads * tokens * (tokens + num_text) * _PER_SCORE
    )
    return num_clips * model.num_layers * per_clip


def loaded_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The pipeline, and the copy of the base's transformer that is kept for changing weights."""
    text = FLOAT / 2 if recipe.base.text_precision == "bfloat16" else FLOAT
    return FLOAT * (2 * model.num_transformer + model.num_autoencoder) + text * model.num_text


def film_bytes(model: ModelSize, recipe: Recipe) -> float:
    """Filming: the larger of one block at work and the autoencoder at work, for a batch."""
    shape, batch = recipe.shape, recipe.runtime.generate_batch
    tokens = model.num_tokens(shape)
    block = tokens * (8 * model.width + 2 * model.ffn) + 2 * model.num_heads * tokens * tokens
    # Decoded a latent frame at a time: some feature maps of those frames, and all frames of the batch.
    frames = min(shape.num_frames, model.compression[0])
    pixels = shape.height_px * shape.width_px
    decoder = 12 * model.decoder_width * frames * pixels + 3 * 3 * shape.num_frames * pixels
    return FIRST_USE + loaded_bytes(model, recipe) + FLOAT * batch * max(block, decoder)


def train_bytes(model: ModelSize, recipe: Recipe, num_samples: int) -> float:
    """Training: copies of the transformer, optimiser, average, data, and the largest of what comes and goes."""
    spec = recipe.train
    tuned = model.num_transformer if spec.lora is None else adapter_parameters(model, spec.lora.rank)
    copies = (2 if spec.lora is None else 1) * model.num_transformer + (tuned if spec.lora else 0)
    optimiser, average = 2 * tuned, tuned
    data = num_samples * (model.num_latents(recipe.shape) + recipe.base.max_tokens * model.width)
    lasting = FIRST_USE + loaded_bytes(model, recipe) + FLOAT * (copies + optimiser + average + data)
    merging = FLOAT * 2 * model.num_transformer
    return lasting + max(_step_bytes(model, recipe, spec, tuned), _saving_bytes(tuned), merging)


def _step_bytes(model: ModelSize, recipe: Recipe, spec: TrainSpec, tuned: int) -> float:
    num_clips = spec.batch_size // spec.num_accumulation
    activations = saved_activations(model, recipe.shape, num_clips, recipe.base.max_tokens)
    activations *= 1 + 1 / model.num_layers  # the backward pass holds the gradients of one block beside them
    if spec.precision == "bfloat16":
        # The weights are there once more in bfloat16 while a step lasts.
        activations = AUTOCAST * activations + FLOAT / 2 * model.num_transformer
    return FLOAT * tuned + activations


def _saving_bytes(tuned: int) -> float:
    """Saving the state: copies of weights, average and both moments, each as bytes, and all of the file."""
    return 3 * FLOAT * 4 * tuned


def peak_bytes(model: ModelSize, recipe: Recipe, stage: str) -> int | None:
    """Memory of a stage at its peak, libraries included; None where there is nothing to say.

    Args:
        model: the base.
        recipe: what is to be done.
        stage: a stage of the plan: "diagnose", "prompts", "generate", "judge", "train", "measure".
    """
    shape = recipe.shape
    num_own = (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
    clip_bytes = shape.num_frames * shape.height_px * shape.width_px * 3
    own = {
        "diagnose": film_bytes(model, recipe),
        "generate": film_bytes(model, recipe),
        "measure": film_bytes(model, recipe),
        "train": train_bytes(model, recipe, num_own + recipe.prompts.real.num_clips),
    }
    if stage in own:
        return round(LIBRARIES + own[stage])
    if stage == "prompts" and recipe.prompts.writer.kind in ("grammar", "fixed"):
        return round(LIBRARIES + loaded_bytes(model, recipe))  # the model stays loaded from the diagnosis
    if stage == "judge" and recipe.judge.judge.kind == "sandbox":
        # Its features: 48 channels at a quarter of the resolution and what convolutions keep beside them.
        features = recipe.runtime.judge_batch * clip_bytes * (1 + 4 * FLOAT)
        return round(LIBRARIES + loaded_bytes(model, recipe) + features)
    return None
