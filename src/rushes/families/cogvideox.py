"""CogVideoX: 2B and 5B, and 1.5 (5B).

v-prediction on a variance-preserving schedule with integer timesteps; T5 states without a mask; latents scaled by one
factor, in the layout (B, t, C, h, w) for the transformer; rotary positions in 5B and 1.5. CogVideoX 1.5 has patches of
two latent frames: one latent frame is prepended, as in its own code, and removed before decoding.
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from torch import Tensor

from rushes.errors import RecipeError
from rushes.families.family import Conditions
from rushes.families.loaded import LoadedPipeline, check_sampler, check_shape
from rushes.families.noise import generators
from rushes.families.path import NUM_TIMESTEPS, Path, RoundPath
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.roles import Frames

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
"""Linear layers that a low-rank adapter changes: those of its own fine-tuning script."""
SCHEDULERS = {"CogVideoXDPMScheduler": CogVideoXDPMScheduler, "CogVideoXDDIMScheduler": CogVideoXDDIMScheduler}
STEP_NOISE = 0x5DEECE66D
"""Mixed into a clip's seed for the noise that the DPM scheduler adds between steps: it must differ from the initial
noise."""


@dataclass(frozen=True, eq=False)
class CogVideoX(LoadedPipeline):
    """A loaded CogVideoX pipeline."""

    name: str = "cogvideox"
    lora_targets: tuple[str, ...] = LORA_TARGETS

    def __post_init__(self) -> None:
        length = self.transformer.config.max_text_seq_length
        if self.max_tokens != length:
            raise RecipeError(
                "this CogVideoX takes another text length",
                expected=f"base.max_tokens: {length}, as its transformer was trained",
                got=self.max_tokens,
                next_step=f"--set base.max_tokens={length}",
            )

    @property
    def path(self) -> Path:
        """v-prediction under its own scheduler's alpha_bar."""
        return RoundPath(self.pipeline.scheduler.alphas_cumprod.float())

    @property
    def num_extra(self) -> int:
        """Latent frames prepended to fill the first patch: 1 for CogVideoX 1.5, else 0."""
        return (self.transformer.config.patch_size_t or 1) - 1

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w; frames 8 k + 1 (its autoencoder needs an odd number of latent frames), sides multiples of 16."""
        temporal, spatial = self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial
        check_shape(
            shape, "CogVideoX", frame_step=2 * temporal, pixel_step=spatial * self.transformer.config.patch_size
        )
        t = (shape.num_frames - 1) // temporal + 1 + self.num_extra
        return int(self.transformer.config.in_channels), t, shape.height_px // spatial, shape.width_px // spatial

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents from the stock sampler, the extra frame of CogVideoX 1.5 included."""
        self.pipeline.scheduler = self.make_scheduler(sampler)
        noise = self.noise(seeds, self.latent_shape(shape)).permute(0, 2, 1, 3, 4)
        negative = self.negative_text(len(texts), sampler)
        latents = self.run_pipeline(
            sampler,
            shape,
            prompt_embeds=self.as_input(self.encode_text(texts).states_BLD),
            negative_prompt_embeds=None if negative is None else self.as_input(negative.states_BLD),
            latents=self.as_input(noise.to(self.device)),
            generator=generators([seed ^ STEP_NOISE for seed in seeds]),
        )
        return latents.permute(0, 2, 1, 3, 4).contiguous()

    def make_scheduler(self, sampler: SamplerSettings) -> CogVideoXDPMScheduler | CogVideoXDDIMScheduler:
        """The scheduler that a sampler names, on the model's own noise schedule; a flow shift is not supported.

        Raises:
            RecipeError: another scheduler, or a flow shift.
        """
        check_sampler("cogvideox", sampler)
        scheduler_class = SCHEDULERS[sampler.scheduler]
        return scheduler_class.from_config(self.scheduler_config, timestep_spacing="trailing")

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output, about -1 to 1, without the extra frame of CogVideoX 1.5."""
        z = 1 / self.pipeline.vae_scaling_factor_image * latents[:, :, self.num_extra :]
        video: Tensor = self.pipeline.vae.decode(z.to(self.pipeline.vae.dtype)).sample
        return video

    def last_sigma(self, sampler: SamplerSettings) -> float:
        """The middle of the sigmas that fall into the scheduler's last timestep."""
        scheduler = self.make_scheduler(sampler)
        scheduler.set_timesteps(sampler.num_steps)
        return (float(scheduler.timesteps[-1]) + 0.5) / NUM_TIMESTEPS

    @torch.no_grad()
    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """Scaled mode of the posterior; for CogVideoX 1.5 its first frame is repeated."""
        x = self.pixels(frames).to(self.pipeline.vae.dtype)
        z = self.pipeline.vae.encode(x).latent_dist.mode().float() * self.pipeline.vae_scaling_factor_image
        return torch.cat([z[:, :, :1].expand(-1, -1, self.num_extra, -1, -1), z], dim=2)

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """v, with time and channels swapped for the transformer, and rotary positions if the model has them."""
        positions = None
        if transformer.config.use_rotary_positional_embeddings:
            spatial = self.pipeline.vae_scale_factor_spatial
            positions = self.pipeline._prepare_rotary_positional_embeddings(
                z_t.shape[3] * spatial, z_t.shape[4] * spatial, z_t.shape[2], z_t.device
            )
        velocity: Tensor = transformer(
            hidden_states=z_t.permute(0, 2, 1, 3, 4),
            encoder_hidden_states=text.states_BLD,
            timestep=timestep_B,
            image_rotary_emb=positions,
            return_dict=False,
        )[0]
        return velocity.permute(0, 2, 1, 3, 4)
