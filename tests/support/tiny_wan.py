"""A Wan pipeline small enough for tests: the real classes, random weights, a second to build."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

from rushes.recipe.base import ShapeSpec
from rushes_sandbox.text import make_tokenizer

TINY_SHAPE = ShapeSpec(height_px=32, width_px=32, num_frames=5, fps=8)


@cache
def tiny_tokenizer() -> object:
    return make_tokenizer()


def make_tiny_wan(folder: Path) -> Path:
    """Save a random tiny pipeline as a diffusers folder; the same weights every time."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    channels = 4
    pipeline = WanPipeline(
        tokenizer=tokenizer,
        text_encoder=UMT5EncoderModel(
            UMT5Config(vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)  # type: ignore[arg-type]
        ).eval(),
        vae=AutoencoderKLWan(
            base_dim=8,
            z_dim=channels,
            dim_mult=[1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[True, True],
            patch_size=2,
            in_channels=12,
            out_channels=12,
            scale_factor_spatial=8,
            latents_mean=[0.0] * channels,
            latents_std=[1.0] * channels,
        ).eval(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0, num_train_timesteps=1000
        ),
        transformer=WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=channels,
            out_channels=channels,
            text_dim=16,
            freq_dim=16,
            ffn_dim=32,
            num_layers=1,
            rope_max_seq_len=32,
        ).eval(),
    )
    pipeline.save_pretrained(str(folder))
    return folder
