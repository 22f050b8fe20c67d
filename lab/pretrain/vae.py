"""Train the sandbox's autoencoder: a real `AutoencoderKLWan`, but small, on rendered clips only.

Legend: B batch, C channels, T frames, H rows, W columns; pixels in [-1, 1].
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan, unpatchify
from torch import Tensor, nn

from lab.pretrain.state import load_state, save_state
from rushes_sandbox.grammar import BALANCED, draw_scene
from rushes_sandbox.render import render

if TYPE_CHECKING:
    from collections.abc import Callable

LATENT_CHANNELS = 16
SAVED_EVERY = 100
"""Steps between two checkpoints."""
HELD_OUT_SEED = 10_000_019
"""Seed of the clips that PSNR is measured on; training seeds start below it and never reach it."""


@dataclass(frozen=True)
class VaeSpec:
    """How the autoencoder is trained."""

    stages: tuple[tuple[int, int, int], ...] = ((1, 16, 500), (5, 8, 700), (17, 4, 4400))
    """(frames, batch, steps) of each stage: stills first, then short and whole clips."""
    learning_rate: float = 2e-3
    num_decoder_steps: int = 2_700
    """Steps after the stages in which only the decoder is trained: latents, and models trained on them, stay valid."""
    decoder_learning_rate: float = 1e-3
    latent_noise: float = 0.1
    """Standard deviation of the noise added to latents, which makes the decoder forgive the sampler's small errors."""
    latent_penalty: float = 1e-4
    """Weight of the mean squared latent, which keeps the latents from growing until that noise has no effect."""
    foreground: float = 4.0
    """Extra weight of coloured pixels; without it shapes stay grey for a long time."""
    decoder_foreground: float = 2.0
    """The same in the decoder's own steps: less, for the background, but not zero, or things shrink."""
    seed: int = 0


def make_vae() -> AutoencoderKLWan:
    """The untrained autoencoder: 17x64x64 pixels to 16x5x8x8 latents, 1.9 M parameters."""
    vae = AutoencoderKLWan(
        base_dim=16,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        patch_size=2,
        in_channels=12,
        out_channels=12,
        scale_factor_spatial=8,
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
    )
    for name, module in vae.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            layout = torch.channels_last_3d if isinstance(module, nn.Conv3d) else torch.channels_last
            module.weight.data = module.weight.data.to(memory_format=layout)
            if name.endswith("conv2"):
                module.weight.data.mul_(0.3)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return vae


def decode_unclamped(vae: AutoencoderKLWan, z_BCTHW: Tensor) -> Tensor:
    """`vae.decode` without its final clamp, outside of which no gradient flows."""
    vae.clear_cache()
    x = vae.post_quant_conv(z_BCTHW)
    parts: list[Tensor] = []
    for i in range(x.shape[2]):
        vae._conv_idx = [0]
        first = {"first_chunk": True} if i == 0 else {}
        parts.append(vae.decoder(x[:, :, i : i + 1], feat_cache=vae._feat_map, feat_idx=vae._conv_idx, **first))
    vae.clear_cache()
    video: Tensor = unpatchify(torch.cat(parts, 2), patch_size=2)
    return video


def to_pixels(frames_THWC: list[np.ndarray]) -> Tensor:
    """uint8 clips of shape (T, H, W, 3) to one float batch (B, 3, T, H, W) in [-1, 1]."""
    batch = torch.from_numpy(np.stack(frames_THWC))
    return batch.permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1.0)


def _batch(rng: np.random.Generator, frames: int, batch: int) -> Tensor:
    clips = []
    for _ in range(batch):
        clip = render(draw_scene(rng, None, BALANCED))
        at = int(rng.integers(clip.shape[0] - frames + 1))
        clips.append(clip[at : at + frames])
    return to_pixels(clips)


def vae_loss(vae: AutoencoderKLWan, x_BCTHW: Tensor, spec: VaeSpec, foreground: float) -> Tensor:
    """Foreground-weighted squared error of the reconstruction from noised latents, plus the latent penalty."""
    z = vae.encode(x_BCTHW).latent_dist.mean
    noise = torch.randn_like(z, device="cpu").to(z.device)
    y = decode_unclamped(vae, z + spec.latent_noise * noise).float()
    coloured = (x_BCTHW.amax(1, keepdim=True) - x_BCTHW.amin(1, keepdim=True) > 0.5).float()
    error = (y - x_BCTHW).square()
    loss: Tensor = ((1 + foreground * coloured) * error).mean() + spec.latent_penalty * z.float().square().mean()
    return loss


