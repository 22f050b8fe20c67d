"""The noise that a clip is sampled from: given by its seed alone, so that training can draw it again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One random number generator per clip."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise_of(seeds: Sequence[int], size: Sequence[int]) -> Tensor:
    """Standard normal noise (N, *size), each item from its own seed; drawn on the CPU, so the same everywhere."""
    return torch.stack([torch.randn(tuple(size), generator=generator) for generator in generators(seeds)])
