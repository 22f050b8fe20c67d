"""Segments the coloured things in each frame: hue classes, connected components, soft coverage.

A pixel at the edge of a thing mixes the thing's colour with the background's, so it is measured relative to the
background: the direction of the difference gives the colour, its length gives how much of the pixel is covered.

Legend: T frames, H rows, W columns, h w rows and columns of a window, C colours in the order of `COLOURS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.perception.shapes import F32, Form, moments
from rushes_sandbox.scene import COLOUR_RGB, COLOURS, Colour

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
# Two axes without brightness, so that light and dark tiles of a background look the same.
CHROMA_AXES = np.array([[0.5, 0.5], [0.5, -0.5], [-1.0, 0.0]], np.float32) * np.array([0.8165, 1.4142], np.float32)
COLOURED = 45.0
"""Distance from grey, on the chroma axes, above which a pixel is not background; backgrounds stay below 40."""
THING = 0.3
"""Share of the full colour from which a pixel is not background."""
CORE = 0.5
"""Share of the full colour from which a pixel belongs to a thing."""
MIN_AREA_PX = 14.0
"""Smaller blobs are specks."""
EDGE_PX = 3
"""Width of the soft edge counted to a blob around its core."""
PALETTE_C3 = np.array([COLOUR_RGB[c] for c in COLOURS], np.float32)
FAINT = 0.15
"""Shares of the full colour up to this count as none, and from 1 minus this on as all."""
_SQUARE3 = np.ones((3, 3), np.uint8)
_GROW = np.ones((2 * EDGE_PX + 1, 2 * EDGE_PX + 1), np.uint8)


@dataclass(frozen=True, eq=False)
class Blob:
    """One coloured patch in one frame."""

    colour: Colour
    x: float
    """Pixels from the frame's middle, to the right."""
    y: float
    """Pixels from the frame's middle, downwards."""
    area_px: float
    """Covered area in pixels, soft edges counted in part."""
    form: Form
    """The moments that identify its shape."""
    cut: bool
    """Whether the frame's border cuts it."""
    core_HW: Mask
    """Its pixels."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """All blobs of a clip, and its background."""

    blobs: tuple[tuple[Blob, ...], ...]
    """Per frame."""
    background_rgb: F32
    """Mean colour of the background, 0 to 255."""
    thing_THW: Mask
    """Pixels that are coloured at all, and so not background."""


def segment(frames_THWC: U8) -> Segmentation:
    """Find the coloured blobs of every frame of a uint8 RGB clip."""
    pixels = frames_THWC.astype(np.float32)
    chroma = (pixels.reshape(-1, 3) @ CHROMA_AXES).reshape(*pixels.shape[:3], 2)
    background = _background(pixels, chroma)
    colour_THW, strength_THW = _classify(chroma, background @ CHROMA_AXES)
    offset = pixels - background
    found = [_blobs(offset[t], colour_THW[t], strength_THW[t], background) for t in range(len(pixels))]
    return Segmentation(tuple(found), background, strength_THW > THING)


def _background(pixels_THWC: F32, chroma_THW2: F32) -> F32:
    """Mean of the colourless pixels; of all pixels if there are hardly any."""
    thin = (slice(None, None, 2), slice(None, None, 3), slice(None, None, 3))
    sample, chroma = pixels_THWC[thin].reshape(-1, 3), chroma_THW2[thin].reshape(-1, 2)
    plain = sample[chroma[:, 0] ** 2 + chroma[:, 1] ** 2 < COLOURED**2]
    # Not the median, which would be one of the two tile shades.
    return np.asarray((plain if len(plain) > 0.05 * len(sample) else sample).mean(0), np.float32)


def _classify(chroma_THW2: F32, background_2: F32) -> tuple[NDArray[np.uint8], F32]:
    """Per pixel the colour whose hue, relative to the background, is nearest, and how much of that colour is there."""
    towards_C2 = PALETTE_C3 @ CHROMA_AXES - background_2
    length_C = np.linalg.norm(towards_C2, axis=1)
    x, y = chroma_THW2[..., 0] - background_2[0], chroma_THW2[..., 1] - background_2[1]
    some = x * x + y * y > (THING * length_C.min()) ** 2
    along_CN = (towards_C2 / length_C[:, None]) @ np.stack([x[some], y[some]])
    best_N = along_CN.argmax(0)
    colour = np.zeros(some.shape, np.uint8)
    strength = np.zeros(some.shape, np.float32)
    colour[some], strength[some] = best_N, along_CN.max(0) / length_C[best_N]
    return colour, strength


def _blobs(offset_HWC: F32, colour_HW: NDArray[np.uint8], strength_HW: F32, background: F32) -> tuple[Blob, ...]:
    """The blobs of one frame; `offset_HWC` is the frame minus the background's colour."""
    core_HW = strength_HW > CORE
    parts: list[tuple[int, Mask]] = []
    counts = np.bincount(colour_HW[core_HW], minlength=len(COLOURS))
    for c in (c for c in range(len(COLOURS)) if counts[c] >= MIN_AREA_PX):
        mine = ((colour_HW == c) & core_HW).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mine, connectivity=4)
        # Hairlines are the mixed pixels between two touching things, or compression artefacts.
        thick = set(np.unique(labels[cv2.erode(mine, _SQUARE3) > 0]))
        good = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= MIN_AREA_PX and k in thick]
        parts.extend((c, labels == k) for k in good)
    cores = [mask for _, mask in parts]
    half_h, half_w = (strength_HW.shape[0] - 1) / 2, (strength_HW.shape[1] - 1) / 2
    blobs: list[Blob] = []
    for k, (c, mask) in enumerate(parts):
        (top, left), alpha_hw = _coverage(offset_HWC, c, k, cores, background)
        x, y, area, form = moments(alpha_hw)
        blobs.append(Blob(COLOURS[c], left + x - half_w, top + y - half_h, area, form, _is_cut(mask), mask))
    return tuple(blobs)


def _coverage(
    offset_HWC: F32, colour: int, which: int, cores: list[Mask], background: F32
) -> tuple[tuple[int, int], F32]:
    """Coverage map in [0, 1] of the surroundings of one blob, and the row and column of its corner."""
    mine = cores[which]
    rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
    top, left = max(0, int(rows[0]) - EDGE_PX), max(0, int(columns[0]) - EDGE_PX)
    window = (slice(top, int(rows[-1]) + EDGE_PX + 1), slice(left, int(columns[-1]) + EDGE_PX + 1))
    core = mine[window]
    near = cv2.dilate(core.astype(np.uint8), _GROW) > 0
    for k, other in enumerate(cores):
        if k != which and other[window].any():
            near &= cv2.dilate(other[window].astype(np.uint8), _SQUARE3) == 0
    towards = PALETTE_C3[colour] - background
    towards_2 = towards @ CHROMA_AXES
    # The full colour is sharp but affected by the tiles; hue is not, but is soft in compressed video. So both are used.
    by_rgb, by_hue = towards / float(towards @ towards), CHROMA_AXES @ towards_2 / float(towards_2 @ towards_2)
    alpha = offset_HWC[window] @ ((by_rgb + by_hue) / 2)
    inside = np.sort(alpha[core])
    # Dull or glowing colours should not change the area.
    alpha /= max(float(inside[len(inside) // 2]), 0.2)
    alpha = np.clip((alpha - FAINT) / (1 - 2 * FAINT), 0.0, 1.0) * (near | core)
    return (top, left), np.asarray(alpha, np.float32)


def _is_cut(mask: Mask) -> bool:
    """Whether several of its pixels are on one border of the frame."""
    return max(int(edge.sum()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])) >= 3
