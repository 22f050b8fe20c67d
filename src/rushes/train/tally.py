"""The values of one step's curves: each loss term's mean over its items in the whole batch, and each item's error.

Micro-batches and processes hold different shares of own and real clips, so a mean of their means would be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rushes.train.parallel import Parallel


@dataclass
class Tally:
    """Counts up one step, micro-batch by micro-batch."""

    names: tuple[str, ...]
    """All terms and diagnostics that may come, the same on every process."""
    sums: dict[str, float] = field(default_factory=dict[str, float])
    """For every term: the sum over micro-batches of mean x number of items."""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """For every term: the number of items."""
    errors: list[float] = field(default_factory=list[float])
    """Squared error of every item, in the order of the batch."""
    judged: list[float] = field(default_factory=list[float])
    """What the judge said of every item, NaN for nothing."""

    def add(
        self, terms: Mapping[str, Tensor], num_items: Mapping[str, int], error_B: Tensor, judged_B: Tensor | None = None
    ) -> None:
        """Add a micro-batch.

        Args:
            terms: scalar per name, each a mean; terms of the loss or diagnostics.
            num_items: how many items each is a mean of.
            error_B: squared error of each item.
            judged_B: what the judge said of each, NaN for nothing; None for nothing of all.
        """
        for name, value in terms.items():
            num = num_items[name]
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach()) * num
            self.counts[name] = self.counts.get(name, 0) + num
        self.errors.extend(error_B.tolist())
        self.judged.extend([math.nan] * len(error_B) if judged_B is None else judged_B.tolist())

    def of_batch(self, parallel: Parallel) -> Tallied:
        """The whole batch's, the same on every process."""
        mine = [float(each.get(name, 0)) for each in (self.sums, self.counts) for name in self.names]
        parts = parallel.gather([*mine, *self.errors, *self.judged])
        num = len(self.names)
        sums = [_total(parts, at) for at in range(num)]
        counts = [_total(parts, at) for at in range(num, 2 * num)]
        means = {name: s / n for name, s, n in zip(self.names, sums, counts, strict=True) if n}
        items = torch.tensor([part[2 * num :] for part in parts], dtype=torch.float64).view(len(parts), 2, -1)
        return Tallied(means, *items.transpose(0, 1).reshape(2, -1))


@dataclass(frozen=True, eq=False)
class Tallied:
    """One step of the whole batch."""

    means: dict[str, float]
    """The mean of every term and diagnostic."""
    error_B: Tensor
    """Squared error of each item, float64."""
    judged_B: Tensor
    """What the judge said of each, NaN for nothing, float64."""


def _total(parts: Sequence[Sequence[float]], at: int) -> float:
    return sum(part[at] for part in parts)
