"""Quantities that should not drift while a model is tuned: motion, colours, sharpness, and the latents' distribution.

None of them is good or bad in itself: they are shown before, after, and for real clips. Pure numpy.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rushes.measure.latents import (
    LatentMoments,
    LatentStats,
    latent_moments,
    mean_distance,
    pooled,
    pooled_frechet,
    std_distance,
)
from rushes.records import DriftRow

if TYPE_CHECKING:
    from rushes.roles import Frames, Latents

F32 = NDArray[np.float32]
LUMA_709 = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in perceived brightness (ITU-R BT.709)."""


@dataclass(frozen=True)
class FrameStats:
    """Statistics of one clip, or their means over clips.

    Example: `FrameStats(motion=2.4, saturation=0.18, brightness=0.31, contrast=0.12, high_frequency=3.1)`.
    """

    motion: float
    """Mean absolute change of brightness between neighbouring frames, levels of 255; 0 for a single frame."""
    saturation: float
    """Mean of (max - min) / max over red, green and blue, 0 to 1; black counts as 0."""
    brightness: float
    """Mean brightness, 0 to 1."""
    contrast: float
    """Standard deviation of the brightness within a frame, 0 to 0.5."""
    high_frequency: float
    """Root mean square of what a 3 x 3 mean removes from the brightness, levels of 255: blur lowers it, noise
    raises it."""


_UNITS = {
    "motion": ("motion amount", "levels/frame"),
    "saturation": ("saturation", ""),
    "brightness": ("brightness", ""),
    "contrast": ("contrast", ""),
    "high_frequency": ("fine detail", "levels"),
}


def frame_stats(frames_THWC: Frames) -> FrameStats:
    """Statistics of one clip.

    Args:
        frames_THWC: pixels, T, H, W, 3, uint8, RGB; at least 3 x 3 pixels.

    Raises:
        ValueError: another shape or number format.
    """
    shape = frames_THWC.shape
    if frames_THWC.dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or shape[0] < 1 or min(shape[1:3]) < 3:
        raise ValueError(f"expected uint8 frames of shape T, H >= 3, W >= 3, 3, got {frames_THWC.dtype} {shape}")
    # Frame by frame, so that a long clip of a large model needs memory for only two frames.
    per_frame: list[tuple[float, float, float, float]] = []
    changes: list[float] = []
    previous: F32 | None = None
    for frame in frames_THWC:
        light: F32 = frame.astype(np.float32) @ LUMA_709
        per_frame.append(_one_frame(frame, light))
        if previous is not None:
            changes.append(float(np.abs(light - previous).mean()))
        previous = light
    saturation, brightness, contrast, fine_squared = np.array(per_frame, np.float64).mean(0)
    return FrameStats(
        motion=math.fsum(changes) / len(changes) if changes else 0.0,
        saturation=float(saturation),
        brightness=float(brightness),
        contrast=float(contrast),
        high_frequency=math.sqrt(float(fine_squared)),
    )


def _one_frame(frame_HWC: Frames, light_HW: F32) -> tuple[float, float, float, float]:
    """Saturation, brightness, contrast, and the mean square of the fine detail of a frame, with its luma."""
    high, low = frame_HWC.max(-1).astype(np.float32), frame_HWC.min(-1).astype(np.float32)
    fine_HW = light_HW[1:-1, 1:-1] - _mean_3x3(light_HW)
    return (
        float(((high - low) / np.maximum(high, 1.0)).mean()),
        float(light_HW.mean()) / 255.0,
        float(light_HW.std()) / 255.0,
        float(np.square(fine_HW).mean()),
    )


def _mean_3x3(image_HW: F32) -> F32:
    """Mean of each pixel's 3 x 3 neighbourhood, without the border: H - 2, W - 2."""
    columns = image_HW[:, :-2] + image_HW[:, 1:-1] + image_HW[:, 2:]
    total: F32 = (columns[:-2] + columns[1:-1] + columns[2:]) / 9.0
    return total


@dataclass(frozen=True, eq=False)
class ClipSet:
    """The clips of one origin. Either part may be an iterator that loads clips one by one; each is read once."""

    frames: Iterable[Frames] = ()
    """Pixels of each clip; if empty, the rows about pixels are left out."""
    latents: Iterable[Latents] = ()
    """Latents of each clip, from the model or from the autoencoder's encoder; if empty, their rows are left out."""
    moments: Iterable[LatentMoments] = ()
    """Moments of clips whose latents were measured before and are not stored."""


def drift(before: ClipSet, after: ClipSet, real: ClipSet = ClipSet()) -> tuple[DriftRow, ...]:
    """The drift panel: each quantity on clips of the base model, of the tuned model, and on real clips.

    Rows about latents are distances to the real clips' latents. The value for real clips is the distance between two
    halves of them (every other clip), which shows the value without drift. A row that one of the models lacks is left
    out.

    Args:
        before: clips of the base model.
        after: clips of the tuned model, of the same prompts and seeds.
        real: real clips; empty if there are none.
    """
    return (*_frame_rows(before, after, real), *_latent_rows(*map(_moments, (before, after, real))))


def _moments(clips: ClipSet) -> list[LatentMoments]:
    return [*clips.moments, *(latent_moments(latents_CTHW) for latents_CTHW in clips.latents)]


def _frame_rows(before: ClipSet, after: ClipSet, real: ClipSet) -> list[DriftRow]:
    means = [_mean_stats([frame_stats(frames) for frames in clips.frames]) for clips in (before, after, real)]
    of_before, of_after, of_real = means
    if of_before is None or of_after is None:
        return []
    return [
        DriftRow(
            name=label,
            unit=unit,
            before=getattr(of_before, field),
            after=getattr(of_after, field),
            real=getattr(of_real, field) if of_real else None,
        )
        for field, (label, unit) in _UNITS.items()
    ]


def _mean_stats(stats: Sequence[FrameStats]) -> FrameStats | None:
    if not stats:
        return None
    return FrameStats(**{name: math.fsum(getattr(each, name) for each in stats) / len(stats) for name in _UNITS})


_Moments = Sequence[LatentMoments]


def _latent_rows(before: _Moments, after: _Moments, real: _Moments) -> list[DriftRow]:
    rows: list[DriftRow] = []
    for name, unit, distance in _LATENT_ROWS:
        of_before, of_after = distance(before, real), distance(after, real)
        if of_before is not None and of_after is not None:
            between = distance(real[::2], real[1::2])
            rows.append(DriftRow(name=name, unit=unit, before=of_before, after=of_after, real=between))
    return rows


def _by_position(distance: Callable[[LatentStats, LatentStats], float]) -> Callable[[_Moments, _Moments], float | None]:
    """A distance of channel statistics, over all positions of all clips; None if a side has no clip."""

    def between(a: _Moments, b: _Moments) -> float | None:
        of_a, of_b = pooled(a), pooled(b)
        return None if of_a is None or of_b is None else distance(of_a, of_b)

    return between


_LATENT_ROWS: Final[tuple[tuple[str, str, Callable[[_Moments, _Moments], float | None]], ...]] = (
    ("latent mean, distance to real", "standard deviations", _by_position(mean_distance)),
    ("latent spread, distance to real", "log ratio", _by_position(std_distance)),
    ("latents of whole clips, Frechet distance to real", "standard deviations", pooled_frechet),
)
