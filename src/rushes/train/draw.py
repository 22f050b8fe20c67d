"""Which rows a step trains on, given by the step number alone: whole units, in epochs.

Units are drawn by systematic resampling: in an epoch of as many draws as there are units, a unit of weight w comes
floor(w) or ceil(w) times, w in units of the mean; over many epochs w times each. So with equal weights every clip is
read exactly once an epoch. Drawing with replacement would never read a third of the clips in the first epoch.
Legend: N samples, U units, k clips of a unit, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.recipe.train import TrainSpec, num_own_rows
from rushes.roles import ObjectiveNeeds
from rushes.store.identity import seed_from_key
from rushes.train.direction import have_direction

if TYPE_CHECKING:
    from rushes.train.data import Known, TrainingSet

GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, are as even as offsets can be: so what one epoch leaves out comes in the next ones."""


@dataclass(frozen=True, eq=False)
class Units:
    """What is drawn from: every unit of a training set that an objective can use."""

    members: tuple[Tensor, ...] | Tensor
    """The rows of each unit: (U, k) int64; a tensor of k or more for each group, of which k are read at a time."""
    weight_U: Tensor
    """How often each is drawn relative to the others, > 0."""
    num_draws: int
    """Draws in an epoch."""


def rows_of_step(data: TrainingSet, spec: TrainSpec, needs: ObjectiveNeeds, step: int, seed: int) -> Tensor:
    """The rows of a step's batch, (B,): own clips in whole units first, then real ones.

    Raises:
        TrainingError: there are own clips, and the objective can use none of them.
    """
    real = torch.nonzero(data.is_real_N).flatten()
    num_own = num_own_rows(spec, needs) if len(real) else spec.batch_size
    if len(real) == len(data.is_real_N):
        num_own = 0
    parts = []
    if num_own:
        units = units_of(data, needs)
        half = partial(_half_rows, data.groups) if needs.halves else partial(_own_rows, needs.unit_size)
        parts.append(half(units, num_own, step, seed))
    if num_real := spec.batch_size - num_own:
        order = drawn(torch.ones(len(real)), len(real), step * num_real, num_real, seed_from_key(str(seed), "real"))
        parts.append(real[order])
    return torch.cat(parts)


def _own_rows(size: int, units: Units, num: int, step: int, seed: int) -> Tensor:
    num_units = num // size
    start = seed_from_key(str(seed), "own")
    chosen = drawn(units.weight_U, units.num_draws, step * num_units, num_units, start).tolist()
    generator = torch.Generator().manual_seed(seed_from_key(str(seed), "takes", step))
    rows = []
    for each in chosen:
        members = units.members[each]
        if len(members) > size:
            members = members[torch.randperm(len(members), generator=generator)[:size]]
        rows.append(members)
    return torch.cat(rows)


