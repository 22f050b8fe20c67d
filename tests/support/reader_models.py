"""Random models large enough for other programs to recognise (they take head sizes for granted), tuned and exported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
from torch import Tensor

from rushes.export.full import export_merged
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.train import LoraSpec
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint

RANK: Final = 2
_COGVIDEOX: Final[dict[str, Any]] = {
    "attention_head_dim": 64, "in_channels": 16, "out_channels": 16, "time_embed_dim": 512, "text_embed_dim": 96,
    "num_layers": 2, "sample_width": 90, "sample_height": 60, "sample_frames": 49, "max_text_seq_length": 226,
}  # fmt: skip
_NEWER: Final[dict[str, Any]] = {
    "patch_size_t": 2, "patch_bias": False, "sample_height": 300, "sample_width": 300, "sample_frames": 81,
}  # fmt: skip
CONFIGS: Final[dict[str, dict[str, Any]]] = {
    "wan": {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 128, "in_channels": 16,
        "out_channels": 16, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 512, "num_layers": 2, "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads", "eps": 1e-6, "rope_max_seq_len": 1024,
    },
    "hunyuan": {
        "in_channels": 16, "out_channels": 16, "num_attention_heads": 2, "attention_head_dim": 128, "num_layers": 2,
        "num_single_layers": 2, "num_refiner_layers": 2, "text_embed_dim": 4096, "pooled_projection_dim": 768,
        "rope_axes_dim": (16, 56, 56), "guidance_embeds": True,
    },
    "cogvideox-2b": {**_COGVIDEOX, "num_attention_heads": 3},
    "cogvideox-5b": {**_COGVIDEOX, "num_attention_heads": 2, "use_rotary_positional_embeddings": True},
    "cogvideox-1.5": {**_COGVIDEOX, **_NEWER, "num_attention_heads": 2, "use_rotary_positional_embeddings": True},
    "ltx": {
        "in_channels": 128, "out_channels": 128, "patch_size": 1, "patch_size_t": 1, "num_attention_heads": 32,
        "attention_head_dim": 8, "cross_attention_dim": 256, "num_layers": 2, "caption_channels": 4096,
    },
}  # fmt: skip
"""Settings of each transformer: those of the released models, but for the width and the number of blocks."""
_CLASSES: Final = {
    "wan": ("WanTransformer3DModel", "WanPipeline"),
    "hunyuan": ("HunyuanVideoTransformer3DModel", "HunyuanVideoPipeline"),
    "cogvideox": ("CogVideoXTransformer3DModel", "CogVideoXPipeline"),
    "ltx": ("LTXVideoTransformer3DModel", "LTXPipeline"),
}


@dataclass(frozen=True)
class Exported:
    """A tuned model's files."""

    model: Any
    """The tuned transformer, as diffusers has it."""
    plain: Path
    """The base's whole weights, as `rushes export merged` writes them."""
    merged: Path
    """The tuned ones."""
    adapters: dict[str, Path]
    """LoRA files by dialect."""


def export(name: str, folder: Path, *dialects: str) -> Exported:
    """Make one of `CONFIGS`, change every linear layer by a product of rank 2, and export it as `dialects`."""
    family = name.split("-")[0]
    class_name, pipeline = _CLASSES[family]
    model = _random(class_name, CONFIGS[name])
    model.save_pretrained(str(folder / "base" / "transformer"))
    index = {"_class_name": pipeline, "_diffusers_version": "0.42.1", "transformer": ["diffusers", class_name]}
    (folder / "base" / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    _tune(model)
    base = BaseModelSpec.model_validate({"family": family, "model": str(folder / "base"), "max_tokens": 16})
    train = tiny_recipe(folder / "base").train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=3)})
    add_checkpoint(folder / "run", sandbox_recipe(name="readers", base=base, train=train), _copy(model))
    with Run.view(folder / "run") as run:
        source = choose(run)
        plain, merged = (folder / f"merged-{strength:g}" for strength in (0.0, 1.0))
        export_merged(source, plain, 0.0, torch.float32)
        export_merged(source, merged, 1.0, torch.float32)
        for dialect in dialects:
            export_lora(source, folder / dialect, dialect, LoraOptions())
    return Exported(model, _only(plain), _only(merged), {each: _only(folder / each) for each in dialects})


def _random(class_name: str, config: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model = getattr(diffusers, class_name)(**config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(9)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # norms of ones and biases of zeros would hide a wrong place
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def _tune(model: Any) -> None:
    generator = torch.Generator().manual_seed(4)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            up = torch.randn(module.out_features, RANK, generator=generator)
            down = torch.randn(RANK, module.in_features, generator=generator)
            module.weight += 0.7 * module.weight.std() * up @ down


def _copy(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _only(folder: Path) -> Path:
    (file,) = folder.glob("*.safetensors")
    return file
