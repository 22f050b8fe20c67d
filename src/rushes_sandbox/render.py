"""Anti-aliased renderer of the sandbox world: signed distances, one pixel of soft edge, painter's order.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.animate import F32, Tracks, animate
from rushes_sandbox.scene import BACKGROUND_RGB, NUM_FRAMES, SIZE_PX, Scene, Shape

TILE_PX = 16.0
"""Edge of one background tile in world units."""
TILE_CONTRAST = 13.0
"""How much lighter and darker than their mean two neighbouring tiles are, in [0, 255] levels."""


def render(scene: Scene, size_px: int = SIZE_PX, num_frames: int = NUM_FRAMES) -> NDArray[np.uint8]:
    """Render `scene`: uint8 frames of shape (T, H, W, 3)."""
    return paint(scene, animate(scene, num_frames), size_px)


def paint(scene: Scene, tracks: Tracks, size_px: int = SIZE_PX) -> NDArray[np.uint8]:
    """Render tracks that are already computed; see `render`."""
    half = size_px / 2
    scale = size_px / SIZE_PX
    pixel = (np.arange(size_px, dtype=np.float32) + 0.5 - half) / scale
    world_x_TW = pixel[None] / tracks.zoom_T[:, None] + tracks.camera_x_T[:, None]
    world_y_TH = np.broadcast_to(pixel[None] / tracks.zoom_T[:, None], world_x_TW.shape)
    frames = _tiles(scene, world_x_TW, world_y_TH, tracks.zoom_T * scale)
    for k, thing in enumerate(scene.things):
        _draw(frames, thing.shape, tracks, k, world_x_TW, world_y_TH, scale)
    return (frames + 0.5).astype(np.uint8)


def _tiles(scene: Scene, x_TW: F32, y_TH: F32, px_per_unit_T: F32) -> F32:
    wave_x = _square_wave(x_TW, px_per_unit_T)
    wave_y = _square_wave(y_TH, px_per_unit_T)
    light = np.float32(TILE_CONTRAST) * wave_y[:, :, None] * wave_x[:, None, :]
    return light[..., None] + np.asarray(BACKGROUND_RGB[scene.background], np.float32)


def _square_wave(u: F32, px_per_unit_T: F32) -> F32:
    """+-1 alternating every `TILE_PX`, with edges one pixel soft."""
    saw = np.abs(np.mod(u / TILE_PX, 2.0) - 1.0) - 0.5
    wave: F32 = np.clip(saw * TILE_PX * 2.0 * px_per_unit_T[:, None], -1.0, 1.0)
    return wave


def _draw(frames: F32, shape: Shape, tracks: Tracks, k: int, x_TW: F32, y_TH: F32, scale: float) -> None:
    """Blend thing `k` over `frames` in place, changing only the rectangle it can reach."""
    reach = 1.35 * float(tracks.radius_KT[k].max()) + 2
    near_x = np.flatnonzero((np.abs(x_TW - tracks.x_KT[k][:, None]) < reach).any(0))
    near_y = np.flatnonzero((np.abs(y_TH - tracks.y_KT[k][:, None]) < reach).any(0))
    if not len(near_x) or not len(near_y):
        return
    cols, rows = slice(near_x[0], near_x[-1] + 1), slice(near_y[0], near_y[-1] + 1)
    dx = (x_TW[:, cols] - tracks.x_KT[k][:, None])[:, None, :]
    dy = (y_TH[:, rows] - tracks.y_KT[k][:, None])[:, :, None]
    distance = _distance(shape, dx, dy, tracks.radius_KT[k][:, None, None])
    alpha = np.clip(0.5 - distance * (tracks.zoom_T * scale)[:, None, None], 0.0, 1.0)[..., None]
    window = frames[:, rows, cols]
    window += alpha * (tracks.rgb_KT3[k][:, None, None, :] - window)


def _distance(shape: Shape, dx: F32, dy: F32, radius: F32) -> F32:
    """Signed distance (negative inside), exact along edges; corners are slightly rounded."""
    if shape == "circle":
        return np.sqrt(dx * dx + dy * dy) - radius
    if shape == "square":
        square: F32 = np.maximum(np.abs(dx), np.abs(dy)) - 0.9 * radius
        return square
    if shape == "triangle":
        # Upright: apex 1.2 r above the centre, base 0.85 r below it, base half-width 1.2 r.
        nx, ny = 0.8630, 0.5052  # unit normal of the sides, (2.05, 1.2) normalised
        side = nx * np.abs(dx) - ny * (dy + 1.2 * radius)
        return np.maximum(side, dy - 0.85 * radius)
    bar_x = np.maximum(np.abs(dx) - 1.08 * radius, np.abs(dy) - 0.4 * radius)
    bar_y = np.maximum(np.abs(dx) - 0.4 * radius, np.abs(dy) - 1.08 * radius)
    cross: F32 = np.minimum(bar_x, bar_y)
    return cross
