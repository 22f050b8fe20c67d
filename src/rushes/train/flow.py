"""Flow matching in the paper's symbols, as pure functions.

z_0 clean latents, epsilon noise, sigma noise level in [0, 1], v velocity; `families.path` defines how they are related.
Legend: B batch, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def shift_sigma(u: Tensor, shift: float) -> Tensor:
    """sigma = s u / (1 + (s - 1) u): more weight on noise for s > 1 (Esser et al. 2024, section 5.3.2)."""
    return shift * u / (1 + (shift - 1) * u)


def draw_sigma(
    num: int,
    density: Literal["uniform", "logit_normal", "mixed"],
    shift: float,
    generator: torch.Generator,
    levels: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Noise levels (B,) in [0, 1]; `mixed` alternates uniform and logit-normal.

    Args:
        num: how many, B.
        density: of u before the shift.
        shift: s.
        generator: of the random numbers; as many are drawn whatever the levels.
        levels: lowest and highest: the density is cut there, and inside it keeps its form.
    """
    uniform, normal = torch.rand(num, generator=generator), torch.randn(num, generator=generator)
    if levels != (0.0, 1.0):
        uniform, normal = _cut(uniform, normal, *(sigma / (shift - (shift - 1) * sigma) for sigma in levels))
    even = torch.arange(num) % 2 == 0
    normal = torch.sigmoid(normal)
    u = {"uniform": uniform, "logit_normal": normal, "mixed": torch.where(even, uniform, normal)}[density]
    return shift_sigma(u, shift).clamp(*levels)


def _cut(uniform: Tensor, normal: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """The same draws from both densities cut to u from `low` to `high`, by their distribution functions."""
    ends = torch.special.ndtr(torch.tensor([low, high], dtype=torch.float64).logit())
    share = ends[0] + (ends[1] - ends[0]) * torch.special.ndtr(normal.double())
    return low + (high - low) * uniform, torch.special.ndtri(share).to(normal.dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it is that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def squared_error(velocity: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each item, (B,)."""
    return (at_least_float32(velocity) - target).square().mean(dim=(1, 2, 3, 4))


def weighted_flow(velocity: Tensor, target: Tensor, w_B: Tensor) -> Tensor:
    """The paper's objective E[ r(x, p) || u(z_t, p, t) - v_t ||^2 ] with w for r; 0 for an empty batch."""
    if len(w_B) == 0:
        return velocity.sum() * 0.0
    return (w_B * squared_error(velocity, target)).mean()


def negative_aware(velocity: Tensor, reference: Tensor, target: Tensor, r_B: Tensor, beta: float) -> Tensor:
    """Pull towards good clips and push away from bad ones, bounded (DiffusionNFT, Zheng et al. 2025, eq. 5 to 7).

    Args:
        velocity: the tuned model's prediction, BCThw.
        reference: the frozen base's prediction on the same input, without gradient.
        target: epsilon - z_0.
        r_B: preference of each item in [0, 1]; 1 is wholly good, 0 wholly bad.
        beta: how far the implicit positive and negative models lie from the base, > 0.
    """
    if len(r_B) == 0:
        return velocity.sum() * 0.0
    positive = (1 - beta) * reference + beta * velocity
    negative = (1 + beta) * reference - beta * velocity
    return (r_B * squared_error(positive, target) + (1 - r_B) * squared_error(negative, target)).mean()
