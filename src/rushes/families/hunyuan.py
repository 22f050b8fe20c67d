"""HunyuanVideo.

Flow matching; LLaMA states of a prompt template, cropped and masked, and a pooled CLIP vector. The released models are
guidance-distilled: the guidance scale is an input of the transformer, and there is no negative prompt.
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from rushes.families.family import Conditions
from rushes.families.loaded import LoadedPipeline, check_sampler, check_shape, refuse_setting
from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.roles import Frames

LORA_TARGETS = (
    *("to_q", "to_k", "to_v", "to_out.0"),
    *("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"),
)
"""Linear layers that a low-rank adapter changes: attention over video and over text."""


@dataclass(frozen=True, eq=False)
class Hunyuan(LoadedPipeline):
    """A loaded HunyuanVideo pipeline."""

    name: str = "hunyuan"
    path: Path = STRAIGHT
    lora_targets: tuple[str, ...] = LORA_TARGETS

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w; frames 4 k + 1, sides multiples of 16."""
        temporal, spatial = self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial
        check_shape(shape, "HunyuanVideo", frame_step=temporal, pixel_step=spatial * self.transformer.config.patch_size)
        t = (shape.num_frames - 1) // temporal + 1
        return int(self.transformer.config.in_channels), t, shape.height_px // spatial, shape.width_px // spatial

    def read_texts(self, texts: list[str]) -> TextStates:
        """LLaMA states without the template's own tokens, their mask, and the pooled CLIP state."""
        states, pooled, mask = self.pipeline.encode_prompt(
            prompt=texts, max_sequence_length=self.max_tokens, device=self.device
        )
        return TextStates(states, mask, pooled)

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents from the stock sampler."""
        self.pipeline.scheduler = self.make_scheduler(sampler)
        noise = self.noise(seeds, self.latent_shape(shape))
        prompt = self.encode_text(texts)
        return self.run_pipeline(
            sampler,
            shape,
            prompt_embeds=prompt.states_BLD,
            pooled_prompt_embeds=prompt.pooled_BP,
            prompt_attention_mask=prompt.mask_BL,
            latents=noise.to(self.device),
        )

    def make_scheduler(self, sampler: SamplerSettings) -> FlowMatchEulerDiscreteScheduler:
        """Euler with the sampler's shift.

        Raises:
            RecipeError: another scheduler, a negative prompt, or a guidance scale that the transformer cannot take.
        """
        check_sampler("hunyuan", sampler)
        if not self.transformer.config.guidance_embeds and sampler.guidance_scale != 1.0:
            why = "its transformer does not take one"
            raise refuse_setting(self.name, "guidance_scale", expected="1.0", got=sampler.guidance_scale, why=why)
        return FlowMatchEulerDiscreteScheduler.from_config(self.scheduler_config, shift=sampler.shift)

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output, about -1 to 1, as the pipeline computes it."""
        vae = self.pipeline.vae
        video: Tensor = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
        return video

    def last_sigma(self, sampler: SamplerSettings) -> float:
        """The last level of the scheduler's list before 0, made from the levels that the stock pipeline names."""
        scheduler = self.make_scheduler(sampler)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / sampler.num_steps, sampler.num_steps))
        return float(scheduler.sigmas[-2])

    @torch.no_grad()
    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """Scaled mode of the posterior."""
        vae = self.pipeline.vae
        z = vae.encode(self.pixels(frames).to(vae.dtype)).latent_dist.mode()
        scaled: Tensor = z.float() * vae.config.scaling_factor
        return scaled

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The velocity at the guidance scale of `conditions`."""
        assert text.mask_BL is not None
        velocity: Tensor = transformer(
            hidden_states=z_t,
            timestep=timestep_B,
            encoder_hidden_states=text.states_BLD,
            encoder_attention_mask=text.mask_BL.to(z_t.dtype),
            pooled_projections=text.pooled_BP,
            guidance=torch.full_like(timestep_B, conditions.guidance * 1000.0),
            return_dict=False,
        )[0]
        return velocity
