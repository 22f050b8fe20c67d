"""Pre-train the sandbox's text-to-video model: a small `WanTransformer3DModel` with its own UMT5 encoder.

The text encoder learns together with the transformer and is frozen afterwards, as users of real models know it.
Legend: B batch, C channels, T latent frames, h rows, w columns, L tokens, D text width.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import UMT5Config, UMT5EncoderModel

from rushes.sandbox.captions import Captioner, scraped_caption
from rushes.sandbox.grammar import SKEWED, World, draw_scene
from rushes.sandbox.pretrain.state import load_state, save_state
from rushes.sandbox.pretrain.vae import LATENT_CHANNELS, to_pixels
from rushes.sandbox.render import render
from rushes.sandbox.text import MAX_TOKENS, make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rushes.sandbox.scene import Scene

TEXT_WIDTH = 96


@dataclass(frozen=True)
class BaseSpec:
    """How the base model is pre-trained."""

    num_clips: int = 16_000
    num_steps: int = 7_500
    batch_size: int = 16
    learning_rate: float = 1e-3
    decay_fraction: float = 0.3
    """Share of the steps, at the end, over which the learning rate falls to nothing."""
    shift: float = 2.0
    """Timestep shift s of training: sigma = s u / (1 + (s - 1) u)."""
    caption_drop: float = 0.1
    """Share of captions replaced by the empty one, which guidance needs."""
    ema_decay: float = 0.999
    seed: int = 1
    captioner: Captioner = field(default_factory=Captioner)
    world: World = SKEWED


class TextToVideo(nn.Module):
    """The two trained parts under one roof."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=3,
            attention_head_dim=64,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            text_dim=TEXT_WIDTH,
            freq_dim=64,
            ffn_dim=768,
            num_layers=6,
            rope_max_seq_len=64,
        )
        self.text_encoder = UMT5EncoderModel(
            UMT5Config(
                vocab_size=vocabulary_size,
                d_model=TEXT_WIDTH,
                d_kv=24,
                d_ff=256,
                num_layers=2,
                num_heads=4,
                dropout_rate=0.0,
                pad_token_id=0,
                eos_token_id=1,
            )
        )

    def encode(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Text states with padding zeroed, as `WanPipeline` hands them to the transformer."""
        states: Tensor = self.text_encoder(ids_BL, mask_BL).last_hidden_state
        return states * mask_BL[..., None]

    def forward(self, z_t: Tensor, sigma_B: Tensor, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Predicted velocity epsilon - z_0."""
        velocity: Tensor = self.transformer(z_t, sigma_B * 1000.0, self.encode(ids_BL, mask_BL)).sample
        return velocity


def draw_world(spec: BaseSpec) -> list[Scene]:
    """The scenes of the training set, always the same for one spec."""
    rng = np.random.default_rng((spec.seed, 0))
    return [draw_scene(rng, None, spec.world) for _ in range(spec.num_clips)]


@torch.no_grad()
def encode_world(vae: AutoencoderKLWan, scenes: list[Scene], file: Path, say: Callable[[str], None]) -> Tensor:
    """Normalised latents (N, C, T, h, w) in half precision of all scenes, computed once and kept in `file`."""
    if file.exists():
        return load_file(str(file))["latents"]
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    parts: list[Tensor] = []
    for at in range(0, len(scenes), 16):
        x = to_pixels([render(scene) for scene in scenes[at : at + 16]])
        with torch.autocast("cpu", torch.bfloat16):
            z = vae.encode(x).latent_dist.mean
        parts.append(((z.float() - mean) / std).half())
        if at % 1600 == 0:
            say(f"encoded {at}/{len(scenes)} clips")
    latents = torch.cat(parts).contiguous()
    save_file({"latents": latents}, str(file))
    return latents


def learning_rate(step: int, spec: BaseSpec) -> float:
    """Warm-up over 300 steps, flat, then a cosine to zero over the last `decay_fraction`."""
    start = spec.num_steps * (1 - spec.decay_fraction)
    if step < start:
        return spec.learning_rate * min(1.0, (step + 1) / 300)
    u = (step - start) / (spec.num_steps - start)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * u))


