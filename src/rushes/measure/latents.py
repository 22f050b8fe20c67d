"""The distribution of a model's latents compared with real clips': moments per clip, distances between sets of clips.

Everything is a sum over clips, so that the clips of a large model are never all in memory at once. Pure numpy.

Legend: N clips, C latent channels, t h w latent frames, rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rushes.records import Record
from rushes.records.base import Key, Text

if TYPE_CHECKING:
    from rushes.roles import Latents

F64 = NDArray[np.float64]
LEAST_STD = 1e-6
"""Standard deviation used for a constant channel, so that no distance divides by 0."""


class LatentMoments(Record):
    """Sums over all positions of one clip's latents, from which all distances here are computed.

    Example: `LatentMoments(num_positions=320, sum_C=(1.5, -20.0), square_C=(300.0, 410.0))`.
    """

    num_positions: Annotated[int, Field(ge=1)]
    """Latent frames x rows x columns."""
    sum_C: tuple[float, ...]
    """Sum per channel."""
    square_C: tuple[float, ...]
    """Sum of squares per channel."""

    @model_validator(mode="after")
    def _same_channels(self) -> Self:
        if len(self.sum_C) != len(self.square_C) or not self.sum_C:
            raise ValueError(f"expected two sums per channel, got {len(self.sum_C)} and {len(self.square_C)}")
        return self

    @property
    def mean_C(self) -> F64:
        """Mean per channel over the clip."""
        return np.array(self.sum_C) / self.num_positions


def latent_moments(latents_CTHW: Latents) -> LatentMoments:
    """Moments of one clip.

    Args:
        latents_CTHW: normalised latents C, t, h, w, as training sees them.

    Raises:
        ValidationError: latents that are not finite.
    """
    flat = latents_CTHW.reshape(len(latents_CTHW), -1).astype(np.float64)
    return LatentMoments(
        num_positions=flat.shape[1], sum_C=tuple(flat.sum(1).tolist()), square_C=tuple(np.square(flat).sum(1).tolist())
    )


class ClipMoments(Record):
    """Stored moments of a real clip's latents: the latents are not stored, and encoding them again needs the model.

    Example: `ClipMoments(clip_key="2d" * 32, encoder="9a" * 32, moments=LatentMoments(...))`.
    """

    clip_key: Key
    """The clip."""
    encoder: Text
    """Name of the base model whose autoencoder encoded it."""
    moments: LatentMoments
    """Moments of the latents."""


@dataclass(frozen=True, eq=False)
class LatentStats:
    """Mean and standard deviation of each latent channel over clips."""

    mean_C: F64
    """Mean per channel."""
    std_C: F64
    """Standard deviation per channel."""


def pooled(moments: Sequence[LatentMoments]) -> LatentStats | None:
    """Channel statistics over all positions of all clips; None when there is no clip."""
    if not moments:
        return None
    count = sum(each.num_positions for each in moments)
    mean_C = np.sum([each.sum_C for each in moments], axis=0) / count
    square_C = np.sum([each.square_C for each in moments], axis=0) / count
    return LatentStats(mean_C, np.sqrt(np.maximum(square_C - np.square(mean_C), 0.0)))


def mean_distance(a: LatentStats, b: LatentStats) -> float:
    """Distance of the channel means of `a` from those of `b`: root mean square, in standard deviations of `b`."""
    return math.sqrt(float(np.mean(np.square((a.mean_C - b.mean_C) / np.maximum(b.std_C, LEAST_STD)))))


def std_distance(a: LatentStats, b: LatentStats) -> float:
    """Difference of the channel spreads of `a` and `b`: root mean square of the log ratio; 0.1 is 10 %."""
    ratio = np.maximum(a.std_C, LEAST_STD) / np.maximum(b.std_C, LEAST_STD)
    return math.sqrt(float(np.mean(np.square(np.log(ratio)))))


def frechet_squared(mean_a: F64, cov_a: F64, mean_b: F64, cov_b: F64) -> float:
    """Squared Frechet distance of two normal distributions (Dowson and Landau 1982), as FID uses it.

    d^2 = |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2); covariances may be singular.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root_a @ cov_b @ root_a)
    trace_cross = float(np.sqrt(np.maximum(cross, 0.0)).sum())
    shift = float(np.square(mean_a - mean_b).sum())
    return max(0.0, shift + float(np.trace(cov_a)) + float(np.trace(cov_b)) - 2.0 * trace_cross)


def pooled_frechet(a: Sequence[LatentMoments], b: Sequence[LatentMoments]) -> float | None:
    """Frechet distance between clips of `a` and of `b`, each pooled to its channel means.

    The distances above compare single positions; this one also depends on how clips differ from each other: a model
    whose clips all look alike is far from real ones even if its channel means are right. Channels are scaled by the
    spread of `b` between clips, and the result is d / sqrt(C): with equal spreads, a shift in those units.

    It is biased upwards for few clips (as FID is), so compare only values from similar numbers of clips.

    Returns:
        None if a side does not have more clips than channels: its covariance could not be estimated.
    """
    if min(len(a), len(b)) <= len((*a, *b)[0].sum_C if a or b else ()):
        return None
    rows_a, rows_b = (np.array([each.mean_C for each in side]) for side in (a, b))
    scale_C = np.maximum(rows_b.std(0), LEAST_STD)
    rows_a, rows_b = rows_a / scale_C, rows_b / scale_C
    squared = frechet_squared(
        rows_a.mean(0), np.atleast_2d(np.cov(rows_a.T)), rows_b.mean(0), np.atleast_2d(np.cov(rows_b.T))
    )
    return math.sqrt(squared / rows_a.shape[1])
