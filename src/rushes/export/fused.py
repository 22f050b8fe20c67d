"""Layers that a family's own code fuses and diffusers splits: weights are stacked, adapters made block-diagonal.

Legend: O outputs of a layer, I its inputs, r rank. Parts share their inputs and stack their outputs; for factors,
    [B_1 A_1; B_2 A_2] = diag(B_1, B_2) [A_1; A_2], so that the ranks add up.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rushes.errors import InputError
from rushes.export.lowrank import LowRank
from rushes.export.native import Naming

_MARK: Final = re.compile(r"\[(\d+|swapped)\]")


@dataclass(frozen=True)
class Place:
    """Where a layer or weight is in a family's own code."""

    name: str
    """Its name there, without the suffixes `[k]` and `[swapped]`."""
    part: int
    """Index of the part in the fused layer, from 0."""
    is_swapped: bool
    """True if the two halves of its outputs are swapped."""


def place_of(name: str, rename: Naming) -> Place:
    """The place in the family's own code of the layer or weight that diffusers calls `name`."""
    marked = rename(name)
    mark = _MARK.search(marked)
    if mark is None:
        return Place(marked, 0, False)
    bare = marked[: mark.start()] + marked[mark.end() :]
    return Place(bare, 0, True) if mark[1] == "swapped" else Place(bare, int(mark[1]), False)


def native_weights(weights: Mapping[str, Tensor], rename: Naming) -> dict[str, Tensor]:
    """Full weights as the family's own code names and fuses them.

    Args:
        weights: by name in diffusers.
        rename: the family's naming.

    Raises:
        InputError: a part of a layer is missing.
    """
    parts: defaultdict[str, dict[int, Tensor]] = defaultdict(dict)
    for name, value in weights.items():
        place = place_of(name, rename)
        parts[place.name][place.part] = swap_halves(value) if place.is_swapped else value
    for name, found in parts.items():
        if sorted(found) != list(range(len(found))):
            raise InputError(
                f"the weights lack a part of {name}",
                expected=f"parts 0 to {max(found)}",
                got=sorted(found),
                next_step="the base model's folder is not complete; download it again",
            )
    return {
        name: torch.cat([found[part] for part in sorted(found)]) if len(found) > 1 else found[0]
        for name, found in parts.items()
    }


def native_adapter(
    adapter: Mapping[str, LowRank], num_outputs: Mapping[str, int], rename: Naming
) -> dict[str, LowRank]:
    """An adapter as the family's own code names and fuses it: exactly the same change.

    Args:
        adapter: factors by layer name in diffusers.
        num_outputs: O of every linear layer of the model, changed or not.
        rename: the family's naming.

    Returns:
        Factors by layer of the family's own code. Parts without factors get rows of zeros.
    """
    parts: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for name in num_outputs:
        place = place_of(name, rename)
        parts[place.name][place.part] = name
    found: dict[str, LowRank] = {}
    for native, names in parts.items():
        ordered = [names[part] for part in sorted(names)]
        if len(ordered) > 1 and any(name in adapter for name in ordered):
            found[native] = stack([adapter.get(name) for name in ordered], [num_outputs[name] for name in ordered])
        elif ordered[0] in adapter:
            factors = adapter[ordered[0]]
            is_swapped = place_of(ordered[0], rename).is_swapped
            found[native] = LowRank(factors.A_rI, swap_halves(factors.B_Or)) if is_swapped else factors
    return found


def stack(parts: list[LowRank | None], num_outputs: list[int]) -> LowRank:
    """Factors of a layer whose outputs are those of several parts, concatenated; None for a part without a change."""
    changed = [factors for factors in parts if factors is not None]
    A_rI = torch.cat([factors.A_rI for factors in changed])
    B_Or = torch.zeros(sum(num_outputs), len(A_rI), dtype=changed[0].B_Or.dtype)
    row, column = 0, 0
    for factors, height in zip(parts, num_outputs, strict=True):
        if factors is not None:
            B_Or[row : row + height, column : column + factors.rank] = factors.B_Or
            column += factors.rank
        row += height
    return LowRank(A_rI, B_Or)


def same_rank(adapter: Mapping[str, LowRank]) -> dict[str, LowRank]:
    """The same change with every layer padded with zeros to the highest rank.

    Some readers, diffusers among them, assume that all layers of a file without alphas have the same rank: other layers
    would silently be scaled by the ratio of the ranks.
    """
    rank = max((factors.rank for factors in adapter.values()), default=0)
    return {name: _padded(factors, rank - factors.rank) for name, factors in adapter.items()}


def _padded(factors: LowRank, missing: int) -> LowRank:
    if not missing:
        return factors
    pad = torch.nn.functional.pad
    return LowRank(pad(factors.A_rI, (0, 0, 0, missing)), pad(factors.B_Or, (0, missing)))


def swap_halves(value: Tensor) -> Tensor:
    """The second half of the rows, then the first: (shift, scale) for (scale, shift)."""
    first, second = value.chunk(2)
    return torch.cat([second, first])
