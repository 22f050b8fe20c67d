"""Pre-train the sandbox's text-to-video model: a small `WanTransformer3DModel` with its own UMT5 encoder.

The text encoder can already read (see `reading`) and stays frozen, as with real models. A head on a middle layer of the
transformer predicts what the clip shows, which makes it learn faster (see `align`).
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
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lab.pretrain.align import AlignmentHead, alignment_loss, stack_facts
from lab.pretrain.reading import TEXT_WIDTH, make_text_encoder
from lab.pretrain.state import load_state, save_state
from lab.pretrain.vae import LATENT_CHANNELS, to_pixels
from rushes_sandbox.captions import Captioner, scraped_caption
from rushes_sandbox.grammar import SKEWED, World, draw_scene
from rushes_sandbox.render import render
from rushes_sandbox.text import make_tokenizer, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

    from rushes_sandbox.scene import Scene

NUM_HEADS = 3
HEAD_WIDTH = 64
SAVED_EVERY = 500
"""Steps between two checkpoints."""
ALIGNED_LAYER = 2
"""The transformer layer, counted from 0, whose output the alignment head reads."""


@dataclass(frozen=True)
class BaseSpec:
    """How the base model is pre-trained."""

    num_clips: int = 20_000
    num_steps: int = 30_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    decay_fraction: float = 0.3
    """Share of the steps, at the end, over which the learning rate decays to zero."""
    shift: float = 4.0
    """Timestep shift s of training: sigma = s u / (1 + (s - 1) u)."""
    caption_drop: float = 0.1
    """Share of captions replaced by the empty one, which guidance needs."""
    ema_decay: float = 0.999
    alignment: float = 0.3
    """Weight of the alignment loss; 0 leaves the head untrained."""
    compiled: bool = True
    """Whether to compile the model, which needs a C++ compiler, takes a minute and makes steps 1.6 times as fast."""
    seed: int = 1
    captioner: Captioner = field(default_factory=Captioner)
    world: World = SKEWED


class TextToVideo(nn.Module):
    """Transformer and frozen text encoder in one module."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=NUM_HEADS,
            attention_head_dim=HEAD_WIDTH,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            text_dim=TEXT_WIDTH,
            freq_dim=64,
            ffn_dim=768,
            num_layers=6,
            rope_max_seq_len=64,
        )
        self.text_encoder = make_text_encoder(vocabulary_size).requires_grad_(False)

    def encode(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Text states with padding zeroed, as `WanPipeline` passes them to the transformer."""
        states: Tensor = self.text_encoder(ids_BL, mask_BL).last_hidden_state
        return states * mask_BL[..., None]

    def forward(self, z_t: Tensor, sigma_B: Tensor, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Predicted velocity epsilon - z_0."""
        velocity: Tensor = self.transformer(z_t, sigma_B * 1000.0, self.encode(ids_BL, mask_BL)).sample
        return velocity


class Learner(nn.Module):
    """The model with its alignment head, as it is trained."""

    def __init__(self, model: TextToVideo) -> None:
        super().__init__()
        self.model = model
        self.head = AlignmentHead(NUM_HEADS * HEAD_WIDTH)
        self._states: list[Tensor] = []
        model.transformer.blocks[ALIGNED_LAYER].register_forward_hook(lambda _m, _i, out: self._states.append(out))

    def forward(self, z_t: Tensor, sigma_B: Tensor, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted velocity, and what the middle layer shows of the scene."""
        self._states.clear()
        velocity = self.model(z_t, sigma_B, ids_BL, mask_BL)
        return velocity, self.head(self._states.pop())


def draw_world(spec: BaseSpec) -> list[Scene]:
    """The scenes of the training set, always the same for one spec."""
    rng = np.random.default_rng((spec.seed, 0))
    return [draw_scene(rng, None, spec.world) for _ in range(spec.num_clips)]


@torch.no_grad()
def encode_world(
    vae: AutoencoderKLWan, scenes: list[Scene], file: Path, say: Callable[[str], None], device: str = "cpu"
) -> Tensor:
    """Normalised latents (N, C, T, h, w) in half precision of all scenes, computed once and stored in `file`.

    They are returned on the CPU, and the autoencoder is left there, whatever the device.
    """
    if file.exists():
        kept = load_file(str(file))["latents"]
        if len(kept) == len(scenes):
            return kept
        say(f"{file.name} holds {len(kept)} clips, expected {len(scenes)}: encoding again")
    place = torch.device(device)
    vae.to(place)
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    parts: list[Tensor] = []
    for at in range(0, len(scenes), 16):
        x = to_pixels([render(scene) for scene in scenes[at : at + 16]]).to(place)
        with torch.autocast(place.type, torch.bfloat16):
            z = vae.encode(x).latent_dist.mean
        parts.append(((z.float().cpu() - mean) / std).half())
        if at % 1600 == 0:
            say(f"encoded {at}/{len(scenes)} clips")
    vae.cpu()
    latents = torch.cat(parts).contiguous()
    # Written to a temporary file first: one cut off by a kill could not be read on resume.
    unfinished = file.with_name(f"{file.name}.tmp")
    save_file({"latents": latents}, str(unfinished))
    unfinished.replace(file)
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
    folder: Path,
    vae: AutoencoderKLWan,
    text_encoder: UMT5EncoderModel,
    spec: BaseSpec,
    say: Callable[[str], None] = print,
    device: str = "cpu",
) -> tuple[TextToVideo, dict[str, Tensor]]:
    """Train, or resume training, the model in `folder`; returns it with its averaged (EMA) weights.

    Args:
        folder: where latents, weights and state are kept.
        vae: the trained autoencoder, with its latent statistics in the config.
        text_encoder: the trained encoder; copied, not changed.
        spec: training settings.
        say: receives the progress, one line at a time.
        device: where it computes; random numbers come from the CPU, and everything returned is on the CPU.
    """
    torch.manual_seed(spec.seed)
    tokenizer = make_tokenizer()
    model = TextToVideo(len(tokenizer))
    model.text_encoder.load_state_dict(text_encoder.state_dict())
    learner = Learner(model).to(device)
    scenes = draw_world(spec)
    latents = encode_world(vae, scenes, folder / "latents.safetensors", say, device)
    world = _World(tokenizer, scenes, latents, stack_facts(scenes))
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=spec.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    ema = {name: value.clone() for name, value in model.state_dict().items()}
    file = folder / "base.safetensors"
    step = int(load_state(file, learner, [optimizer], ema).get("step", 0))
    forward = torch.compile(learner) if spec.compiled else learner
    began, running = time.monotonic(), np.zeros(2)
    while step < spec.num_steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, spec)
        losses = _losses(forward, world, spec, step, torch.device(device))
        if math.isfinite(float(nn.utils.clip_grad_norm_(trained, 1.0))):
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        _average(ema, model, min(spec.ema_decay, (1 + step) / (10 + step)))
        running = losses if not running.any() else 0.99 * running + 0.01 * losses
        if step % 100 == 0:
            seconds = time.monotonic() - began
            say(f"base step {step}/{spec.num_steps} loss {running[0]:.4f} facts {running[1]:.3f} {seconds:.0f} s")
        if step % SAVED_EVERY == 0 or step == spec.num_steps:
            save_state(file, learner, [optimizer], {"step": step, "loss": float(running[0])}, ema)
    return model.cpu(), {name: value.cpu() for name, value in ema.items()}


@dataclass(frozen=True, eq=False)
class _World:
    """The training set: scenes, their latents (N, C, T, h, w) and their facts."""

    tokenizer: PreTrainedTokenizerFast
    scenes: list[Scene]
    latents: Tensor
    facts: Tensor


def _captions(world: _World, rows: np.ndarray, rng: np.random.Generator, spec: BaseSpec) -> tuple[Tensor, Tensor]:
    """Token ids and mask of one careless caption for each row, or of an empty one."""
    texts = [
        "" if rng.random() < spec.caption_drop else scraped_caption(world.scenes[int(i)], rng, spec.captioner)
        for i in rows
    ]
    return tokenize(world.tokenizer, texts)


def _losses(
    forward: Callable[..., tuple[Tensor, Tensor]], world: _World, spec: BaseSpec, step: int, device: torch.device
) -> NDArray[np.float64]:
    """Forward and backward of one step; its randomness depends on the step number alone, so resuming changes nothing.

    Returns the denoising and the alignment loss.
    """
    rng = np.random.default_rng((spec.seed, 1, step))
    generator = torch.Generator().manual_seed(spec.seed * 10**7 + step)
    rows = rng.integers(len(world.scenes), size=spec.batch_size)
    ids, mask = (each.to(device) for each in _captions(world, rows, rng, spec))
    picked = torch.from_numpy(rows)
    z_0 = world.latents[picked].float().to(device)
    epsilon = torch.randn(z_0.shape, generator=generator).to(device)
    sigma = draw_sigma(len(z_0), spec.shift, generator).to(device)
    sigma_ = sigma.view(-1, 1, 1, 1, 1)
    with sdpa_kernel(SDPBackend.MATH):
        with torch.autocast(device.type, torch.bfloat16):
            velocity, guess = forward((1 - sigma_) * z_0 + sigma_ * epsilon, sigma, ids, mask)
        denoising = (velocity.float() - (epsilon - z_0)).square().mean()
        alignment = alignment_loss(guess, world.facts[picked].float().to(device))
        (denoising + spec.alignment * alignment).backward()
    return np.array([float(denoising.detach()), float(alignment.detach())])


@torch.no_grad()
def _average(ema: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        ema[name].lerp_(value, 1 - decay) if value.is_floating_point() else ema[name].copy_(value)
