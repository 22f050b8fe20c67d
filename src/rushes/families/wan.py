"""What is special about Wan: how it reads text, what its latents look like, how it is sampled and what it predicts.

Legend: N clips, C latent channels, T frames, t latent frames, H W pixels, h w latent rows and columns, L tokens,
D text width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from rushes.errors import RecipeError
from rushes.records import SamplerSettings
from rushes.specs import BaseModelSpec, ShapeSpec

if TYPE_CHECKING:
    from rushes.roles import Frames

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")
"""Linear layers that a low-rank adapter changes."""
SCHEDULERS = ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler")


@dataclass(frozen=True, eq=False)
class Wan:
    """A loaded Wan pipeline with the few verbs that the stages need. All tensors are in the normalised latent space."""

    pipeline: WanPipeline
    fingerprint: str
    """Hash of the transformer's weights: two models are the same exactly when it is."""
    max_tokens: int
    device: torch.device

    @property
    def transformer(self) -> WanTransformer3DModel:
        """The network that is tuned."""
        return self.pipeline.transformer

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Text embeddings (N, L, D) with padding zeroed, as the stock pipeline makes them; each text once."""
        distinct = list(dict.fromkeys(texts))
        parts = [
            self.pipeline.encode_prompt(
                distinct[at : at + 64],
                do_classifier_free_guidance=False,
                max_sequence_length=self.max_tokens,
                device=self.device,
            )[0]
            for at in range(0, len(distinct), 64)
        ]
        rows = {text: index for index, text in enumerate(distinct)}
        return torch.cat(parts)[[rows[text] for text in texts]]

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents (N, C, t, h, w) as they leave the stock sampler; every clip has its own noise from its seed."""
        self.pipeline.scheduler = make_scheduler(sampler)
        noise = torch.stack([self._noise(seed, shape) for seed in seeds])
        negative = self.encode_text([sampler.negative_prompt] * len(texts)) if sampler.guidance_scale > 1 else None
        with attention_for(self.device), self._autocast(sampler.precision):
            latents: Tensor = self.pipeline(
                prompt_embeds=self.encode_text(texts),
                negative_prompt_embeds=negative,
                height=shape.height_px,
                width=shape.width_px,
                num_frames=shape.num_frames,
                num_inference_steps=sampler.num_steps,
                guidance_scale=sampler.guidance_scale,
                latents=noise.to(self.device),
                output_type="latent",
                max_sequence_length=self.max_tokens,
            ).frames
        return latents.float()

    @torch.no_grad()
    def decode(self, latents_NCthw: Tensor) -> list[Frames]:
        """uint8 frames (T, H, W, 3) of each clip, exactly as the pipeline's own `output_type="np"` rounds them."""
        mean, std = self._statistics()
        video = self.pipeline.vae.decode((latents_NCthw * std + mean).to(self.pipeline.vae.dtype)).sample
        pixels = ((video.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        return [clip.permute(1, 2, 3, 0).cpu().numpy() for clip in pixels]

    @torch.no_grad()
    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """Latents (N, C, t, h, w) of clips given as uint8 frames (T, H, W, 3); the mode of the posterior."""
        mean, std = self._statistics()
        x = torch.from_numpy(np.stack(frames)).to(self.device).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
        z = self.pipeline.vae.encode(x.to(self.pipeline.vae.dtype)).latent_dist.mode()
        normalised: Tensor = (z.float() - mean) / std
        return normalised

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Put tuned weights into the transformer: the same names, all of them."""
        self.transformer.load_state_dict(dict(state))

    def _noise(self, seed: int, shape: ShapeSpec) -> Tensor:
        channels = int(self.transformer.config.in_channels)
        size = latent_size(shape, self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial)
        # Drawn on the CPU whatever the device, so that one seed is one clip everywhere.
        return torch.randn((channels, *size), generator=torch.Generator().manual_seed(seed))

    def _statistics(self) -> tuple[Tensor, Tensor]:
        config = self.pipeline.vae.config
        mean = torch.tensor(config.latents_mean, device=self.device).view(1, -1, 1, 1, 1)
        return mean, torch.tensor(config.latents_std, device=self.device).view(1, -1, 1, 1, 1)

    def _autocast(self, precision: str) -> torch.autocast:
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
        return torch.autocast(self.device.type, dtype, enabled=precision != "float32")


def attention_for(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU the plain attention kernel: for short sequences its backward is several times faster there."""
    return sdpa_kernel(SDPBackend.MATH if device.type == "cpu" else list(_GPU_KERNELS))


_GPU_KERNELS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.MATH,
)


def make_scheduler(sampler: SamplerSettings) -> UniPCMultistepScheduler | FlowMatchEulerDiscreteScheduler:
    """The diffusers scheduler that a sampler names.

    Raises:
        RecipeError: Wan is not sampled with that scheduler here.
    """
    if sampler.scheduler == "UniPCMultistepScheduler":
        return UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=sampler.shift, num_train_timesteps=1000
        )
    if sampler.scheduler == "FlowMatchEulerDiscreteScheduler":
        return FlowMatchEulerDiscreteScheduler(shift=sampler.shift)
    raise RecipeError(
        "the sampler names a scheduler that Wan is not sampled with",
        expected=f"scheduler: one of {', '.join(SCHEDULERS)}",
        got=sampler.scheduler,
        next_step="change the scheduler in the recipe's sampler",
    )


