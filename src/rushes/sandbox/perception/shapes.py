"""Which shape a blob has: its coverage is brought to unit area and compared with blurred templates.

Area and centroid of a coverage map do not change when it is blurred, so the patches line up however soft the clip is,
and the blur itself is one more thing the templates are tried with.

Legend: N blobs, S shapes in the order of `SHAPES`, B levels of blur, P pixels of a patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from rushes.sandbox.scene import SHAPES, Shape

F32 = NDArray[np.float32]
PATCH_PX = 24
"""Edge of a normalised patch."""
PATCH_REACH = 1.05
"""Half of a patch's edge, in units of the square root of the blob's area."""
BLURS = (0.03, 0.07, 0.11, 0.16)
"""Standard deviations of the templates' blur, in units of the square root of the area."""


def patch(alpha_HW: F32, x: float, y: float, area: float) -> F32:
    """The coverage map cut out around pixel position (x, y) and scaled to unit area: (PATCH_PX, PATCH_PX)."""
    step = 2 * PATCH_REACH * np.sqrt(area) / PATCH_PX
    first = -PATCH_REACH * np.sqrt(area) + 0.5 * step
    matrix = np.array([[step, 0.0, x + first], [0.0, step, y + first]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(alpha_HW, matrix, (PATCH_PX, PATCH_PX), flags=flags), np.float32)


def misfits(patches: Sequence[F32]) -> F32:
    """How badly each shape explains each patch: (N, S), 0 is perfect, 1 is as bad as nothing at all."""
    if not patches:
        return np.zeros((0, len(SHAPES)), np.float32)
    seen_NP = np.stack(patches).reshape(len(patches), -1)
    templates_SBP = _templates()
    flat = templates_SBP.reshape(-1, seen_NP.shape[1])
    energy = np.square(flat).sum(1)
    squared = np.square(seen_NP).sum(1)[:, None] - 2 * seen_NP @ flat.T + energy
    return np.asarray((squared / energy).reshape(len(patches), len(SHAPES), len(BLURS)).min(2), np.float32)


@cache
def _templates() -> F32:
    fine = 8
    edge = PATCH_PX * fine
    u = ((np.arange(edge) + 0.5) / edge * 2 - 1) * PATCH_REACH
    rows: list[F32] = []
    for shape in SHAPES:
        inside = np.asarray(_inside(shape, u[None, :], u[:, None]), np.float32)
        for blur in BLURS:
            soft = cv2.GaussianBlur(inside, (0, 0), blur / (2 * PATCH_REACH) * edge)
            rows.append(np.asarray(cv2.resize(soft, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA), np.float32))
    return np.stack(rows).reshape(len(SHAPES), len(BLURS), -1)


def _inside(shape: Shape, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points of the shape of unit area whose centroid is the origin; x right, y down."""
    if shape == "circle":
        return np.asarray(x * x + y * y < 1 / np.pi)
    if shape == "square":
        return np.asarray(np.maximum(np.abs(x), np.abs(y)) < 0.5)
    if shape == "triangle":
        # Apex up, base 2.4 and height 2.05 before scaling; the centroid lies a third of the height above the base.
        unit = 1 / np.sqrt(0.5 * 2.4 * 2.05)
        down = y + 2.05 * unit * 2 / 3
        return np.asarray((down > 0) & (down < 2.05 * unit) & (np.abs(x) < down * 1.2 / 2.05))
    # Two bars, 2.16 long and 0.8 wide before scaling.
    unit = 1 / np.sqrt(2 * 2.16 * 0.8 - 0.8**2)
    long, short = 1.08 * unit, 0.4 * unit
    wide, high = np.abs(x), np.abs(y)
    return np.asarray(((wide < long) & (high < short)) | ((wide < short) & (high < long)))
