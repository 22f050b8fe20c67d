"""Assemble the trained parts into an ordinary diffusers folder that stock `WanPipeline.from_pretrained` opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline
from torch import Tensor

from lab.pretrain.base import TextToVideo
from lab.pretrain.vae import make_vae, measure_latents
from rushes_sandbox.text import make_tokenizer


def load_vae(folder: Path) -> AutoencoderKLWan:
    """The trained autoencoder of a pre-training folder, with its latent statistics measured."""
    from lab.pretrain.state import load_state

    vae = make_vae().eval().requires_grad_(False)
    load_state(folder / "vae.safetensors", vae, [])
    measure_latents(vae)
    return vae


def save_pipeline(folder: Path, vae: AutoencoderKLWan, weights: Mapping[str, Tensor], *, half: bool = True) -> None:
    """Write the pipeline folder: transformer, text encoder, tokenizer, autoencoder, scheduler.

    Args:
        folder: where to write; created if missing.
        vae: the trained autoencoder with its latent statistics in the config.
        weights: (averaged) weights of a `TextToVideo`.
        half: store weights as float16, which halves the folder; readers convert them back.
    """
    tokenizer = make_tokenizer()
    model = TextToVideo(len(tokenizer)).eval()
    model.load_state_dict(dict(weights))
    pipeline = WanPipeline(
        tokenizer=tokenizer,
        text_encoder=model.text_encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0, num_train_timesteps=1000
        ),
        transformer=model.transformer,
    )
    if half:
        for part in (pipeline.transformer, pipeline.text_encoder, pipeline.vae):
            part.to(torch.float16)
    pipeline.save_pretrained(str(folder), safe_serialization=True)
