"""Pixel distortions of generated video that do not change what happens: blur, noise, drift, flicker, smear, wobble.

Legend: T frames, H rows, W columns; frames are float32 in [0, 255] between distortions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.animate import F32

Rng = np.random.Generator
U8 = NDArray[np.uint8]


def distorted(frames_THWC: U8, rng: Rng, most: int = 3) -> U8:
    """Apply 1 to `most` different distortions, drawn at random, each at a random strength."""
    names = list(DISTORTIONS)
    picked = rng.choice(len(names), size=int(rng.integers(1, most + 1)), replace=False)
    frames = frames_THWC.astype(np.float32)
    for i in sorted(int(i) for i in picked):
        frames = DISTORTIONS[names[i]](frames, rng)
    return (np.clip(frames, 0, 255) + np.float32(0.5)).astype(np.uint8)


def _wobble(frames: F32, rng: Rng) -> F32:
    """Outlines waver: a smooth displacement of up to about 2 px that changes from one group of frames to the next."""
    num_frames, height, width, _ = frames.shape
    group = int(rng.integers(1, 5))
    # Knots ten pixels apart give shapes bumps rather than a shift.
    knots = rng.uniform(-2.2, 2.2, (2, -(-num_frames // group), -(-height // 9), -(-width // 9)))
    shift_2gHW = _smooth_planes(knots.repeat(9, 2).repeat(9, 3)[:, :, :height, :width])
    y_gHW = np.clip(np.arange(height)[:, None] + np.rint(shift_2gHW[0]).astype(int), 0, height - 1)
    x_gHW = np.clip(np.arange(width) + np.rint(shift_2gHW[1]).astype(int), 0, width - 1)
    source_gN = (y_gHW * width + x_gHW).reshape(len(y_gHW), -1)
    pixels_TN3 = frames.reshape(num_frames, -1, 3)
    rows = [pixels_TN3[t].take(source_gN[t // group], 0) for t in range(num_frames)]
    return np.stack(rows).reshape(frames.shape)


def _smooth_planes(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Box filter 7 wide along the last two axes, edges wrapped."""
    for axis in (-2, -1):
        size = planes.shape[axis]
        total = np.cumsum(np.concatenate([planes, planes.take(range(7), axis)], axis), axis)
        planes = (total.take(range(7, 7 + size), axis) - total.take(range(size), axis)) / 7
    return planes


def _blur(frames: F32, rng: Rng) -> F32:
    for _ in range(int(rng.integers(1, 4))):
        frames = _soften(_soften(frames, 1), 2)
    return frames


def _soften(frames: F32, axis: int) -> F32:
    """The kernel (1, 2, 1) / 4 along one axis, edges repeated."""
    rows = np.moveaxis(frames, axis, 0)
    out = np.float32(2) * rows
    out[1:] += rows[:-1]
    out[:-1] += rows[1:]
    out[0] += rows[0]
    out[-1] += rows[-1]
    out *= np.float32(0.25)
    softer: F32 = np.moveaxis(out, 0, axis)
    return softer


def _shrink(frames: F32, rng: Rng) -> F32:
    """Half the resolution and back, smoothed as by a small autoencoder."""
    low = frames[:, ::2] + frames[:, 1::2]
    small: F32 = (low[:, :, ::2] + low[:, :, 1::2]) * np.float32(0.25)
    return _soften(_soften(small.repeat(2, 1).repeat(2, 2), 1), 2)


def _smear(frames: F32, rng: Rng) -> F32:
    """Each frame keeps a trace of the previous one."""
    keep = np.float32(rng.uniform(0.15, 0.45))
    out = frames.copy()
    out[1:] += keep * (frames[:-1] - frames[1:])
    return out


def _drift(frames: F32, rng: Rng) -> F32:
    """Colours drift over the clip."""
    ends = rng.uniform(0.85, 1.15, (2, 3)).astype(np.float32)
    u_T1 = np.linspace(0, 1, len(frames), dtype=np.float32)[:, None]
    coloured: F32 = frames * ((1 - u_T1) * ends[0] + u_T1 * ends[1])[:, None, None, :]
    return coloured


def _flicker(frames: F32, rng: Rng) -> F32:
    return frames * rng.uniform(0.9, 1.1, (len(frames), 1, 1, 1)).astype(np.float32)


def _fade(frames: F32, rng: Rng) -> F32:
    """Less contrast and saturation than there should be."""
    grey = (frames[..., :1] + frames[..., 1:2] + frames[..., 2:]) / np.float32(3)
    faded = grey + np.float32(rng.uniform(0.6, 1.0)) * (frames - grey) + np.float32(rng.uniform(-12, 12))
    return faded.astype(np.float32)


def _noise(frames: F32, rng: Rng) -> F32:
    return frames + np.float32(rng.uniform(2, 12)) * rng.standard_normal(frames.shape, dtype=np.float32)


def _stains(frames: F32, rng: Rng) -> F32:
    """Patches of slightly wrong colour that come and go, like remnants of denoising."""
    num_frames, height, width, _ = frames.shape
    patch = rng.standard_normal((5, height // 8, width // 8, 3), dtype=np.float32) * np.float32(rng.uniform(3, 10))
    patch = np.clip(patch, -20, 20).repeat(4, 0)[:num_frames].repeat(8, 1).repeat(8, 2)
    return frames + _soften(_soften(patch, 1), 2)


DISTORTIONS: dict[str, Callable[[F32, Rng], F32]] = {
    "wobble": _wobble,
    "blur": _blur,
    "shrink": _shrink,
    "smear": _smear,
    "drift": _drift,
    "flicker": _flicker,
    "fade": _fade,
    "noise": _noise,
    "stains": _stains,
}
"""Every distortion, by name, in the order in which they are applied."""
