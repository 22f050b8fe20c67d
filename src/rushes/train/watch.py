"""Measurements beside the objective: the error by noise level, and the error on held-out clips at fixed noise.

Neither affects the weights. Legend: N clips, B batch, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rushes.families.texts import TextStates
from rushes.train.flow import squared_error
from rushes.train.lesson import BIN_PREFIX, HELD_OUT_PREFIX, NUM_BINS
from rushes.train.network import Network
from rushes.train.parallel import ALONE, Parallel

NOISE_SEED: Final = 20_250_101
"""Seed of the fixed noise: the same in every run, so that runs can be compared."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Clips that are not trained on."""

    name: str
    """What they are: "real", "own". Sets of one name, of clips of different shapes, have one curve."""
    z_0_NCThw: Tensor
    """Clean normalised latents."""
    text: TextStates
    """N texts."""


def sigma_bins(sigma_B: Tensor) -> Tensor:
    """The bin of each noise level, of `NUM_BINS` bins, (B,) int64; 1 belongs to the last."""
    return (sigma_B * NUM_BINS).long().clamp(0, NUM_BINS - 1)


def error_by_sigma(error_B: Tensor, sigma_B: Tensor) -> dict[str, float]:
    """Mean error of the items in each bin of noise levels, by curve name; empty bins are left out.

    Args:
        error_B: squared error of each item, from `flow.squared_error`.
        sigma_B: noise level of each, in [0, 1].
    """
    bins = sigma_bins(sigma_B).tolist()
    errors: dict[int, list[float]] = {}
    for number, error in zip(bins, error_B.tolist(), strict=True):
        errors.setdefault(number, []).append(error)
    return {f"{BIN_PREFIX}{number / NUM_BINS:.1f}": sum(each) / len(each) for number, each in sorted(errors.items())}


def fixed_noise(shape: Sequence[int], levels: tuple[float, float] = (0.0, 1.0)) -> tuple[Tensor, Tensor]:
    """Noise and noise levels for `shape` = (N, C, T, h, w): always the same, between the two `levels`.

    Returns:
        epsilon, standard normal, (N, C, T, h, w), and sigma_i = (p_i + 1/2) / N for a fixed permutation p. So all noise
        levels count equally, whatever density training draws from.
    """
    generator = torch.Generator().manual_seed(NOISE_SEED)
    epsilon = torch.randn(tuple(shape), generator=generator)
    order = torch.randperm(shape[0], generator=generator)
    low, high = levels
    return epsilon, low + (high - low) * ((order.float() + 0.5) / shape[0])


@torch.no_grad()
def held_out_errors(
    network: Network,
    held_out: Sequence[HeldOut],
    num_at_once: int,
    kernels: Callable[[torch.device], AbstractContextManager[None]],
    parallel: Parallel = ALONE,
) -> dict[str, float]:
    """Mean squared error of the velocity on every set of held-out clips at the fixed noise, by curve name.

    Args:
        network: the current network.
        held_out: the sets.
        num_at_once: clips per forward pass.
        kernels: which attention kernels to use on a device.
        parallel: the processes that share the passes in turn; all get the same result.
    """
    found: dict[str, list[float]] = {}
    for each in held_out:
        num = len(each.z_0_NCThw)
        noise = fixed_noise(each.z_0_NCThw.shape, network.family.levels)
        starts = range(0, num, num_at_once)
        errors = torch.zeros(num)
        for first in range(0, len(starts), parallel.num_processes):
            mine = first + parallel.rank
            # A process without a pass left repeats the first one: sharded weights need all processes in every pass.
            at = starts[mine] if mine < len(starts) else 0
            error_B = _errors_at(network, each, noise, slice(at, at + num_at_once), kernels)
            if mine < len(starts):
                errors[at : at + num_at_once] = error_B
        parts = parallel.gather(errors.tolist())
        whole = [sum(of_item) for of_item in zip(*parts, strict=True)]
        found.setdefault(f"{HELD_OUT_PREFIX}{each.name}", []).extend(whole)
    return {name: float(torch.tensor(errors).mean()) for name, errors in found.items()}


def _errors_at(
    network: Network,
    held_out: HeldOut,
    noise: tuple[Tensor, Tensor],
    rows: slice,
    kernels: Callable[[torch.device], AbstractContextManager[None]],
) -> Tensor:
    """Squared error of the clips in `rows`, (B,), in main memory."""
    path, device = network.family.path, network.device
    z_0, epsilon, sigma_B = (x[rows].to(device) for x in (held_out.z_0_NCThw, *noise))
    with kernels(device):
        v = network.velocity(path.noisy(z_0, epsilon, sigma_B), sigma_B, held_out.text[rows].to(device))
    return squared_error(v, path.target(z_0, epsilon, sigma_B)).cpu()


@dataclass(eq=False)
class Watched:
    """A network's velocity that remembers its last prediction with gradient, for use after the objective's."""

    network: Network
    last: Tensor | None = None
    """The last prediction, without gradient."""

    def velocity(self, z_t: Tensor, sigma_B: Tensor, text: TextStates) -> Tensor:
        """As `Network.velocity`."""
        v = self.network.velocity(z_t, sigma_B, text)
        if torch.is_grad_enabled():  # passes without gradient are an objective's own
            self.last = v.detach()
        return v
