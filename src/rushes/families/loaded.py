"""What all adapters share: a loaded pipeline, kept texts, noise from seeds, conversion of pixels.

Legend: N clips, C latent channels, T frames, t latent frames, H W pixels, h w latent rows and columns.
"""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rushes.errors import RecipeError
from rushes.families.attention import attention_for_sampling
from rushes.families.defaults import in_words
from rushes.families.folder import FamilyName
from rushes.families.limits import Grid, refused_settings
from rushes.families.mixed_precision import computes_in_half, is_in_float8, mixed_precision
from rushes.families.noise import noise_of
from rushes.families.offload import UNMOVED, Placement, place
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.roles import Frames

TEXT_BATCH = 64
"""Texts per batch of a text encoder."""
TEXT_PARTS = ("text_encoder", "text_encoder_2")
"""Names of the parts of a pipeline that are needed only for text."""
MAX_REMEMBERED_BYTES = 2**31
"""Main memory for the states of texts encoded before; the least recently used are dropped first."""


@dataclass(frozen=True, eq=False)
class LoadedPipeline:
    """A stock pipeline with its fingerprint, and the methods that are the same in all families."""

    pipeline: Any
    """The diffusers pipeline, in evaluation mode."""
    fingerprint: str
    """Hash of the transformer's weights: equal exactly for equal models."""
    max_tokens: int
    """Text length it is trained and sampled with."""
    device: torch.device
    """Where it computes."""
    scheduler_config: Any
    """Configuration of the scheduler as loaded; sampling replaces the scheduler."""
    load_transformer: Callable[[torch.dtype], torch.nn.Module] | None = None
    """Loads the transformer from its files once more, in a number format; None if the one in the pipeline is float32,
    so that it holds all that its files hold."""
    load_text_parts: Callable[[], Mapping[str, Any]] | None = None
    """Loads the text encoders again after they were dropped; None if they are never dropped."""
    kept: dict[str, TextStates] = field(default_factory=dict[str, TextStates])
    """Texts encoded in advance, one `TextStates` of one item each, in main memory."""
    remembered: dict[tuple[str, ...], TextStates] = field(default_factory=dict[tuple[str, ...], TextStates])
    """Encoded states by the batch of texts, in main memory, most recently used last."""
    placement: Placement = UNMOVED
    """Where the parts are stored while they are not in use, and why."""

    @property
    def transformer(self) -> Any:
        """The network that is tuned."""
        return self.pipeline.transformer

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Load tuned weights into the transformer; every name must be present."""
        with self.plain_weights():
            if is_in_float8(self.transformer):  # rounded to bfloat16 first, as when it was loaded
                formats = {name: value.dtype for name, value in self.transformer.state_dict().items()}
                state = {n: v.bfloat16() if formats.get(n) == torch.float8_e4m3fn else v for n, v in state.items()}
            self.transformer.load_state_dict(dict(state))

    def master(self) -> torch.nn.Module:
        """A transformer of its own in main memory, with the base's weights in float32 as its files hold them."""
        if self.load_transformer is None:
            return copy.deepcopy(self.transformer)
        return self.load_transformer(torch.float32)

    def master_weights(self) -> Mapping[str, Tensor]:
        """The base's weights in float32, by name, as they were before anything was loaded over them; not to be changed.

        With weights in the pipeline that are float32 these are that transformer's own.
        """
        if self.load_transformer is None:
            return dict(self.transformer.state_dict())
        return dict(self.load_transformer(torch.float32).state_dict())

    def frozen_copy(self, *, is_changed: bool) -> torch.nn.Module:
        """A transformer of its own in main memory with the base's weights in their format there: what is not trained.

        Args:
            is_changed: False lets it share the memory of the pipeline's weights, until it is moved to another device.
        """
        if is_in_float8(self.transformer):
            assert self.load_transformer is not None
            return self.load_transformer(torch.bfloat16)  # before it is cast: hooks cannot be copied
        if is_changed:
            return copy.deepcopy(self.transformer)
        shared = {id(p): torch.nn.Parameter(p.data, requires_grad=False) for p in self.transformer.parameters()}
        return copy.deepcopy(self.transformer, shared)

    @contextlib.contextmanager
    def plain_weights(self) -> Iterator[None]:
        """A context in which every part's weights can be read and written, in main memory if they are offloaded.

        An offloaded pipeline cannot generate inside it. It must not be nested.
        """
        if self.placement.offload == "none":
            yield
            return
        self.pipeline.remove_all_hooks()
        self.pipeline.to("cpu")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            yield
        finally:
            place(self.pipeline, self.placement.offload, self.device)

    # ---------------------------------------------------------------- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> TextStates:
        """The transformer's text input for each text, as the stock pipeline encodes it; each text is encoded once.

        A batch of texts that was encoded before, such as a single prompt or a negative prompt, is not encoded again.
        """
        distinct = list(dict.fromkeys(texts))
        if all(text in self.kept for text in distinct):
            return TextStates.cat([self.kept[text] for text in texts]).to(self.device)
        parts = [self._read_once(tuple(distinct[at : at + TEXT_BATCH])) for at in range(0, len(distinct), TEXT_BATCH)]
        rows = {text: index for index, text in enumerate(distinct)}
        return TextStates.cat(parts)[[rows[text] for text in texts]].to(self.device).float()

    def _read_once(self, texts: tuple[str, ...]) -> TextStates:
        """The states of texts that are encoded in one batch, in main memory.

        They are remembered per batch, not per text: the last bits of a text's states can depend on the rest of its
        batch, and a clip must not depend on what was generated before it in the same process.
        """
        states = self.remembered.pop(texts, None)
        if states is None:
            if self.pipeline.text_encoder is None:
                self._bring_text_parts_back()
            states = self.read_texts(list(texts)).to("cpu")
        self.remembered[texts] = states
        while len(self.remembered) > 1 and sum(map(_num_bytes, self.remembered.values())) > MAX_REMEMBERED_BYTES:
            del self.remembered[next(iter(self.remembered))]
        return states

    def read_texts(self, texts: list[str]) -> TextStates:
        """Encode one batch of texts with the pipeline's encoders; here only token states, the default for a family."""
        states = self.pipeline.encode_prompt(
            texts, do_classifier_free_guidance=False, max_sequence_length=self.max_tokens, device=self.device
        )[0]
        return TextStates(states)

    def negative_text(self, num: int, sampler: SamplerSettings) -> TextStates | None:
        """The negative prompt's states for `num` clips; None if the sampler does not use guidance."""
        return self.encode_text([sampler.negative_prompt] * num) if sampler.guidance_scale > 1 else None

    def keep_texts(self, texts: Sequence[str], states: TextStates | None = None) -> list[str]:
        """Encode these texts now, or take their `states`, and keep the result; returns those not kept before."""
        new = [text for text in dict.fromkeys(texts) if text not in self.kept]
        if new:
            states = self.encode_text(new) if states is None else states[[texts.index(text) for text in new]]
            states = states.to("cpu")
            for at in range(0, len(new), TEXT_BATCH):
                self.remembered.pop(tuple(new[at : at + TEXT_BATCH]), None)  # not held twice
            self.kept.update({text: states[slice(index, index + 1)] for index, text in enumerate(new)})
        return new

    def forget_texts(self, texts: Sequence[str]) -> None:
        """Stop keeping these texts."""
        for text in texts:
            self.kept.pop(text, None)

    def drop_text_encoder(self) -> None:
        """Free the text encoders' memory; they are loaded again for a text that was not kept."""
        with self.plain_weights():
            for name in TEXT_PARTS:
                if getattr(self.pipeline, name, None) is not None:
                    self.pipeline.register_modules(**{name: None})
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _bring_text_parts_back(self) -> None:
        if self.load_text_parts is None:
            raise RuntimeError("the text encoder was dropped from a pipeline that cannot load it again")
        home = self.device if self.placement.offload == "none" else "cpu"
        with self.plain_weights():
            self.pipeline.register_modules(**{name: part.to(home) for name, part in self.load_text_parts().items()})

    # ---------------------------------------------------------------- sampling

    def run_pipeline(self, sampler: SamplerSettings, shape: ShapeSpec, **inputs: Any) -> Tensor:
        """The stock pipeline's `output_type="latent"` result, in float32.

        Args:
            sampler: how to sample; its scheduler is already set in the pipeline.
            shape: of the clips.
            inputs: initial noise, text, and the other inputs of this family's pipeline.
        """
        with attention_for_sampling(), self.autocast(sampler.precision):
            latents: Tensor = self.pipeline(
                height=shape.height_px,
                width=shape.width_px,
                num_frames=shape.num_frames,
                num_inference_steps=sampler.num_steps,
                guidance_scale=sampler.guidance_scale,
                output_type="latent",
                max_sequence_length=self.max_tokens,
                **inputs,
            ).frames
        return latents.float()

    # ---------------------------------------------------------------- noise and number formats

    def noise(self, seeds: Sequence[int], size: tuple[int, int, int, int]) -> Tensor:
        """Standard normal noise (N, *size), each item from its own seed; drawn on the CPU, so the same everywhere."""
        return noise_of(seeds, size)

    def autocast(self, precision: str) -> torch.autocast:
        """The autocast context for a precision; weights that were loaded in bfloat16 compute in it without."""
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
        is_mixed = precision != "float32" and not computes_in_half(self.transformer)
        return mixed_precision(self.device, dtype, enabled=is_mixed)

    def as_input(self, x: Tensor) -> Tensor:
        """In the number format of a transformer that was loaded in bfloat16; unchanged for any other."""
        return x.to(torch.bfloat16) if computes_in_half(self.transformer) else x

    # ---------------------------------------------------------------- pixels

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[Frames]:
        """uint8 frames of each clip, exactly as the pipeline's own `output_type="np"` rounds them."""
        return to_frames(self.decoded(latents))

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output (N, 3, T, H, W), about -1 to 1; every family has its own."""
        raise NotImplementedError

    def pixels(self, frames: Sequence[Frames]) -> Tensor:
        """From uint8 frames (T, H, W, 3) per clip to an autoencoder's input: (N, 3, T, H, W) in [-1, 1]."""
        return torch.from_numpy(np.stack(frames)).to(self.device).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def _num_bytes(states: TextStates) -> int:
    return sum(value.nbytes for value in states.tensors().values())


