"""One training batch in the paper's symbols, and the named terms of a loss.

Legend: B batch, C latent channels, T latent frames, H W latent size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rushes.families.texts import TextStates

if TYPE_CHECKING:
    import torch


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


@dataclass(frozen=True)
class LossTerms:
    """Named loss terms; training minimises their weighted sum, and each has its own curve."""

    terms: Mapping[str, torch.Tensor]
    """Scalar per name, before its coefficient."""
    coefficients: Mapping[str, float]
    """Factor per name; the same names."""

    def total(self) -> torch.Tensor:
        """Sum of coefficient x term."""
        products = [self.coefficients[name] * term for name, term in self.terms.items()]
        return sum(products[1:], start=products[0])
