"""LTX-Video.

Flow matching on tokens: the transformer takes packed latents (B, t h w, C), the grid and the frame rate. T5 states have
a mask. The autoencoder has per-channel latent statistics. From 0.9.1 on it denoises once more while decoding: its
timestep and noise are constants here, so that a clip's latents always decode to the same frames.
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from rushes.families.family import Conditions
from rushes.families.loaded import LoadedPipeline, check_sampler, check_shape
from rushes.families.noise import generators
from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.roles import Frames

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
"""Linear layers that a low-rank adapter changes."""
DECODE_TIMESTEP, DECODE_NOISE_SCALE, DECODE_SEED = 0.05, 0.025, 0
"""How an autoencoder with a timestep decodes: the values of the model's own examples, and one seed for all clips."""


@dataclass(frozen=True, eq=False)
class LTX(LoadedPipeline):
    """A loaded LTX-Video pipeline."""

    title: ClassVar[str] = "LTX-Video"

    name: str = "ltx"
    path: Path = STRAIGHT
    lora_targets: tuple[str, ...] = LORA_TARGETS

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w; for the released models frames 8 k + 1, sides multiples of 32."""
        temporal = self.pipeline.vae_temporal_compression_ratio
        spatial = self.pipeline.vae_spatial_compression_ratio
        patch = self.pipeline.transformer_spatial_patch_size
        patch_t = self.pipeline.transformer_temporal_patch_size
        check_shape(shape, self.title, frame_step=temporal * patch_t, pixel_step=spatial * patch)
        channels = int(self.transformer.config.in_channels) // (patch_t * patch * patch)
        t = (shape.num_frames - 1) // temporal + 1
        return channels, t, shape.height_px // spatial, shape.width_px // spatial

    def read_texts(self, texts: list[str]) -> TextStates:
        """T5 states with the mask of text against padding."""
        states, mask, *_ = self.pipeline.encode_prompt(
            texts, do_classifier_free_guidance=False, max_sequence_length=self.max_tokens, device=self.device
        )
        return TextStates(states, mask)

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents from the stock sampler, unpacked."""
        self.pipeline.scheduler = self.make_scheduler(sampler)
        size = self.latent_shape(shape)
        noise = self.pack(self.noise(seeds, size).to(self.device))
        prompt = self.encode_text(texts)
        negative = self.negative_text(len(texts), sampler)
        latents = self.run_pipeline(
            sampler,
            shape,
            prompt_embeds=self.as_input(prompt.states_BLD),
            prompt_attention_mask=prompt.mask_BL,
            negative_prompt_embeds=None if negative is None else self.as_input(negative.states_BLD),
            negative_prompt_attention_mask=None if negative is None else negative.mask_BL,
            frame_rate=shape.fps,
            latents=noise,
        )
        return self.unpack(latents, size[1:])

    def make_scheduler(self, sampler: SamplerSettings) -> FlowMatchEulerDiscreteScheduler:
        """Euler with the sampler's shift; the folder's length-dependent shift is the same map with shift = exp(mu).

        Raises:
            RecipeError: another scheduler.
        """
        check_sampler(self.name, sampler)  # type: ignore[arg-type]  # one of the two families of this class
        config = self.scheduler_config
        changes: dict[str, Any] = {"use_dynamic_shifting": False, "shift": sampler.shift}
        if sampler.num_steps == 1:
            # The schedule is stretched so that its last sigma is the terminal one; a single sigma of 1 cannot be.
            changes["shift_terminal"] = None
        return FlowMatchEulerDiscreteScheduler.from_config(config, **changes)

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output, about -1 to 1, as the pipeline computes it for the constants above."""
        vae = self.pipeline.vae
        z = self.pipeline._denormalize_latents(latents, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
        timestep = None
        if vae.config.timestep_conditioning:
            one = torch.randn((1, *z.shape[1:]), generator=generators([DECODE_SEED])[0]).to(z)
            scale = torch.tensor(DECODE_NOISE_SCALE, device=z.device, dtype=z.dtype)
            z = (1 - scale) * z + scale * one
            timestep = torch.full((len(z),), DECODE_TIMESTEP, device=z.device, dtype=z.dtype)
        devices = [z.device] if z.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            # Some decoders draw their own noise from the global generator.
            torch.manual_seed(DECODE_SEED)
            video: Tensor = vae.decode(z.to(vae.dtype), timestep, return_dict=False)[0]
        return video

    def last_sigma(self, sampler: SamplerSettings) -> float:
        """The last level of the scheduler's list before 0, made from the levels that the stock pipeline names."""
        scheduler = self.make_scheduler(sampler)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / sampler.num_steps, sampler.num_steps))
        return float(scheduler.sigmas[-2])

    @torch.no_grad()
    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """(z - mean) * scale / std of the posterior's mode."""
        vae = self.pipeline.vae
        z = vae.encode(self.pixels(frames).to(vae.dtype)).latent_dist.mode().float()
        normalised: Tensor = self.pipeline._normalize_latents(
            z, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        return normalised

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The velocity of packed latents, unpacked; the frame rate decides the time of each frame."""
        _, _, t, h, w = z_t.shape
        spatial = self.pipeline.vae_spatial_compression_ratio
        velocity = transformer(
            hidden_states=self.pack(z_t),
            encoder_hidden_states=text.states_BLD,
            timestep=timestep_B,
            encoder_attention_mask=text.mask_BL,
            num_frames=t,
            height=h,
            width=w,
            rope_interpolation_scale=(
                self.pipeline.vae_temporal_compression_ratio / conditions.fps,
                spatial,
                spatial,
            ),
            return_dict=False,
        )[0]
        return self.unpack(velocity, (t, h, w))

    def pack(self, z: Tensor) -> Tensor:
        """(B, C, t, h, w) to tokens (B, S, D)."""
        pipe = self.pipeline
        tokens: Tensor = pipe._pack_latents(
            z, pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
        )
        return tokens

    def unpack(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Tokens (B, S, D) to (B, C, t, h, w); `grid` is t, h, w."""
        pipe = self.pipeline
        patch, patch_t = pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
        t, h, w = grid
        z: Tensor = pipe._unpack_latents(tokens, t // patch_t, h // patch, w // patch, patch, patch_t)
        return z
