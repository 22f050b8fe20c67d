"""What all adapters share: a loaded pipeline, kept texts, noise from seeds, conversion of pixels.

Legend: N clips, C latent channels, T frames, t latent frames, H W pixels, h w latent rows and columns.
"""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from rushes.errors import RecipeError
from rushes.families.attention import attention_for_sampling
from rushes.families.cache import cached, samples_one_by_one
from rushes.families.defaults import in_words
from rushes.families.experts import PARTS, Expert, PartName, named, of_part, transformers_of
from rushes.families.folder import FamilyName
from rushes.families.limits import Grid, refused_settings
from rushes.families.mixed_precision import as_stored, computes_in_half, is_in_float8, mixed_precision
from rushes.families.noise import noise_of
from rushes.families.offload import UNMOVED, Placement, bring_back, place
from rushes.families.speed import Speed, clips_that_fit
from rushes.families.texts import TextStates, as_negative, plain_text
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.families.adapter import Factors
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

    reads_negative_apart: ClassVar[bool] = False
    """Whether `read_texts` wants negative prompts marked as such (`texts.as_negative`), to read them in another way."""
    guides_twice: ClassVar[bool] = False
    """Whether its pipeline calls the transformer twice a step for guidance; others make one call, of twice the batch,
    or are distilled and guided by an input."""

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
    load_transformer: Callable[[PartName, torch.dtype], torch.nn.Module] | None = None
    """Loads a transformer from its files once more, in a number format and with `base.lora` in it; None if those in the
    pipeline are float32, so that they hold all that the files hold."""
    load_text_parts: Callable[[], Mapping[str, Any]] | None = None
    """Loads the text encoders again after they were dropped; None if they are never dropped."""
    kept: dict[str, TextStates] = field(default_factory=dict[str, TextStates])
    """Texts encoded in advance, one `TextStates` of one item each, in main memory."""
    remembered: dict[tuple[str, ...], TextStates] = field(default_factory=dict[tuple[str, ...], TextStates])
    """Encoded states by the batch of texts, in main memory, most recently used last."""
    placement: Placement = UNMOVED
    """Where the parts are stored while they are not in use, and why."""
    part: PartName = "transformer"
    """Name in the pipeline of the network that is tuned."""
    speed: Speed = field(default_factory=Speed)
    """How it uses its device when it samples."""
    adapters: Mapping[PartName, Mapping[str, Factors]] = field(default_factory=dict[PartName, Mapping[str, "Factors"]])
    """What `base.lora` has added to the weights of each transformer, by layer."""

    @property
    def transformer(self) -> Any:
        """The network that is tuned: the one called `part`."""
        return getattr(self.pipeline, self.part)

    @property
    def transformers(self) -> dict[PartName, Any]:
        """Every transformer by its name in the pipeline: one, or two by noise level."""
        return transformers_of(self.pipeline)

    def levels_of(self, part: PartName) -> tuple[float, float]:
        """The noise levels at which a transformer predicts: all, unless the family says otherwise."""
        return 0.0, 1.0

    @property
    def start_adapter(self) -> Mapping[str, Factors]:
        """What `base.lora` has added to the weights of the one that is tuned, by layer; empty without one."""
        return self.adapters.get(self.part, {})

    @property
    def has_experts(self) -> bool:
        """Whether there are two, by noise level."""
        return len(self.transformers) > 1

    @property
    def levels(self) -> tuple[float, float]:
        """Those of the one that is tuned."""
        return self.levels_of(self.part)

    def tuning(self, expert: Expert | None) -> Self:
        """The same loaded model with another of two transformers as the one that is tuned; None for the first."""
        return self if expert is None else replace(self, part=PARTS[expert])

    def with_speed(self, speed: Speed) -> Self:
        """The same loaded model that uses its device as `speed` says when it samples."""
        return replace(self, speed=speed)

    def weights(self) -> dict[str, Tensor]:
        """All transformers' weights as they are, by name, see `rushes.families.experts`."""
        return {
            name: value
            for part, network in self.transformers.items()
            for name, value in named(network.state_dict(), part).items()
        }

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Load tuned weights; every name of a transformer must be present, or none of it."""
        with self.plain_weights():
            for part, network in self.transformers.items():
                if weights := of_part(state, part):
                    network.load_state_dict(as_stored(network, weights))

    def master(self) -> torch.nn.Module:
        """A transformer of its own in main memory, with the base's weights in float32 as its files hold them."""
        if self.load_transformer is None:
            own: torch.nn.Module = copy.deepcopy(self.transformer)
            return own
        return self.load_transformer(self.part, torch.float32)

    def master_weights(self) -> Mapping[str, Tensor]:
        """The base's weights in float32, by name, as they were before anything was loaded over them; not to be changed.

        With weights in the pipeline that are float32 these are that transformer's own.
        """
        if self.load_transformer is None:
            return dict(self.transformer.state_dict())
        return dict(self.load_transformer(self.part, torch.float32).state_dict())

    def all_master_weights(self) -> Mapping[str, Tensor]:
        """`master_weights` of every transformer, by name as `weights` gives them."""
        found: dict[str, Tensor] = {}
        for part in self.transformers:
            found |= named(replace(self, part=part).master_weights(), part)
        return found

    def frozen_copy(self, *, is_changed: bool) -> torch.nn.Module:
        """A transformer of its own in main memory with the base's weights in their format there: what is not trained.

        Args:
            is_changed: False lets it share the memory of the pipeline's weights, until it is moved to another device.
        """
        if is_in_float8(self.transformer):
            assert self.load_transformer is not None
            return self.load_transformer(self.part, torch.bfloat16)  # before it is cast: hooks cannot be copied
        shared: dict[int, Any] = {}
        if not is_changed:
            shared = {id(p): torch.nn.Parameter(p.data, requires_grad=False) for p in self.transformer.parameters()}
        found: torch.nn.Module = copy.deepcopy(self.transformer, shared)
        return found

    @contextlib.contextmanager
    def plain_weights(self) -> Iterator[None]:
        """A context in which every part's weights can be read and written, in main memory if they are offloaded.

        An offloaded pipeline cannot generate inside it. It must not be nested.
        """
        if self.placement.offload == "none":
            yield
            return
        bring_back(self.pipeline, self.placement.offload)
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
            read = list(texts) if self.reads_negative_apart else [plain_text(text) for text in texts]
            states = self.read_texts(read).to("cpu")
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
        text = as_negative(sampler.negative_prompt)
        return self.encode_text([text] * num) if sampler.guidance_scale > 1 else None

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
        num = len(next(value for value in inputs.values() if isinstance(value, Tensor)))
        if samples_one_by_one(sampler) and num > 1:
            rows = ({name: _row(value, row) for name, value in inputs.items()} for row in range(num))
            return torch.cat([self.run_pipeline(sampler, shape, **each) for each in rows])
        with (
            attention_for_sampling(),
            self.autocast(sampler.precision),
            cached(self.pipeline, sampler),
            self.speed.applied(self, sampler, shape, num),
        ):
            latents: Tensor = self.pipeline(output_type="latent", **self.call_settings(sampler, shape), **inputs).frames
        return latents.float()

    def call_settings(self, sampler: SamplerSettings, shape: ShapeSpec) -> Mapping[str, object]:
        """What a sampler and a shape say, under the names of the pipeline's call."""
        return {
            "height": shape.height_px,
            "width": shape.width_px,
            "num_frames": shape.num_frames,
            "num_inference_steps": sampler.num_steps,
            "guidance_scale": sampler.guidance_scale,
            "max_sequence_length": self.max_tokens,
        }

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
        """uint8 frames of each clip, exactly as the pipeline's own `output_type="np"` rounds them.

        As many clips at once as fit into free memory: all, unless it is short.
        """
        parts = latents.split(clips_that_fit(self, latents))
        return [frames for part in parts for frames in to_frames(self.decoded(part))]

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output (N, 3, T, H, W), about -1 to 1; every family has its own."""
        raise NotImplementedError

    def pixels(self, frames: Sequence[Frames]) -> Tensor:
        """From uint8 frames (T, H, W, 3) per clip to an autoencoder's input: (N, 3, T, H, W) in [-1, 1]."""
        return torch.from_numpy(np.stack(frames)).to(self.device).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def _row(value: Any, row: int) -> Any:
    """One clip's part of a pipeline's input: of a tensor, or of a list of generators."""
    return value[row : row + 1] if isinstance(value, (Tensor, list)) else value


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
