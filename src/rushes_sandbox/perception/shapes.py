"""Classifies the shape of a blob by moments that no blur can change.

With z = x + iy measured from the centroid, the integrals of z^4 and z^3 over a shape say how far it is fourfold or
threefold symmetric. Their real and imaginary parts are harmonic polynomials, so an isotropic blur does not change
them; in units of the area they depend on neither position nor size. A square points to its corners, a cross along the
axes, a triangle in three directions, a circle nowhere.

Legend: H rows, W columns, N blobs or frames, F features in the order of `Form`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.scene import Shape

F32 = NDArray[np.float32]
SQUARE_BELOW = -0.0035
"""Fourfold moment below which a blob is a square: -0.0167 when sharp, closer to zero after a lossy autoencoder."""
CROSS_ABOVE = 0.0018
"""Fourfold moment above which it is a cross: 0.024 when sharp."""
TRIANGLE_BELOW = -0.014
"""Threefold moment below which it is a triangle that stands on its base: -0.069 when sharp."""
DOUBT_FOURFOLD = 0.0012
DOUBT_THREEFOLD = 0.003
"""Together with `DOUBT_FOURFOLD`: how near to a threshold a blob may be either shape. Sharp shapes are far from any,
but an autoencoder can round small ones until they cannot be distinguished."""
MAX_SPREAD = 0.25
"""Second moment above which it is none of the shapes: 0.16 to 0.19 when sharp, a little more when blurred."""
MAX_STRETCH = 0.035
"""Twofold moment above which it is elongated, and none of the shapes: below 0.01 when sharp."""
MAX_ASKEW = 0.009
"""Asymmetry between left and right above which it is none of the shapes: near zero when sharp."""


class Form(NamedTuple):
    """Normalised moments of one blob."""

    fourfold: float
    """Re of the mean of z^4 over area^2: positive when it points along the axes, negative along the diagonals."""
    threefold: float
    """Im of the mean of z^3 over area^1.5, y upwards: negative for a triangle on its base."""
    spread: float
    """Mean of |z|^2 over area."""
    stretch: float
    """|mean of z^2| over area: 0 unless it is elongated."""
    askew: float
    """Length of (Re of mean z^3, Im of mean z^4), both normalised: 0 if left and right mirror each other."""


def moments(alpha_HW: F32) -> tuple[float, float, float, Form]:
    """(x, y) of the centroid in pixels of the map, area, and form of a coverage map in [0, 1] that is not empty."""
    rows, columns = np.arange(alpha_HW.shape[0]), np.arange(alpha_HW.shape[1])
    area = float(alpha_HW.sum())
    x, y = float(alpha_HW.sum(0) @ columns) / area, float(alpha_HW.sum(1) @ rows) / area
    z_HW = ((columns - x)[None, :] - 1j * (rows - y)[:, None]) / np.sqrt(area)
    share_HW = alpha_HW / area
    square_HW = z_HW * z_HW
    second, third = complex((share_HW * square_HW).sum()), complex((share_HW * square_HW * z_HW).sum())
    fourth = complex((share_HW * square_HW * square_HW).sum())
    spread = float((share_HW * np.abs(square_HW)).sum())
    return x, y, area, Form(fourth.real, third.imag, spread, abs(second), abs(complex(third.real, fourth.imag)))


def shapes_of(form_NF: NDArray[np.float64]) -> tuple[Shape, ...]:
    """The shapes that a thing visible in several frames may have, likeliest first.

    Usually one shape, two on the threshold between them, none if it is none of the four. Motion blurs and neighbours
    occlude, so it is misshapen only if it is so in most frames, and those frames do not count.
    """
    spread, stretch, askew = (float(v) for v in np.percentile(form_NF[:, 2:], 25, axis=0))
    whole_NF = form_NF[form_NF[:, 3] <= max(MAX_STRETCH, float(np.median(form_NF[:, 3])))]
    fourfold, threefold = (float(v) for v in np.median(whole_NF[:, :2], axis=0))
    if spread > MAX_SPREAD or stretch > MAX_STRETCH or askew > MAX_ASKEW:
        return ()
    # Distance beyond the threshold to the circle, in units of the doubt there; the circle is inside all three.
    beyond: dict[Shape, float] = {
        "triangle": (TRIANGLE_BELOW - threefold) / DOUBT_THREEFOLD,
        "square": (SQUARE_BELOW - fourfold) / DOUBT_FOURFOLD,
        "cross": (fourfold - CROSS_ABOVE) / DOUBT_FOURFOLD,
    }
    # Sharp triangles also have some fourfold moment; other shapes have no threefold one.
    best: Shape = "triangle" if beyond["triangle"] > 0 else max(beyond, key=lambda shape: beyond[shape])
    if beyond[best] <= -1:
        return ("circle",)
    return (best,) if beyond[best] >= 1 else (best, "circle") if beyond[best] > 0 else ("circle", best)
