"""HunyuanVideo 1.5 (8.3B): from text, at 480p and 720p.

Flow matching; Qwen2.5-VL states of a chat template, and ByT5 states of the words that a prompt puts between quotation
marks, each with a mask. Guidance is by a guider of the pipeline, with a negative prompt. The transformer, which also
makes videos from images, takes empty places for an image beside the noisy latents and among the text.
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from rushes.errors import InputError
from rushes.families.family import Conditions
from rushes.families.hunyuan import Hunyuan
from rushes.families.loaded import check_sampler, check_shape
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings


@dataclass(frozen=True, eq=False)
class Hunyuan15(Hunyuan):
    """A loaded HunyuanVideo 1.5 pipeline; scheduler, autoencoder and targets of an adapter are as in HunyuanVideo."""

    guides_twice: ClassVar[bool] = True

    name: str = "hunyuan15"

    def __post_init__(self) -> None:
        if self.transformer.config.use_meanflow:
            raise InputError(
                "this HunyuanVideo 1.5 predicts a mean velocity over a step (use_meanflow), which is another target",
                expected="a text-to-video transformer without use_meanflow",
                next_step="use a model such as hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
            )
        self.pipeline.tokenizer_max_length = self.max_tokens
        # The mask in its autoencoder's attention fits one clip: several are decoded and encoded one after the other.
        self.pipeline.vae.enable_slicing()

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w; frames 4 k + 1, sides multiples of 16."""
        temporal, spatial = self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial
        step = spatial * self.transformer.config.patch_size
        check_shape(shape, "HunyuanVideo 1.5", frame_step=temporal, pixel_step=step)
        t = (shape.num_frames - 1) // temporal + 1
        return int(self.pipeline.num_channels_latents), t, shape.height_px // spatial, shape.width_px // spatial

    def read_texts(self, texts: list[str]) -> TextStates:
        """Qwen states without the template's first tokens, ByT5 states of quoted words, and the masks of both."""
        return TextStates(
            **dict(
                zip(
                    ("states_BLD", "mask_BL", "second_BME", "second_mask_BM"),
                    self.pipeline.encode_prompt(prompt=texts, device=self.device, batch_size=len(texts)),
                    strict=True,
                )
            )
        )

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents from the stock sampler, with its guider at the sampler's scale."""
        self.pipeline.scheduler = self.make_scheduler(sampler)
        guider = self.pipeline.guider
        if (guider.config.guidance_scale, guider.config.enabled) != (sampler.guidance_scale, True):
            self.pipeline.guider = guider.new(guidance_scale=sampler.guidance_scale, enabled=True)
        noise = self.noise(seeds, self.latent_shape(shape))
        prompt, negative = self.encode_text(texts), self.negative_text(len(texts), sampler)
        return self.run_pipeline(
            sampler,
            shape,
            **_inputs(prompt, ""),
            **({} if negative is None else _inputs(negative, "negative_")),
            latents=noise.to(self.device),
        )

    def call_settings(self, sampler: SamplerSettings, shape: ShapeSpec) -> Mapping[str, object]:
        """Guidance and the text length are set beside the call."""
        settings = dict(super().call_settings(sampler, shape))
        del settings["guidance_scale"], settings["max_sequence_length"]
        return settings

    def make_scheduler(self, sampler: SamplerSettings) -> FlowMatchEulerDiscreteScheduler:
        """Euler with the sampler's shift.

        Raises:
            RecipeError: another scheduler.
        """
        check_sampler("hunyuan15", sampler)
        return FlowMatchEulerDiscreteScheduler.from_config(self.scheduler_config, shift=sampler.shift)

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The transformer's output for latents with no image beside them."""
        no_image = torch.zeros_like(torch.cat([z_t, z_t[:, :1]], dim=1))
        image_embeds = z_t.new_zeros(
            len(z_t), self.pipeline.vision_num_semantic_tokens, transformer.config.image_embed_dim
        )
        velocity: Tensor = transformer(
            hidden_states=torch.cat([z_t, no_image], dim=1),
            image_embeds=image_embeds,
            timestep=timestep_B,
            encoder_hidden_states=text.states_BLD,
            encoder_attention_mask=text.mask_BL,
            encoder_hidden_states_2=text.second_BME,
            encoder_attention_mask_2=text.second_mask_BM,
            return_dict=False,
        )[0]
        return velocity


def _inputs(text: TextStates, prefix: str) -> dict[str, Tensor | None]:
    """A text as the pipeline takes it."""
    return {
        f"{prefix}prompt_embeds": text.states_BLD,
        f"{prefix}prompt_embeds_mask": text.mask_BL,
        f"{prefix}prompt_embeds_2": text.second_BME,
        f"{prefix}prompt_embeds_mask_2": text.second_mask_BM,
    }