def psnr_db(vae: AutoencoderKLWan, num_clips: int = 32) -> float:
    """Mean peak signal-to-noise ratio on held-out rendered clips of the full world, in dB."""
    return float(clips_psnr_db(vae, num_clips).mean())


@torch.no_grad()
def clips_psnr_db(vae: AutoencoderKLWan, num_clips: int) -> Tensor:
    """Peak signal-to-noise ratio of each of the first held-out rendered clips, in dB; a multiple of 8 clips."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    errors = []
    for _ in range(num_clips // 8):
        x = _batch(rng, 17, 8).to(vae.device)
        y = vae.decode(vae.encode(x).latent_dist.mean).sample
        errors.append(((y - x) / 2).square().mean(dim=(1, 2, 3, 4)))
    return -10 * torch.log10(torch.cat(errors))


def learning_rate(step: int, total: int, peak: float, warmup: int = 50) -> float:
    """Linear warm-up, then a cosine to 2 % of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    u = (step - warmup) / max(1, total - warmup)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * u)))


def train_vae(folder: Path, spec: VaeSpec, say: Callable[[str], None] = print, device: str = "cpu") -> AutoencoderKLWan:
    """Train, or resume training, the autoencoder in `folder`; the same call resumes it.

    Args:
        folder: where its state is kept, in `vae.safetensors`.
        spec: training settings.
        say: receives the progress, one line at a time.
        device: where it computes; random numbers come from the CPU, and the returned autoencoder is on the CPU.
    """
    place = torch.device(device)
    torch.manual_seed(spec.seed)
    vae = make_vae().train().to(place)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    step = int(load_state(folder / "vae.safetensors", vae, [optimizer]).get("step", 0))
    num_whole = sum(steps for _, _, steps in spec.stages)
    total = num_whole + spec.num_decoder_steps
    began, running = time.monotonic(), 0.0
    while step < total:
        frames, batch = _stage(spec, step)
        rng = np.random.default_rng((spec.seed, step))
        torch.manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = _rate(spec, step, num_whole)
        in_stages = step < num_whole
        for part in (vae.encoder, vae.quant_conv):
            part.requires_grad_(in_stages)
        foreground = spec.foreground if in_stages else spec.decoder_foreground
        with torch.autocast(place.type, torch.bfloat16):
            loss = vae_loss(vae, _batch(rng, frames, batch).to(place), spec, foreground)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(vae.parameters(), 1.0))
        if math.isfinite(norm):
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        running = float(loss.detach()) if running == 0 else 0.98 * running + 0.02 * float(loss.detach())
        if step % SAVED_EVERY == 0 or step == total:
            save_state(folder / "vae.safetensors", vae, [optimizer], {"step": step})
            quality = f" psnr {psnr_db(vae.eval()):.2f} dB" if step % 300 == 0 or step == total else ""
            vae.train()
            say(f"vae step {step}/{total} frames {frames} loss {running:.4f}{quality} {time.monotonic() - began:.0f} s")
    return vae.eval().cpu()


def _rate(spec: VaeSpec, step: int, num_whole: int) -> float:
    if step < num_whole:
        return learning_rate(step, num_whole, spec.learning_rate)
    return learning_rate(step - num_whole, spec.num_decoder_steps, spec.decoder_learning_rate)


def _stage(spec: VaeSpec, step: int) -> tuple[int, int]:
    """Frames and batch of a step; the decoder's own steps are like those of the last stage."""
    for frames, batch, steps in spec.stages:
        if step < steps:
            return frames, batch
        step -= steps
    return spec.stages[-1][0], spec.stages[-1][1]


@torch.no_grad()
def measure_latents(vae: AutoencoderKLWan, num_clips: int = 256, seed: int = 7) -> None:
    """Write the latents' per-channel mean and deviation into the config, where `WanPipeline` reads them."""
    rng = np.random.default_rng(seed)
    z = torch.cat([vae.encode(_batch(rng, 17, 8)).latent_dist.mean for _ in range(num_clips // 8)])
    vae.register_to_config(
        latents_mean=[round(float(v), 5) for v in z.mean(dim=(0, 2, 3, 4))],
        latents_std=[round(float(v), 5) for v in z.std(dim=(0, 2, 3, 4))],
    )
