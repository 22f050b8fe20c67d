"""LTX-2: the video half of a model of video and sound; its sound is sampled as ever and thrown away, and never tuned.

Flow matching on packed tokens, as LTX-Video. Training runs the transformer with its two halves apart
(`isolate_modalities`): no weight that belongs to sound, and none of the attention between the halves, gets a gradient.
Sampling is the stock pipeline's, both halves together, with plain guidance only: its further guidance terms, which take
two more calls a step, are off, so that a recipe's sampler is all that decides a clip.
Gemma-3 states of all layers (770 MB a text) are brought to the transformer's width by the pipeline's connectors when a
text is read, and only that is kept.
Legend: N clips, B batch, C latent channels, t latent frames, h w latent rows and columns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rushes.families.family import Conditions
from rushes.families.ltx import LTX
from rushes.families.noise import generators
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

LORA_TARGETS = (
    *("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0"),
    *("attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0"),
    *("ff.net.0.proj", "ff.net.2"),
)
"""Linear layers that a low-rank adapter changes: those of the video half."""
PLAIN_GUIDANCE = {
    **{"stg_scale": 0.0, "modality_scale": 1.0, "guidance_rescale": 0.0},
    **{"audio_stg_scale": 0.0, "audio_modality_scale": 1.0, "audio_guidance_rescale": 0.0},
}
"""Settings that switch the pipeline's further guidance off."""


@dataclass(frozen=True, eq=False)
class LTX2(LTX):
    """A loaded LTX-2 pipeline; latents, shapes and scheduler are as in LTX-Video."""

    title: ClassVar[str] = "LTX-2"

    name: str = "ltx2"
    lora_targets: tuple[str, ...] = LORA_TARGETS

    def read_texts(self, texts: list[str]) -> TextStates:
        """The connectors' states for video and for sound, with the mask; one text at a time: it takes much memory."""
        return TextStates.cat([self._read(text) for text in texts])

    def _read(self, text: str) -> TextStates:
        pipe = self.pipeline
        states, mask, *_ = pipe.encode_prompt(
            [text], do_classifier_free_guidance=False, max_sequence_length=self.max_tokens, device=self.device
        )
        states = states.to(pipe.connectors.dtype)
        video, sound, mask = pipe.connectors(states, mask, padding_side=pipe.tokenizer.padding_side)
        return TextStates(video, mask, second_BME=sound)

    @torch.no_grad()
    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents of the video from the stock sampler, unpacked; noise of the sound is drawn after its."""
        self.pipeline.scheduler = self.make_scheduler(sampler)
        size, drawn = self.latent_shape(shape), generators(seeds)
        noise = torch.stack([torch.randn(size, generator=generator) for generator in drawn])
        prompt, negative = self.encode_text(texts), self.negative_text(len(texts), sampler)
        last: list[Tensor] = []

        def keep(pipe: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            last[:] = [tensors["latents"]]
            return tensors

        with self._texts_are_read(prompt.states_BLD.shape[-1]):
            self.run_pipeline(
                sampler,
                shape,
                prompt_embeds=self.as_input(_both(prompt)),
                prompt_attention_mask=prompt.mask_BL,
                negative_prompt_embeds=None if negative is None else self.as_input(_both(negative)),
                negative_prompt_attention_mask=None if negative is None else negative.mask_BL,
                audio_guidance_scale=sampler.guidance_scale,
                **PLAIN_GUIDANCE,
                frame_rate=shape.fps,
                latents=self.pack(noise.to(self.device)),
                audio_latents=self._sound(drawn, shape).to(self.device),
                callback_on_step_end=keep,
            )
        # What the pipeline returns is not normalised any more: the state after its last step is.
        return self.unpack(last[0].float(), size[1:])

    def _sound(self, drawn: Sequence[torch.Generator], shape: ShapeSpec) -> Tensor:
        """Noise for the sound as the stock pipeline draws it, in the form that its call takes: not normalised."""
        pipe, vae = self.pipeline, self.pipeline.audio_vae
        per_second = pipe.audio_sampling_rate / pipe.audio_hop_length / float(pipe.audio_vae_temporal_compression_ratio)
        length = round(shape.num_frames / shape.fps * per_second)
        size = (vae.config.latent_channels, length, vae.config.mel_bins // pipe.audio_vae_mel_compression_ratio)
        noise = pipe._pack_audio_latents(torch.stack([torch.randn(size, generator=each) for each in drawn]))
        sound: Tensor = pipe._denormalize_audio_latents(noise, vae.latents_mean.cpu(), vae.latents_std.cpu())
        return sound

    @contextlib.contextmanager
    def _texts_are_read(self, width: int) -> Iterator[None]:
        """Within, the pipeline's connectors pass on states that they made before: those of video, then those of sound.

        Args:
            width: of the states for the video.
        """
        connectors = self.pipeline.connectors
        own = connectors.__dict__.get("forward")  # there if the part is offloaded

        def pass_on(both: Tensor, mask: Tensor, **_: Any) -> tuple[Tensor, Tensor, Tensor]:
            return both[..., :width], both[..., width:], mask

        connectors.forward = pass_on
        try:
            yield
        finally:
            if own is None:
                del connectors.forward
            else:
                connectors.forward = own

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output, about -1 to 1, as the pipeline computes it: without noise of the decoder's own."""
        vae = self.pipeline.vae
        z = self.pipeline._denormalize_latents(latents, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
        timestep = z.new_zeros(len(z)) if vae.config.timestep_conditioning else None
        video: Tensor = vae.decode(z.to(vae.dtype), timestep, return_dict=False)[0]
        return video

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The velocity of the video half alone, unpacked; the frame rate decides the time of each frame."""
        _, _, t, h, w = z_t.shape
        velocity = transformer(
            hidden_states=self.pack(z_t),
            # One step of silence: the other half has to be given something.
            audio_hidden_states=z_t.new_zeros(len(z_t), 1, transformer.config.audio_in_channels),
            encoder_hidden_states=text.states_BLD,
            audio_encoder_hidden_states=text.second_BME,
            timestep=timestep_B,
            sigma=timestep_B,
            encoder_attention_mask=text.mask_BL,
            audio_encoder_attention_mask=text.mask_BL,
            num_frames=t,
            height=h,
            width=w,
            fps=conditions.fps,
            audio_num_frames=1,
            isolate_modalities=True,
            use_cross_timestep=True,
            return_dict=False,
        )[0]
        return self.unpack(velocity, (t, h, w))


def _both(text: TextStates) -> Tensor:
    """States for video and sound side by side."""
    assert text.second_BME is not None
    return torch.cat([text.states_BLD, text.second_BME], dim=-1)
