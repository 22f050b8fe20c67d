"""The seam between the stages and a model family: what every adapter answers, and nothing else is asked of it.

Legend: N clips, B batch, C latent channels, T frames, t latent frames, H W pixels, h w latent rows and columns.
All latents are normalised: what the transformer sees, one layout (N, C, t, h, w) for every family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from rushes.families.path import Path
from rushes.families.texts import TextStates
from rushes.recipe.base import ShapeSpec
from rushes.records import SamplerSettings

if TYPE_CHECKING:
    from rushes.families.offload import Placement
    from rushes.roles import Frames


@dataclass(frozen=True)
class Conditions:
    """What a transformer may be told besides latents, timestep and text; the same through a run."""

    fps: float = 8.0
    """Frames per second: LTX-Video places its frames in time by it."""
    guidance: float = 1.0
    """Guidance scale the clips are generated with: a guidance-distilled HunyuanVideo takes it as an input."""


PLAIN = Conditions()
"""What most transformers need: nothing."""


class Family(Protocol):
    """A loaded model of one family."""

    @property
    def name(self) -> str:
        """As a recipe's `base.family` says it."""
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
    def fingerprint(self) -> str:
        """Hash of the transformer's weights as loaded: two models are the same exactly when it is."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the pipeline is."""
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
        """Where the parts wait between their turns, and why."""
        ...

    def plain_weights(self) -> AbstractContextManager[None]:
        """Every part's weights to be read and written meanwhile, in main memory where they are offloaded otherwise.

        An offloaded pipeline cannot generate meanwhile; not to be entered twice.
        """
        ...

    def latent_shape(self, shape: ShapeSpec) -> tuple[int, int, int, int]:
        """C, t, h, w of a clip's latents.

        Raises:
            RecipeError: the family cannot make clips of this shape; the message names the nearest that it can.
        """
        ...

    def encode_text(self, texts: Sequence[str]) -> TextStates:
        """What the transformer reads of each text, as the stock pipeline encodes it; each text once."""
        ...

    def keep_texts(self, texts: Sequence[str], states: TextStates | None = None) -> list[str]:
        """Encode these texts now and keep the result, so that the text encoder is not needed for them again.

        Args:
            texts: to keep.
            states: what the transformer reads of each, where another process has encoded them.

        Returns:
            Those that were not kept before.
        """
        ...

    def forget_texts(self, texts: Sequence[str]) -> None:
        """Keep these texts no longer."""
        ...

    def drop_text_encoder(self) -> None:
        """Free the text encoder's memory; it is loaded again when a text comes that was not kept."""
        ...

    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: SamplerSettings, shape: ShapeSpec) -> Tensor:
        """Final latents (N, C, t, h, w), float32, as they leave the stock sampler; each clip's noise from its seed.

        Raises:
            RecipeError: a sampler setting or the shape is not for this family.
        """
        ...

    def decode(self, latents: Tensor) -> list[Frames]:
        """uint8 frames (T, H, W, 3) of latents (N, C, t, h, w), as the pipeline's own `output_type="np"` gives them."""
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
            conditions: what else it is told.

        Returns:
            (B, C, t, h, w), the quantity of `path.target`.
        """
        ...

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Put tuned weights into the transformer: the same names, all of them."""
        ...
