"""SANA-Video 2B: at 480p on Wan's autoencoder, at 720p on LTX-2's.

Flow matching with linear attention over the video, so that memory grows with the number of tokens, not with its square.
Gemma-2 reads each prompt behind the pipeline's own instruction; the states of the prompt's own tokens are kept.
A negative prompt and the empty text are read without the instruction, as the stock pipeline reads them.
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor

from rushes.families.family import Conditions
from rushes.families.limits import SANA_SIDE
from rushes.families.loaded import LoadedPipeline, check_sampler, check_shape
from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates, is_negative, plain_text
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.roles import Frames

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
"""Linear layers that a low-rank adapter changes: both attentions. The feed-forward layers are convolutions."""
_MULTISTEP = {
    "DPMSolverMultistepScheduler": DPMSolverMultistepScheduler,
    "UniPCMultistepScheduler": UniPCMultistepScheduler,
}


@dataclass(frozen=True, eq=False)
class SanaVideo(LoadedPipeline):
    """A loaded SANA-Video pipeline."""

    reads_negative_apart: ClassVar[bool] = True

    name: str = "sana_video"
    path: Path = STRAIGHT
    lora_targets: tuple[str, ...] = LORA_TARGETS

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w; frames 4 k + 1 at 480p and 8 k + 1 at 720p, sides multiples of 32, as the pipeline asks."""
        temporal, spatial = self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial
        step = math.lcm(spatial * self.transformer.config.patch_size[1], SANA_SIDE)
        check_shape(shape, "SANA-Video", frame_step=temporal, pixel_step=step)
        t = (shape.num_frames - 1) // temporal + 1
        return int(self.transformer.config.in_channels), t, shape.height_px // spatial, shape.width_px // spatial

    def read_texts(self, texts: list[str]) -> TextStates:
        """Gemma-2 states with the mask of text against padding; prompts behind the pipeline's instruction."""
        alone = [not text or is_negative(text) for text in texts]
        found = [TextStates(torch.empty(0))] * len(texts)
        for without in (True, False):
            rows = [row for row, each in enumerate(alone) if each == without]
            if rows:
                states, mask, *_ = self.pipeline.encode_prompt(
                    [plain_text(texts[row]) for row in rows],
                    do_classifier_free_guidance=False,
                    device=self.device,
                    max_sequence_length=self.max_tokens,
                    complex_human_instruction=None if without else self._instruction(),
                )
                for index, row in enumerate(rows):
                    found[row] = TextStates(states[index : index + 1], mask[index : index + 1])
        return TextStates.cat(found)

    def _instruction(self) -> list[str]:
        """What the stock pipeline puts before a prompt."""
        lines: list[str] = (
            inspect.signature(type(self.pipeline).__call__).parameters["complex_human_instruction"].default
        )
        return lines

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents from the stock sampler, at exactly the recipe's size: no rounding to its list of sizes."""
        self.pipeline.scheduler = self.make_scheduler(sampler)
        noise = self.noise(seeds, self.latent_shape(shape))
        prompt, negative = self.encode_text(texts), self.negative_text(len(texts), sampler)
        return self.run_pipeline(
            sampler,
            shape,
            prompt_embeds=prompt.states_BLD,
            prompt_attention_mask=prompt.mask_BL,
            negative_prompt=None,
            negative_prompt_embeds=None if negative is None else negative.states_BLD,
            negative_prompt_attention_mask=None if negative is None else negative.mask_BL,
            latents=noise.to(self.device),
        )

    def call_settings(self, sampler: SamplerSettings, shape: ShapeSpec) -> Mapping[str, object]:
        """The number of frames has another name, and sizes are not rounded to the pipeline's list."""
        settings = dict(super().call_settings(sampler, shape))
        settings["frames"] = settings.pop("num_frames")
        return {**settings, "use_resolution_binning": False}

    def make_scheduler(self, sampler: SamplerSettings) -> Any:
        """The diffusers scheduler that a sampler names, with the sampler's shift.

        Raises:
            RecipeError: another scheduler.
        """
        check_sampler("sana_video", sampler)
        if sampler.scheduler in _MULTISTEP:
            return _MULTISTEP[sampler.scheduler].from_config(
                self.scheduler_config,
                prediction_type="flow_prediction",
                use_flow_sigmas=True,
                flow_shift=sampler.shift,
            )
        return FlowMatchEulerDiscreteScheduler(shift=sampler.shift)

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output, about -1 to 1, as the pipeline computes it."""
        vae = self.pipeline.vae
        mean, std = (value.to(vae.dtype) for value in self._statistics())
        # Divided by 1 / std, not multiplied by std, as the stock pipeline does: the last bit can change a pixel.
        video: Tensor = vae.decode(latents.to(vae.dtype) / (1.0 / std) + mean, return_dict=False)[0]
        return video

    def last_sigma(self, sampler: SamplerSettings) -> float:
        """The last level of the scheduler's own list before 0."""
        scheduler = self.make_scheduler(sampler)
        scheduler.set_timesteps(sampler.num_steps)
        return float(scheduler.sigmas[sampler.num_steps - 1])

    @torch.no_grad()
    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """(z - mean) / std of the posterior's mode, in float32."""
        vae, (mean, std) = self.pipeline.vae, self._statistics()
        z = vae.encode(self.pixels(frames).to(vae.dtype)).latent_dist.mode()
        normalised: Tensor = (z.float() - mean) / std
        return normalised

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The transformer's output."""
        velocity: Tensor = transformer(
            z_t,
            encoder_hidden_states=text.states_BLD,
            encoder_attention_mask=text.mask_BL,
            timestep=timestep_B,
            return_dict=False,
        )[0]
        return velocity

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by channel: settings of Wan's autoencoder, buffers of LTX-2's."""
        vae = self.pipeline.vae
        where = vae.config if "latents_mean" in vae.config else vae
        found = (torch.as_tensor(where.latents_mean), torch.as_tensor(where.latents_std))
        mean, std = (value.view(1, -1, 1, 1, 1).to(self.device, torch.float32) for value in found)
        return mean, std