def _half_rows(group_N: Tensor, units: Units, num: int, step: int, seed: int) -> Tensor:
    """Rows of single clips: steps 2 w and 2 w + 1 read the first and the second takes of the same couples.

    An epoch goes through the prompts in an order of its own, and cuts each one's takes into couples, drawn anew.
    """
    window, which = divmod(step, 2)
    rows = torch.stack([*units.members])[:, 0]
    rows = rows[group_N[rows].argsort(stable=True)]
    _, sizes = group_N[rows].unique_consecutive(return_counts=True)
    prompts = rows.split(sizes.tolist())
    num_couples = sum(len(each) // 2 for each in prompts)
    epochs = range(window * num // num_couples, (window * num + num - 1) // num_couples + 1)
    couples = torch.cat([_couples(prompts, epoch, seed) for epoch in epochs])
    start = window * num - epochs.start * num_couples
    return couples[start : start + num, which]


def _couples(prompts: Sequence[Tensor], epoch: int, seed: int) -> Tensor:
    """Two takes of one prompt each, those of a prompt one after the other, (couples, 2)."""
    generator = torch.Generator().manual_seed(seed_from_key(str(seed), "halves", epoch))
    found = []
    for number in torch.randperm(len(prompts), generator=generator).tolist():
        takes = prompts[number]
        mixed = takes[torch.randperm(len(takes), generator=generator)]
        found.append(mixed[: len(takes) // 2 * 2].view(-1, 2))
    return torch.cat(found)


def drawn(weight_U: Tensor, num_draws: int, first: int, num: int, seed: int) -> Tensor:
    """Draws `first` to `first + num` of an endless sequence of epochs, each shuffled on its own: indices, (num,).

    Args:
        weight_U: how often each is drawn relative to the others, >= 0, not all 0.
        num_draws: draws in an epoch, at least 1.
        first: number of the first draw, from 0.
        num: how many.
        seed: of the sequence.
    """
    epochs = range(first // num_draws, (first + num - 1) // num_draws + 1)
    sequence = torch.cat([_epoch(weight_U, num_draws, epoch, seed) for epoch in epochs])
    start = first - epochs.start * num_draws
    return sequence[start : start + num]


def _epoch(weight_U: Tensor, num_draws: int, epoch: int, seed: int) -> Tensor:
    """One epoch of `drawn`, (num_draws,): a comb of equal distances over the weights laid end to end."""
    offset = (seed_from_key(str(seed), "offset") / 2**63 + epoch * GOLDEN) % 1.0
    weights = weight_U.double()
    ends = weights.cumsum(0) * num_draws / weights.sum()
    ends[int(torch.nonzero(weights)[-1]) :] = num_draws  # not a rounding error less
    through = (ends + offset).floor().long()
    times = torch.diff(through, prepend=torch.zeros(1, dtype=torch.long))
    generator = torch.Generator().manual_seed(seed_from_key(str(seed), "epoch", epoch))
    return torch.arange(len(weights)).repeat_interleave(times)[torch.randperm(num_draws, generator=generator)]


def units_of(data: Known, needs: ObjectiveNeeds) -> Units:
    """The units that an objective can use: complete, with every column that it reads, and with something to learn.

    Raises:
        TrainingError: there is none.
    """
    usable = ~data.is_real_N
    for name in needs.columns:
        has_it = have_direction(data, needs.min_gap) if name == "direction" else ~data.column(name).isnan()
        usable = usable & has_it
    if "advantage" in needs.columns:
        usable = usable & (data.column("advantage") != 0)
    units = {"clip": _clips, "pair": _pairs, "group": _groups}[needs.unit](data, needs, usable)
    if units.num_draws == 0:
        raise TrainingError(
            f"the objective finds no {needs.unit} to learn from among {int((~data.is_real_N).sum())} own clips",
            expected="takes of one prompt with scores that differ"
            + (f" by more than {needs.min_gap:g}" if needs.min_gap else ""),
            got="none",
            next_step="have more takes of each prompt (generate.num_takes; of your own videos, more of one caption), "
            "or --set 'train.objective={kind: flow}' --set 'weights={kind: raw}'",
        )
    return units


def _clips(data: Known, needs: ObjectiveNeeds, usable_N: Tensor) -> Units:
    weight_N = data.weight_N if "weight" in needs.columns else torch.ones(len(usable_N))
    if needs.halves:
        takes = torch.bincount(data.groups, weights=usable_N.double())
        usable_N = usable_N & (takes[data.groups] >= 2)
    rows = torch.nonzero(usable_N & (weight_N > 0)).flatten()
    return Units(rows.view(-1, 1), weight_N[rows], len(rows))


def _pairs(data: Known, needs: ObjectiveNeeds, usable_N: Tensor) -> Units:
    """Better and worse take of each pair: those that people have named, or else as the clips were paired by score."""
    if data.pairs_P2 is not None:
        named = data.pairs_P2
        kept = named[usable_N[named].all(dim=1) & data.are_alike(named[:, 0], named[:, 1])]
        return Units(kept, torch.ones(len(kept)), len(kept))
    score_N, partner_N = data.column("score"), data.partners
    other = partner_N.clamp_min(0)
    is_better = usable_N & (partner_N >= 0) & usable_N[other] & (score_N - score_N[other] > needs.min_gap)
    rows = torch.nonzero(is_better & data.are_alike(torch.arange(len(other)), other)).flatten()
    return Units(torch.stack([rows, partner_N[rows]], dim=1), torch.ones(len(rows)), len(rows))


def _groups(data: Known, needs: ObjectiveNeeds, usable_N: Tensor) -> Units:
    """Prompts with enough takes; each is drawn as often as it has takes to read."""
    rows = torch.nonzero(usable_N).flatten()
    rows = rows[data.groups[rows].argsort(stable=True)]
    _, sizes = data.groups[rows].unique_consecutive(return_counts=True)
    score_N = data.column("score") if needs.min_gap or "score" in needs.columns else None
    members = []
    for each in rows.split(sizes.tolist()):
        is_flat = score_N is not None and float(score_N[each].max() - score_N[each].min()) <= needs.min_gap
        if len(each) >= needs.unit_size and not is_flat:
            members.append(each)
    weight = torch.tensor([len(each) for each in members], dtype=torch.float64)
    return Units(tuple(members), weight, round(float(weight.sum()) / needs.unit_size))
