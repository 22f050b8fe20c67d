"""Wan: Wan2.1 text-to-video (1.3B, 14B), the sandbox's model, Wan2.2 T2V-A14B, and Wan2.2 TI2V-5B with text only.

Flow matching; text states of 512 tokens (UMT5) with padding zeroed and no mask; per-channel latent statistics from the
autoencoder's config. The text length is `max_tokens`; the default of its `encode_prompt`, 226, is not what the pipeline
samples with. TI2V-5B differs by a timestep for every patch (`expand_timesteps`) and a coarser autoencoder, A14B by a
second transformer that predicts below the noise level `boundary_ratio` (see `rushes.families.experts`).
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor

from rushes.errors import InputError
from rushes.families.experts import PARTS, PartName
from rushes.families.family import Conditions
from rushes.families.limits import ONE_TRANSFORMER
from rushes.families.loaded import LoadedPipeline, check_sampler, check_shape, refuse_setting
from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.roles import Frames

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")
"""Linear layers that a low-rank adapter changes."""


@dataclass(frozen=True, eq=False)
class Wan(LoadedPipeline):
    """A loaded Wan pipeline."""

    guides_twice: ClassVar[bool] = True

    name: str = "wan"
    path: Path = STRAIGHT
    lora_targets: tuple[str, ...] = LORA_TARGETS

    def __post_init__(self) -> None:
        is_bounded = isinstance(self.pipeline.config.boundary_ratio, float)
        if self.pipeline.transformer is None or self._has_two != is_bounded:
            has = [name for name in PARTS.values() if getattr(self.pipeline, name, None) is not None]
            raise InputError(
                "this Wan model is neither one with one transformer nor one with two, for high and low noise",
                expected="`transformer` alone, or `transformer`, `transformer_2` and a `boundary_ratio`",
                got=f"{' and '.join(has) or 'no transformer'}, boundary_ratio {self.pipeline.config.boundary_ratio}",
                next_step="use Wan2.1-T2V-1.3B, Wan2.1-T2V-14B, Wan2.2-T2V-A14B or Wan2.2-TI2V-5B",
            )

    @property
    def _has_two(self) -> bool:
        return getattr(self.pipeline, "transformer_2", None) is not None

    def levels_of(self, part: PartName) -> tuple[float, float]:
        """Above and below the model's `boundary_ratio`, where it has two transformers."""
        if not self._has_two:
            return 0.0, 1.0
        boundary = float(self.pipeline.config.boundary_ratio)
        return (boundary, 1.0) if part == "transformer" else (0.0, boundary)

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w; frames 4 k + 1, sides multiples of 16 (32 for TI2V-5B)."""
        temporal, spatial = self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial
        patch = self.transformer.config.patch_size[1]
        t, h, w = latent_size(shape, temporal, spatial, patch)
        return int(self.transformer.config.in_channels), t, h, w

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents from the stock sampler; every clip has its own noise from its seed."""
        self.pipeline.scheduler = make_scheduler(sampler)
        if sampler.guidance_scale_2 is not None and not self._has_two:
            raise refuse_setting(
                "wan", "guidance_scale_2", expected="null", got=sampler.guidance_scale_2, why=ONE_TRANSFORMER
            )
        noise = self.noise(seeds, self.latent_shape(shape))
        negative = self.negative_text(len(texts), sampler)
        return self.run_pipeline(
            sampler,
            shape,
            prompt_embeds=self.encode_text(texts).states_BLD,
            negative_prompt_embeds=None if negative is None else negative.states_BLD,
            latents=noise.to(self.device),
            guidance_scale_2=sampler.guidance_scale_2,
        )

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output, about -1 to 1, as the pipeline computes it."""
        mean, std = self._statistics()
        # Divided by 1 / std, not multiplied by std, as the stock pipeline does: the last bit can change a pixel.
        z = latents / (1.0 / std) + mean
        video: Tensor = self.pipeline.vae.decode(z.to(self.pipeline.vae.dtype)).sample
        return video

    def last_sigma(self, sampler: SamplerSettings) -> float:
        """The last level of the scheduler's own list before 0."""
        scheduler = make_scheduler(sampler)
        scheduler.set_timesteps(sampler.num_steps)
        return float(scheduler.sigmas[sampler.num_steps - 1])

    @torch.no_grad()
    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """(z - mean) / std of the posterior's mode, in float32."""
        mean, std = self._statistics()
        z = self.pipeline.vae.encode(self.pixels(frames).to(self.pipeline.vae.dtype)).latent_dist.mode()
        normalised: Tensor = (z.float() - mean) / std
        return normalised

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The transformer's output; TI2V-5B takes a timestep per patch, all equal when it generates from text only."""
        timestep = timestep_B
        if self.pipeline.config.expand_timesteps:
            patch = transformer.config.patch_size
            num_patches = (z_t.shape[2] // patch[0]) * (z_t.shape[3] // patch[1]) * (z_t.shape[4] // patch[2])
            timestep = timestep_B[:, None].expand(-1, num_patches)
        velocity: Tensor = transformer(z_t, timestep, text.states_BLD, return_dict=False)[0]
        return velocity

    def _statistics(self) -> tuple[Tensor, Tensor]:
        config = self.pipeline.vae.config
        mean = torch.tensor(config.latents_mean, device=self.device).view(1, -1, 1, 1, 1)
        return mean, torch.tensor(config.latents_std, device=self.device).view(1, -1, 1, 1, 1)


def make_scheduler(sampler: SamplerSettings) -> UniPCMultistepScheduler | FlowMatchEulerDiscreteScheduler:
    """The diffusers scheduler that a sampler names.

    Raises:
        RecipeError: Wan is not supported with that scheduler.
    """
    check_sampler("wan", sampler)
    if sampler.scheduler == "UniPCMultistepScheduler":
        return UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=sampler.shift, num_train_timesteps=1000
        )
    return FlowMatchEulerDiscreteScheduler(shift=sampler.shift)


def latent_size(shape: ShapeSpec, temporal: int = 4, spatial: int = 8, patch: int = 2) -> tuple[int, int, int]:
    """Latent frames, rows and columns of a clip.

    Raises:
        RecipeError: Wan cannot make this shape; the message names the nearest legal one.
    """
    check_shape(shape, "Wan", frame_step=temporal, pixel_step=patch * spatial)
    return (shape.num_frames - 1) // temporal + 1, shape.height_px // spatial, shape.width_px // spatial
