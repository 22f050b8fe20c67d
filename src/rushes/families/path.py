"""The path from clean latents to noise that a family was trained on, and what its transformer predicts on it.

Both paths below predict a velocity: the derivative of z_t along the path's line or angle. With these targets, both
kinds of model are trained with the plain mean squared error, without a weight by noise level.
Legend: B batch, C latent channels, T latent frames, h rows, w columns; sigma noise level in [0, 1] of each item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

NUM_TIMESTEPS = 1000
"""Timesteps of every family's noise schedule."""


def per_item(x_B: Tensor) -> Tensor:
    """One number per item, (B,), reshaped to (B, 1, 1, 1, 1), to scale latents."""
    return x_B.view(-1, 1, 1, 1, 1)


def interpolate(z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
    """z_t = (1 - sigma) z_0 + sigma epsilon, shape BCThw."""
    sigma = per_item(sigma_B)
    return (1 - sigma) * z_0 + sigma * epsilon


def velocity_target(z_0: Tensor, epsilon: Tensor) -> Tensor:
    """v = epsilon - z_0: the derivative of z_t by sigma."""
    return epsilon - z_0


def predicted_clean(z_t: Tensor, velocity: Tensor, sigma_B: Tensor) -> Tensor:
    """z_0 as the velocity implies it: z_t - sigma v."""
    return z_t - per_item(sigma_B) * velocity


class Path(Protocol):
    """z_0 and epsilon to z_t and to the training target. Pure."""

    def timestep(self, sigma_B: Tensor) -> Tensor:
        """The timestep that the transformer takes, (B,)."""
        ...

    def noisy(self, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
        """z_t, BCThw."""
        ...

    def target(self, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
        """The velocity v that the transformer should predict at z_t, BCThw."""
        ...

    def clean(self, z_t: Tensor, velocity: Tensor, sigma_B: Tensor) -> Tensor:
        """z_0 as a predicted velocity implies it, BCThw."""
        ...


@dataclass(frozen=True)
class StraightPath:
    """Flow matching: z_t = (1 - sigma) z_0 + sigma epsilon, v = epsilon - z_0, timestep sigma * 1000, never rounded."""

    def timestep(self, sigma_B: Tensor) -> Tensor:
        """sigma * 1000 as it is."""
        return sigma_B * float(NUM_TIMESTEPS)

    def noisy(self, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
        """(1 - sigma) z_0 + sigma epsilon."""
        return interpolate(z_0, epsilon, sigma_B)

    def target(self, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
        """epsilon - z_0."""
        return velocity_target(z_0, epsilon)

    def clean(self, z_t: Tensor, velocity: Tensor, sigma_B: Tensor) -> Tensor:
        """z_t - sigma v."""
        return predicted_clean(z_t, velocity, sigma_B)


STRAIGHT = StraightPath()
"""The path of every flow-matching family."""


@dataclass(frozen=True, eq=False)
class RoundPath:
    """Variance-preserving diffusion with v-prediction (Salimans and Ho 2022) on a schedule of integer timesteps.

    z_t = sqrt(a) z_0 + sqrt(1 - a) epsilon and v = sqrt(a) epsilon - sqrt(1 - a) z_0, with a = alpha_bar[timestep].
    The error of the clean latents implied by v is sqrt(1 - a) times the error of v. So CogVideoX's own fine-tuning
    loss, || z_0(v) - z_0 ||^2 / (1 - a), which is SNR weighting, equals || v - target ||^2 without a weight.
    """

    alpha_bar: Tensor
    """Share of the variance that is signal, per timestep (1000,), from the family's own scheduler."""

    def timestep(self, sigma_B: Tensor) -> Tensor:
        """The integer timestep that sigma falls into, 0 to 999: the schedule is not defined in between."""
        return (sigma_B * len(self.alpha_bar)).long().clamp(0, len(self.alpha_bar) - 1)

    def noisy(self, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
        """sqrt(a) z_0 + sqrt(1 - a) epsilon."""
        signal, noise = self._amplitudes(sigma_B)
        return signal * z_0 + noise * epsilon

    def target(self, z_0: Tensor, epsilon: Tensor, sigma_B: Tensor) -> Tensor:
        """sqrt(a) epsilon - sqrt(1 - a) z_0."""
        signal, noise = self._amplitudes(sigma_B)
        return signal * epsilon - noise * z_0

    def clean(self, z_t: Tensor, velocity: Tensor, sigma_B: Tensor) -> Tensor:
        """sqrt(a) z_t - sqrt(1 - a) v."""
        signal, noise = self._amplitudes(sigma_B)
        return signal * z_t - noise * velocity

    def _amplitudes(self, sigma_B: Tensor) -> tuple[Tensor, Tensor]:
        a_B = self.alpha_bar.to(sigma_B.device)[self.timestep(sigma_B)]
        return per_item(a_B.sqrt()), per_item((1 - a_B).sqrt())