def to_frames(video_N3THW: Tensor) -> list[Frames]:
    """An autoencoder's output in [-1, 1] as uint8 frames (T, H, W, 3), rounded as the pipelines' `np` output is."""
    pixels = ((video_N3THW.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [clip.permute(1, 2, 3, 0).cpu().numpy() for clip in pixels]


def check_shape(shape: ShapeSpec, model: str, *, frame_step: int, pixel_step: int) -> None:
    """Check that a model can make clips of a shape: frame_step k + 1 frames, sides that are multiples of pixel_step.

    Raises:
        RecipeError: it cannot; the message names the nearest shape that it can.
    """
    grid = Grid(frame_step, pixel_step)
    near = grid.nearest(shape)
    if near != shape:
        raise RecipeError(
            f"{model} cannot make clips of this shape",
            expected=grid.in_words(),
            got=f"{shape.num_frames} frames of {shape.height_px} x {shape.width_px}",
            next_step=f"the nearest legal shape: --set shape.num_frames={near.num_frames} "
            f"--set shape.height_px={near.height_px} --set shape.width_px={near.width_px}",
        )


def check_sampler(family: FamilyName, sampler: SamplerSettings) -> None:
    """Check that a family can be sampled with these settings.

    Raises:
        RecipeError: it would silently ignore one of them.
    """
    for each in refused_settings(family, sampler):
        raise refuse_setting(family, each.setting, expected=each.expected, got=each.got, why=each.why)


def refuse_setting(family: str, setting: str, *, expected: str, got: object, why: str) -> RecipeError:
    """The error for a sampler setting that a family would otherwise silently ignore."""
    first = expected.partition(" or ")[0]
    return RecipeError(
        f"a model of the family {family} cannot be sampled with this {setting}: {why}",
        expected=f"{setting}: {expected}; the usual sampler is {in_words(family)}",
        got=got,
        next_step=f"--set generate.sampler.{setting}={first} --set measure.sampler.{setting}={first}",
    )