def latent_size(shape: ShapeSpec, temporal: int = 4, spatial: int = 8) -> tuple[int, int, int]:
    """Latent frames, rows and columns of a clip.

    Raises:
        RecipeError: the shape is none that Wan can make; the message names the nearest legal one.
    """
    grid = 2 * spatial
    frames = max(1, round((shape.num_frames - 1) / temporal) * temporal + 1)
    height, width = (max(grid, round(v / grid) * grid) for v in (shape.height_px, shape.width_px))
    if (frames, height, width) != (shape.num_frames, shape.height_px, shape.width_px):
        raise RecipeError(
            "Wan cannot make clips of this shape",
            expected=f"num_frames = {temporal} k + 1 and height_px, width_px multiples of {grid}",
            got=f"{shape.num_frames} frames of {shape.height_px} x {shape.width_px}",
            next_step=f"the nearest legal shape is {frames} frames of {height} x {width}",
        )
    return (frames - 1) // temporal + 1, height // spatial, width // spatial


def model_folder(model: str) -> str:
    """Where the weights of a recipe's `base.model` are: the package's own for `sandbox`, else as given."""
    if model == "sandbox":
        return str(files("rushes.sandbox") / "weights" / "base")
    return model


def load_wan(base: BaseModelSpec, device: str = "cpu") -> Wan:
    """Load a Wan pipeline from the package, a diffusers folder or the Hub; never runs code from the folder."""
    folder = model_folder(base.model)
    pipeline = _quietly(lambda: WanPipeline.from_pretrained(folder, dtype=torch.float32)).to(device)
    pipeline.set_progress_bar_config(disable=True)
    for name in ("transformer", "vae", "text_encoder"):
        getattr(pipeline, name).eval().requires_grad_(False)
    fingerprint = fingerprint_of(base) or hash_state(pipeline.transformer.state_dict())
    return Wan(pipeline, fingerprint, base.max_tokens, torch.device(device))


def _quietly(load: Callable[[], WanPipeline]) -> WanPipeline:
    """Load without the libraries' own progress bars, which would break up ours."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
    try:
        return load()
    finally:
        for logging in (diffusers_logging, transformers_logging):
            logging.enable_progress_bar()


def word_level_vocabulary(base: BaseModelSpec) -> frozenset[str] | None:
    """The words that a word-level tokenizer knows, lower case; None for tokenizers that can read any word."""
    file = Path(model_folder(base.model)) / "tokenizer" / "tokenizer.json"
    if not file.exists():
        return None
    model = json.loads(file.read_text(encoding="utf-8")).get("model", {})
    if model.get("type") != "WordLevel":
        return None
    return frozenset(word for word in model["vocab"] if not word.startswith("<"))


def fingerprint_of(base: BaseModelSpec) -> str | None:
    """Hash of a local model's transformer weights, found without loading them; None when the model is on the Hub."""
    weights = Path(model_folder(base.model)) / "transformer"
    return hash_files(weights) if weights.is_dir() else None


def hash_files(folder: Path) -> str:
    """sha256 over the names and bytes of a model folder's weights."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def hash_state(state: Mapping[str, Tensor]) -> str:
    """sha256 over the names and values of a state dict."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
