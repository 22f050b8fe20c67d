"""One training batch in the paper's symbols, and the named terms of a loss.

Legend: B batch, C latent channels, T latent frames, H W latent size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rushes.families.texts import TextStates

if TYPE_CHECKING:
    import torch

    from rushes.families.path import Path


@dataclass(frozen=True, eq=False)
class FlowBatch:
    """One training batch in the paper's symbols; the family's path defines z_t and the target v."""

    z_0_BCTHW: torch.Tensor
    """Clean latents."""
    epsilon_BCTHW: torch.Tensor
    """Noise, standard normal."""
    sigma_B: torch.Tensor
    """Noise level of each item, 0 to 1; sigma * 1000 is its timestep."""
    text: TextStates
    """The transformer's text input for each item."""
    weight_B: torch.Tensor
    """Weight w of each item, >= 0."""
    is_real_B: torch.Tensor
    """True for the latents of a real clip (bool)."""


@dataclass(frozen=True, eq=False)
class OwnClips:
    """The model's own clips of a (micro-)batch, in whole units one after another, with what objectives compare."""

    z_0_BCTHW: torch.Tensor
    """Clean latents."""
    z_t_BCTHW: torch.Tensor
    """Noisy latents."""
    sigma_B: torch.Tensor
    """Noise levels, 0 to 1."""
    target_BCTHW: torch.Tensor
    """The velocity to learn, epsilon - z_0 on a straight path."""
    velocity_BCTHW: torch.Tensor
    """The tuned model's velocity, with its gradient; at least float32."""
    reference_BCTHW: torch.Tensor | None
    """The frozen start's velocity, without gradient; None unless it is needed."""
    columns: Mapping[str, torch.Tensor]
    """What is known of each clip, (B,), by name, see `rushes.records.stated.Column`; `direction` is BCTHW. `weight` is
    1, since it is drawn by."""
    path: Path
    """The model family's way from clean latents to noise."""
    last: Mapping[str, float] = field(default_factory=dict)
    """The last value of every curve, from the steps before: what an objective may adapt itself by."""


@dataclass(frozen=True)
class LossTerms:
    """Named loss terms; training minimises their weighted sum, and each has its own curve."""

    terms: Mapping[str, torch.Tensor]
    """Scalar per name, before its coefficient."""
    coefficients: Mapping[str, float]
    """Factor per name; the same names."""
    diagnostics: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Finite scalars that are only recorded, each a mean over the same items as the terms, under other names."""

    def total(self) -> torch.Tensor:
        """Sum of coefficient x term."""
        products = [self.coefficients[name] * term for name, term in self.terms.items()]
        return sum(products[1:], start=products[0])
