"""What is measured, at which size: tiny, the sandbox's own model, and released models at their true shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rushes.recipe.base import ShapeSpec


@dataclass(frozen=True)
class Setup:
    """What is measured, at which size."""

    name: str
    shape: ShapeSpec
    transformer: dict[str, Any]
    autoencoder: dict[str, Any]
    text: tuple[int, int]
    """Tokens and width of the text states."""
    judge_text: dict[str, Any]
    judge_vision: dict[str, Any]
    judge_pixels: int
    """Largest number of pixels of a frame that the judge's processor keeps."""
    num_repeats: int
    num_sampler_steps: int
    batch_size: int = 1
    """Clips per optimiser step, computed at once."""


TINY = Setup(
    "tiny",
    ShapeSpec(height_px=32, width_px=32, num_frames=5, fps=8),
    {"num_attention_heads": 2, "attention_head_dim": 12, "num_layers": 2, "ffn_dim": 32, "text_dim": 16,
     "freq_dim": 16, "in_channels": 16, "out_channels": 16},
    {"base_dim": 8, "num_res_blocks": 1},
    (8, 16),
    {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
     "num_key_value_heads": 2,
     "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}},
    {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32,
     "fullatt_block_indexes": [1], "window_size": 56},
    56 * 56, 2, 2,
)  # fmt: skip
REAL = Setup(
    "Wan2.1-T2V-1.3B and Qwen2.5-VL-7B",
    ShapeSpec(height_px=480, width_px=832, num_frames=81, fps=16),
    {"num_attention_heads": 12, "attention_head_dim": 128, "num_layers": 30, "ffn_dim": 8960, "text_dim": 4096},
    {},
    (512, 4096),
    {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
     "num_key_value_heads": 4,
     "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}},
    {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
     "fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112},
    448 * 448, 3, 4,
)  # fmt: skip
SANDBOX = replace(
    TINY, name="the sandbox's model", shape=ShapeSpec(), text=(32, 96), num_repeats=8, num_sampler_steps=4,
    batch_size=16,
    transformer={"num_attention_heads": 3, "attention_head_dim": 64, "num_layers": 6, "ffn_dim": 768, "text_dim": 96,
                 "freq_dim": 64, "in_channels": 16, "out_channels": 16, "rope_max_seq_len": 64},
    autoencoder={"base_dim": 16, "dim_mult": [1, 2, 4], "num_res_blocks": 1, "temperal_downsample": [True, True],
                 "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 8},
)  # fmt: skip
"""Its own transformer, autoencoder, shape and batch; its judge is no language model, so TINY's stands in."""
