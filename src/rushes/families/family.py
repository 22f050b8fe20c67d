"""The interface between the stages and a model family: all that every adapter provides.

Legend: N clips, B batch, C latent channels, T frames, t latent frames, H W pixels, h w latent rows and columns.
All latents are normalised, as the transformer takes them, in one layout (N, C, t, h, w) for every family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from rushes.families.experts import Expert, PartName
from rushes.families.path import Path
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.families.adapter import Factors
    from rushes.families.offload import Placement
    from rushes.families.speed import Speed
    from rushes.roles import Frames


@dataclass(frozen=True)
class Conditions:
    """What a transformer may take besides latents, timestep and text; constant in a run."""

    fps: float = 8.0
    """Frames per second: LTX-Video computes the time of its frames from it."""
    guidance: float = 1.0
    """Guidance scale: a guidance-distilled HunyuanVideo takes it as an input."""


PLAIN = Conditions()
"""What most transformers need: nothing."""


class Family(Protocol):
    """A loaded model of one family."""

    @property
    def name(self) -> str:
        """As in a recipe's `base.family`."""
        ...

    @property
    def pipeline(self) -> Any:
        """The stock diffusers pipeline, in evaluation mode, frozen."""
        ...

    @property
    def transformer(self) -> Any:
        """The network that is tuned: a diffusers model."""
        ...

    @property
    def part(self) -> PartName:
        """Its name in the pipeline."""
        ...

    @property
    def start_adapter(self) -> Mapping[str, Factors]:
        """What `base.lora` has added to the weights of the one that is tuned, by layer; empty without one."""
        ...

    @property
    def has_experts(self) -> bool:
        """Whether it has two transformers, by noise level."""
        ...

    @property
    def load_transformer(self) -> Callable[[PartName, torch.dtype], torch.nn.Module] | None:
        """Loads a transformer from its files once more; None if those in the pipeline are float32."""
        ...

    @property
    def levels(self) -> tuple[float, float]:
        """The noise levels at which it predicts: from the first up to the second; 0 to 1 for all."""
        ...

    @property
    def transformers(self) -> Mapping[PartName, Any]:
        """All transformers by name: one, or two by noise level."""
        ...

    def levels_of(self, part: PartName) -> tuple[float, float]:
        """The noise levels at which one of them predicts."""
        ...

    def tuning(self, expert: Expert | None) -> Family:
        """The same loaded model with another of two transformers as the one that is tuned; None for the first."""
        ...

    def with_speed(self, speed: Speed) -> Family:
        """The same loaded model that uses its device as `speed` says when it samples."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """All transformers' weights as they are, by name, see `rushes.families.experts`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the transformer's weights as loaded: equal exactly for equal models."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the pipeline computes."""
        ...

    @property
    def max_tokens(self) -> int:
        """Text length that it is trained and sampled with."""
        ...

    @property
    def path(self) -> Path:
        """How it mixes clean latents with noise, and what its transformer predicts."""
        ...

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """Name endings of the linear layers that a low-rank adapter changes."""
        ...

    @property
    def placement(self) -> Placement:
        """Where the parts are stored while they are not in use, and why."""
        ...

    def plain_weights(self) -> AbstractContextManager[None]:
        """A context in which every part's weights can be read and written, in main memory if they are offloaded.

        An offloaded pipeline cannot generate inside it. It must not be nested.
        """
        ...

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w of a clip's latents.

        Raises:
            RecipeError: the family cannot make clips of this shape; the message names the nearest that it can.
        """
        ...

    def encode_text(self, texts: Sequence[str]) -> TextStates:
        """The transformer's text input for each text, as the stock pipeline encodes it; each text is encoded once."""
        ...

    def keep_texts(self, texts: Sequence[str], states: TextStates | None = None) -> list[str]:
        """Encode these texts now and keep the result, so that the text encoder is not needed for them again.

        Args:
            texts: to keep.
            states: their encoded states, if another process has encoded them.

        Returns:
            The texts that were not kept before.
        """
        ...

    def forget_texts(self, texts: Sequence[str]) -> None:
        """Stop keeping these texts."""
        ...

    def drop_text_encoder(self) -> None:
        """Free the text encoder's memory; it is loaded again for a text that was not kept."""
        ...

    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents (N, C, t, h, w), float32, from the stock sampler; each clip's noise from its seed.

        Raises:
            RecipeError: this family does not support a sampler setting or the shape.
        """
        ...

    def decode(self, latents: Tensor) -> list[Frames]:
        """uint8 frames (T, H, W, 3) of latents (N, C, t, h, w), as the pipeline's own `output_type="np"` gives them."""
        ...

    def decoded(self, latents: Tensor) -> Tensor:
        """The autoencoder's output (N, 3, T, H, W), about -1 to 1, for these latents, with their gradient."""
        ...

    def last_sigma(self, sampler: SamplerSettings) -> float:
        """Noise level, 0 to 1, from which a sampler takes its last step.

        Raises:
            RecipeError: this family does not support a sampler setting.
        """
        ...

    def encode(self, frames: Sequence[Frames]) -> Tensor:
        """Latents (N, C, t, h, w) of clips given as uint8 frames (T, H, W, 3); the mode of the posterior."""
        ...

    def predict(
        self, transformer: Any, z_t: Tensor, timestep_B: Tensor, text: TextStates, conditions: Conditions
    ) -> Tensor:
        """The velocity that a transformer of this family predicts.

        Args:
            transformer: the base's, or a copy of it in training, perhaps with an adapter.
            z_t: noisy latents, (B, C, t, h, w).
            timestep_B: from `path.timestep`, (B,).
            text: B texts.
            conditions: its other inputs.

        Returns:
            (B, C, t, h, w), the quantity of `path.target`.
        """
        ...

    def master(self) -> Any:
        """A transformer of its own in main memory, with the base's weights in float32 as its files hold them."""
        ...

    def master_weights(self) -> Mapping[str, Tensor]:
        """The base's weights in float32 by name; not to be changed. From the pipeline's transformer if that is float32,
        else from the files."""
        ...

    def all_master_weights(self) -> Mapping[str, Tensor]:
        """The same of every transformer, by name as `weights` gives them."""
        ...

    def frozen_copy(self, *, is_changed: bool) -> Any:
        """A transformer of its own in main memory with the base's weights, frozen, in the format of the pipeline's.

        Args:
            is_changed: False lets it share the memory of the pipeline's weights, until it is moved to another device.
        """
        ...

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Load tuned weights; every name of a transformer must be present, or none of it."""
        ...
