"""From a scene to the exact state of every thing in every frame.

Shapes: K things, T frames. All pure numpy; the same scene always gives the same tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.scene import COLOUR_RGB, NUM_FRAMES, RADIUS_PX, Action, Scene

F32 = NDArray[np.float32]
FLOOR_Y = 28.0
"""World y of the invisible floor on which falling things bounce."""
BOUNCE = 0.6
"""Share of the speed kept after a bounce."""
STEP = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


@dataclass(frozen=True)
class Tracks:
    """The ground truth of a clip in world coordinates, and the camera that sees it."""

    x_KT: F32
    y_KT: F32
    radius_KT: F32
    rgb_KT3: F32
    """Colour in [0, 255]."""
    camera_x_T: F32
    """World x in the middle of the frame."""
    zoom_T: F32
    """Pixels per world unit."""


def animate(scene: Scene, num_frames: int = NUM_FRAMES) -> Tracks:
    """Move every thing of `scene` through `num_frames` frames."""
    t_T = np.linspace(0.0, 1.0, num_frames)
    count = len(scene.things)
    x, y = np.zeros((count, num_frames)), np.zeros((count, num_frames))
    radius, rgb = np.zeros((count, num_frames)), np.zeros((count, num_frames, 3))
    for k, thing in enumerate(scene.things):
        x[k], y[k] = thing.x, thing.y
        radius[k] = RADIUS_PX[thing.size]
        rgb[k] = COLOUR_RGB[thing.colour]
    for action in scene.actions:
        _act(action, scene, t_T, x, y, radius, rgb)
    pan = {"pan_left": -1.0, "pan_right": 1.0}.get(scene.camera, 0.0) * scene.camera_amount
    zoom = _zoom(scene, t_T)
    # Centred in time, so that a panned clip shows on average the same world as a still one.
    camera_x = pan * (t_T - 0.5)
    out = [a.astype(np.float32) for a in (x, y, radius, rgb, camera_x, zoom)]
    return Tracks(*out)


def _zoom(scene: Scene, t_T: NDArray[np.float64]) -> NDArray[np.float64]:
    if scene.camera == "zoom_in":
        return scene.camera_amount**t_T
    if scene.camera == "zoom_out":
        return scene.camera_amount ** (1.0 - t_T)
    return np.ones_like(t_T)


def _act(
    action: Action,
    scene: Scene,
    t_T: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius: NDArray[np.float64],
    rgb: NDArray[np.float64],
) -> None:
    """Apply one action to its thing's row, in place."""
    k, verb = action.thing, action.verb
    u = np.clip((t_T - action.start) / (action.end - action.start), 0.0, 1.0)
    if verb in STEP:
        dx, dy = STEP[verb]
        x[k] += dx * action.amount * u
        y[k] += dy * action.amount * u
    elif verb in ("push", "stop", "pushed"):
        assert action.direction is not None
        dx, dy = STEP[action.direction]
        x[k] += dx * action.amount * u
        y[k] += dy * action.amount * u
    elif verb in ("grow", "shrink"):
        radius[k] *= action.amount**u if verb == "grow" else action.amount ** (-u)
    elif verb == "turn":
        assert action.colour is not None
        new = np.asarray(COLOUR_RGB[action.colour], dtype=float)
        # A quick cross-fade in the middle: long enough to be visible, short enough to leave two clear colours.
        w = np.clip((u - 0.4) / 0.2, 0.0, 1.0)[:, None]
        rgb[k] = (1 - w) * rgb[k] + w * new
    elif verb == "rise":
        y[k] -= action.amount * u
    elif verb == "fall":
        y[k] = _fall(float(y[k, 0]), FLOOR_Y - float(radius[k, 0]), bounce=action.amount > 0, t_T=t_T)
    elif verb == "orbit":
        other = scene.things[1]
        start = np.arctan2(y[k, 0] - other.y, x[k, 0] - other.x)
        far = float(np.hypot(y[k, 0] - other.y, x[k, 0] - other.x))
        angle = start + action.amount * (u * u * (3 - 2 * u))
        x[k], y[k] = other.x + far * np.cos(angle), other.y + far * np.sin(angle)


def _fall(top: float, floor: float, *, bounce: bool, t_T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Free fall from rest that meets the floor at t = 0.55 and then bounces or stays there."""
    drop, hit = floor - top, 0.55
    gravity = 2 * drop / hit**2
    y = top + 0.5 * gravity * np.minimum(t_T, hit) ** 2
    if not bounce:
        return y
    after = np.maximum(t_T - hit, 0.0)
    speed = BOUNCE * gravity * hit
    return np.where(t_T > hit, np.minimum(floor - speed * after + 0.5 * gravity * after**2, floor), y)