def draw_sigma(batch: int, shift: float, generator: torch.Generator) -> Tensor:
    """Half uniform, half logit-normal noise levels, shifted towards noise."""
    uniform = torch.rand(batch, generator=generator)
    normal = torch.sigmoid(torch.randn(batch, generator=generator))
    u = torch.where(torch.arange(batch) % 2 == 0, uniform, normal)
    return shift * u / (1 + (shift - 1) * u)


def train_base(
    folder: Path, vae: AutoencoderKLWan, spec: BaseSpec, say: Callable[[str], None] = print
) -> tuple[TextToVideo, dict[str, Tensor]]:
    """Train, or go on training, the model in `folder`; returns it with its averaged (EMA) weights."""
    torch.manual_seed(spec.seed)
    tokenizer = make_tokenizer()
    model = TextToVideo(len(tokenizer))
    scenes = draw_world(spec)
    latents = encode_world(vae, scenes, folder / "latents.safetensors", say)
    optimizer = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    step = int(load_state(folder / "base.safetensors", model, [optimizer]).get("step", 0))
    ema = {name: value.clone() for name, value in model.state_dict().items()}
    if step:
        ema = load_file(str(folder / "ema.safetensors"))
    began, running = time.monotonic(), 0.0
    while step < spec.num_steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, spec)
        loss = _loss(model, tokenizer, scenes, latents, spec, step)
        loss_value = float(loss.detach())
        if math.isfinite(float(nn.utils.clip_grad_norm_(model.parameters(), 1.0))):
            optimizer.step()
        model.zero_grad(set_to_none=True)
        step += 1
        _average(ema, model, min(spec.ema_decay, (1 + step) / (10 + step)))
        running = loss_value if running == 0 else 0.99 * running + 0.01 * loss_value
        if step % 100 == 0:
            say(f"base step {step}/{spec.num_steps} loss {running:.4f} {time.monotonic() - began:.0f} s")
        if step % 500 == 0 or step == spec.num_steps:
            save_file(ema, str(folder / "ema.safetensors.tmp"))
            (folder / "ema.safetensors.tmp").replace(folder / "ema.safetensors")
            save_state(folder / "base.safetensors", model, [optimizer], {"step": step, "loss": running})
    return model, ema


def _loss(
    model: TextToVideo, tokenizer: object, scenes: list[Scene], latents: Tensor, spec: BaseSpec, step: int
) -> Tensor:
    """Forward and backward of one step; its randomness comes from the step number, so resuming changes nothing."""
    rng, generator = (
        np.random.default_rng((spec.seed, 1, step)),
        torch.Generator().manual_seed(spec.seed * 10**7 + step),
    )
    rows = rng.integers(len(scenes), size=spec.batch_size)
    texts = [
        "" if rng.random() < spec.caption_drop else scraped_caption(scenes[int(i)], rng, spec.captioner) for i in rows
    ]
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt")  # type: ignore[operator]
    z_0 = latents[torch.from_numpy(rows)].float()
    epsilon = torch.randn(z_0.shape, generator=generator)
    sigma = draw_sigma(len(z_0), spec.shift, generator)
    sigma_ = sigma.view(-1, 1, 1, 1, 1)
    with sdpa_kernel(SDPBackend.MATH):
        with torch.autocast("cpu", torch.bfloat16):
            velocity = model((1 - sigma_) * z_0 + sigma_ * epsilon, sigma, tokens.input_ids, tokens.attention_mask)
        loss: Tensor = (velocity.float() - (epsilon - z_0)).square().mean()
        loss.backward()
    return loss


@torch.no_grad()
def _average(ema: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        ema[name].lerp_(value, 1 - decay) if value.is_floating_point() else ema[name].copy_(value)
