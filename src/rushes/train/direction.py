"""The direction in which a prompt's takes get better: the covariance of their scores and their clean latents.

Legend: N samples, B batch, K scored takes of a prompt, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from rushes.train.data import Known, TrainingSet


def reward_direction(takes: Iterable[Tensor], score_K: Tensor) -> Tensor:
    """G = C / RMS(C) with C = sum over takes of (r - mean r) (z_0 - mean z_0) / (K - 1), of shape CThw; 0 where C is 0.

    Args:
        takes: the clean latents z_0 of all takes of a prompt, CThw each, in order; read one by one.
        score_K: their scores r, none of them missing.
    """
    # The distances to the mean score add up to 0, so it makes no difference whether latents are centred as well.
    centred = score_K.double() - score_K.double().mean()
    total = sum(float(share) * z_0 for share, z_0 in zip(centred, takes, strict=True))
    assert isinstance(total, Tensor)
    size = total.square().mean().sqrt()
    return total / size if float(size) > 0 else torch.zeros_like(total)


def directions(data: TrainingSet, rows_B: Tensor) -> Tensor:
    """The direction of the prompt of each row, BCThw; 0 for real clips. The rows have latents of one shape.

    It is computed when a step reads it, from all scored takes of the prompt: there are as many as there are prompts,
    each as large as a clip.
    """
    score_N, is_scored = data.column("score"), _is_scored(data)
    found: dict[int, Tensor] = {}
    made = torch.zeros((len(rows_B), *data.z_0(rows_B[:1]).shape[1:]))
    for at, row in enumerate(rows_B.tolist()):
        if not bool(is_scored[row]):
            continue
        group = int(data.groups[row])
        if group not in found:
            takes = torch.nonzero(is_scored & (data.groups == group)).flatten()
            found[group] = reward_direction((data.z_0(take)[0] for take in takes.split(1)), score_N[takes])
        made[at] = found[group]
    return made


def have_direction(data: Known, min_gap: float) -> Tensor:
    """Which samples are scored takes of a prompt whose scores differ by more than `min_gap`, (N,) bool."""
    score_N, group_N, is_scored = data.column("score"), data.groups, _is_scored(data)
    num = int(group_N.max()) + 1
    score, group = score_N[is_scored], group_N[is_scored]
    highest = torch.full((num,), -torch.inf).scatter_reduce(0, group, score, "amax")
    lowest = torch.full((num,), torch.inf).scatter_reduce(0, group, score, "amin")
    return is_scored & (highest - lowest > min_gap)[group_N]


def _is_scored(data: Known) -> Tensor:
    return ~data.is_real_N & ~data.column("score").isnan()
