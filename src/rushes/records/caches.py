"""Caches of sampling: what is computed in one denoising step and used again in the next ones. Part of a sampler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rushes.records.base import Count, Record, Share, Size

Threshold = Annotated[float, Field(gt=0.0)]


class FirstBlockCache(Record):
    """All blocks but the first are skipped in a step in which the first one's change is about that of the last step.

    It compares the clips of a batch as a whole, so clips are sampled one by one with it.

    Example:
        FirstBlockCache(threshold=0.05)
    """

    kind: Literal["first_block"] = "first_block"
    threshold: Threshold = 0.05
    """Largest relative change of the first block's residual for which the others are skipped; larger is faster."""


class SeaCache(Record):
    """All blocks are skipped while the filtered latents change little from step to step; for Wan.

    It compares the clips of a batch as a whole, so clips are sampled one by one with it.

    Example:
        SeaCache(threshold=0.25)
    """

    kind: Literal["seacache"] = "seacache"
    threshold: Threshold = 0.25
    """Accumulated relative change up to which blocks are skipped; larger is faster."""
    order: Annotated[int, Field(ge=0, le=1)] = 1
    """0 repeats the last residual, 1 extrapolates from the last two."""
    num_first: Count = 1
    """First steps that are always computed."""
    num_last: Count = 1
    """Last steps that are always computed."""
    max_skipped: Size = 2
    """Most steps in a row that are skipped."""


class TaylorSeerCache(Record):
    """Attention and feed-forward layers are computed in every so many-th step, and extrapolated in between.

    Example:
        TaylorSeerCache(interval=3)
    """

    kind: Literal["taylorseer"] = "taylorseer"
    interval: Annotated[int, Field(ge=2)] = 3
    """Steps from one computed step to the next; larger is faster."""
    num_first: Size = 3
    """First steps that are always computed."""
    order: Annotated[int, Field(ge=0, le=3)] = 1
    """Order of the extrapolation; 0 repeats the last output."""


class MagCache(Record):
    """All blocks are skipped in steps for which measured ratios of residuals promise a small error.

    Example:
        MagCache(ratios=(1.0, 1.02, 1.01, 0.99))
    """

    kind: Literal["magcache"] = "magcache"
    ratios: Annotated[tuple[Annotated[float, Field(gt=0.0)], ...], Field(min_length=1)]
    """Ratio of each step's residual to the one before, as measured on this model: a property of a checkpoint. Another
    number of them than of steps is interpolated."""
    threshold: Threshold = 0.06
    """Largest accumulated error; larger is faster."""
    max_skipped: Size = 3
    """Most steps in a row that are skipped."""
    retained: Share = 0.2
    """Share of the first steps that are always computed."""


class PyramidCache(Record):
    """The output of self-attention is computed in every so many-th step and used again in between (PAB).

    Example:
        PyramidCache(every=2)
    """

    kind: Literal["pyramid"] = "pyramid"
    every: Annotated[int, Field(ge=2)] = 2
    """Steps from one computed step to the next; larger is faster."""
    timesteps: tuple[Annotated[float, Field(ge=0, le=1001)], Annotated[float, Field(ge=0, le=1001)]] = (100.0, 800.0)
    """Timesteps, 0 to 1000, between which outputs are used again."""


SamplerCache = Annotated[
    FirstBlockCache | SeaCache | TaylorSeerCache | MagCache | PyramidCache, Field(discriminator="kind")
]
"""A cache, by its kind."""
READS_BATCH = (FirstBlockCache, SeaCache)
"""Caches that decide by what the clips of a batch look like: which steps are skipped depends on all of them."""
