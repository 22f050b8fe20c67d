"""Low-rank factors of a change of weights by truncated singular value decomposition, and what they lose. Pure.

Legend: O outputs of a linear layer, I its inputs, r rank. A layer's change is Delta_OI = B_Or A_rI.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

_OVERSAMPLE: Final = 10
"""Columns that the randomised decomposition takes beyond the rank; 5 to 10 are usual (Halko et al. 2011)."""
_RANDOMISED_FROM: Final = 4
"""A layer this many times wider than the rank is decomposed by the randomised method."""


@dataclass(frozen=True, eq=False)
class LowRank:
    """The factors of one layer's change, at scale 1: alpha equals the rank."""

    A_rI: Tensor
    """Down: r, I; float32."""
    B_Or: Tensor
    """Up: O, r; float32."""

    @property
    def rank(self) -> int:
        """r."""
        return int(self.A_rI.shape[0])

    def times(self, strength: float) -> LowRank:
        """The same change, stronger or weaker."""
        return LowRank(self.A_rI, self.B_Or * strength)


@dataclass(frozen=True)
class LayerFit:
    """How much of one layer's change its factors keep. Energies are squared Frobenius norms."""

    name: str
    """The layer's name in diffusers."""
    rank: int
    """Rank kept."""
    energy: float
    """Energy of the change."""
    lost: float
    """Energy of what the factors leave out."""


@dataclass(frozen=True)
class Fit:
    """How much of a whole model's change a low-rank adapter keeps."""

    layers: tuple[LayerFit, ...]
    """The layers with factors."""
    left_out: Mapping[str, float]
    """Energy of every changed weight that the adapter cannot hold: norms, modulation, biases, convolutions."""

    @property
    def energy(self) -> float:
        """Energy of the whole change."""
        return sum(layer.energy for layer in self.layers) + sum(self.left_out.values())

    @property
    def lost(self) -> float:
        """Energy of everything that the adapter does not hold."""
        return sum(layer.lost for layer in self.layers) + sum(self.left_out.values())

    @property
    def relative_error(self) -> float:
        """Norm of what is lost over the norm of the change: 0 is exact, 1 keeps nothing."""
        return float((self.lost / self.energy) ** 0.5) if self.energy > 0 else 0.0

    @property
    def max_rank(self) -> int:
        """The largest rank of a layer."""
        return max((layer.rank for layer in self.layers), default=0)


def factorise(delta_OI: Tensor, rank: int | None = None, energy: float | None = None) -> LowRank:
    """The closest factors of a change in the Frobenius norm (Eckart, Young 1936).

    Args:
        delta_OI: the change, O, I; any float type.
        rank: largest rank; None for no limit.
        energy: use the smallest rank that keeps this share (0 to 1) of the squared norm; None uses `rank`.

    Returns:
        Factors of rank 1 or more, each scaled by the root of the singular values; deterministic, independent of the
        state of the random number generator.
    """
    most = min(delta_OI.shape) if rank is None else min(rank, *delta_OI.shape)
    delta = delta_OI.float()
    if energy is None and most * _RANDOMISED_FROM + _OVERSAMPLE <= min(delta.shape):
        with torch.random.fork_rng(devices=[delta.device] if delta.device.type == "cuda" else []):
            torch.manual_seed(0)
            U, S, V = torch.svd_lowrank(delta, q=most + _OVERSAMPLE, niter=4)
    else:
        U, S, Vh = torch.linalg.svd(delta, full_matrices=False)
        V = Vh.T
    kept = most if energy is None else min(most, rank_for_energy(S, energy))
    root = S[:kept].sqrt()
    return LowRank(A_rI=(V[:, :kept] * root).T.contiguous(), B_Or=(U[:, :kept] * root).contiguous())


def rank_for_energy(singular_values: Tensor, energy: float) -> int:
    """The smallest rank, at least 1, whose singular values (descending) hold this share of the squared norm."""
    squares = singular_values.double() ** 2
    share = squares.cumsum(0) / squares.sum()
    return min(int((share < energy - 1e-12).sum()) + 1, len(squares))


def extract(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    layers: Collection[str],
    *,
    rank: int | None = None,
    energy: float | None = None,
    device: torch.device | str = "cpu",
) -> tuple[dict[str, LowRank], Fit]:
    """The low-rank adapter that is closest to a change of weights at its rank.

    Args:
        before: weights of the base.
        after: weights of the tuned model, same names.
        layers: linear layers that the adapter may change, by module name; those that did not change get no factors.
        rank: largest rank of each layer.
        energy: share of each layer's squared change to keep, instead of a fixed rank.
        device: where the decompositions are computed.

    Returns:
        Factors by layer, on the CPU, and what they lose.
    """
    adapter: dict[str, LowRank] = {}
    fits: list[LayerFit] = []
    for name in sorted(layers):
        change = (after[f"{name}.weight"] - before[f"{name}.weight"]).to(device)
        if not bool(change.any()):
            continue
        factors = factorise(change, rank, energy)
        fits.append(LayerFit(name, factors.rank, _energy(change), _energy(change - factors.B_Or @ factors.A_rI)))
        adapter[name] = LowRank(factors.A_rI.cpu(), factors.B_Or.cpu())
    carried = {f"{name}.weight" for name in adapter}
    left_out = {name: _energy(after[name] - before[name]) for name in sorted(before.keys() - carried)}
    return adapter, Fit(tuple(fits), {name: energy for name, energy in left_out.items() if energy > 0})


def _energy(change: Tensor) -> float:
    return float(change.double().square().sum())
