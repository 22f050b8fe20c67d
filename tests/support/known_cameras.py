"""Clips with a known camera, made from pictures or clips: flat, cropped out of a clip, or with depth.

Depth is a picture of inverse depths (1 / distance; 0 is the sky), or layers that cover each other. A camera's place is
in units of the distance, x to the right, y down, z ahead, and it may turn about the upright axis.

Legend: T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from rushes.roles import Video

Frames = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
WIDTH, HEIGHT, NUM_FRAMES, FPS = 416, 240, 33, 16.0
PIVOT: Final = 3.0
"""Distance of what a circling camera looks at; speeds are those of things at this distance."""
_COARSE: Final = 4


@dataclass(frozen=True)
class Pose:
    """Where a camera is and which way it looks."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0


def circling(radians: float) -> Pose:
    """A camera that has gone around a point at `PIVOT`, and looks at it."""
    return Pose(PIVOT * np.sin(radians), 0.0, PIVOT * (1.0 - np.cos(radians)), -radians)


TRAVELS: Final[dict[str, tuple[str, Callable[[float], Pose]]]] = {
    "to the right": ("pan_right", lambda s: Pose(x=s * PIVOT * HEIGHT / WIDTH)),
    "to the left": ("pan_left", lambda s: Pose(x=-s * PIVOT * HEIGHT / WIDTH)),
    "up": ("tilt_up", lambda s: Pose(y=-s * PIVOT * HEIGHT / WIDTH)),
    "down": ("tilt_down", lambda s: Pose(y=s * PIVOT * HEIGHT / WIDTH)),
    "forwards": ("zoom_in", lambda s: Pose(z=PIVOT * (1.0 - np.exp(-s)))),
    "backwards": ("zoom_out", lambda s: Pose(z=PIVOT * (1.0 - np.exp(s)))),
    "around, to the right": ("orbits", lambda s: circling(s)),
    "around, to the left": ("orbits", lambda s: circling(-s)),
}
"""Name, label, and the pose after a way `s`: shares of the picture's height for things at `PIVOT`, or radians."""

TURNS: Final[dict[str, tuple[float, float, float]]] = {
    "static": (0.0, 0.0, 0.0),
    "pan_right": (-1.0, 0.0, 0.0),
    "pan_left": (1.0, 0.0, 0.0),
    "tilt_up": (0.0, 1.0, 0.0),
    "tilt_down": (0.0, -1.0, 0.0),
    "zoom_in": (0.0, 0.0, 1.0),
    "zoom_out": (0.0, 0.0, -1.0),
}
"""Label, and how a flat picture moves: right and down in shares of its height, and growth."""


def flat(picture: Frames, label: str, per_s: float, num_frames: int = NUM_FRAMES) -> Video:
    """A picture that moves as a whole; it is mirrored at its edges."""
    right, down, grow = TURNS[label]
    frames = []
    for t in range(num_frames):
        way, scale = per_s * t / FPS * HEIGHT, float(np.exp(grow * per_s * t / FPS))
        matrix = np.array(
            [
                [scale, 0.0, right * way + (1.0 - scale) * WIDTH / 2],
                [0.0, scale, down * way + (1.0 - scale) * HEIGHT / 2],
            ]
        )
        frames.append(
            cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        )
    return Video(np.stack(frames), FPS)


def cropped(clip: Video, label: str, share: float = 0.3) -> Video:
    """A window that moves over a clip from a still camera; what moves in it goes on moving.

    Args:
        clip: the clip.
        label: the camera move, a name of `TURNS`.
        share: how far the window goes, of the picture's width or height, or how much it shrinks or grows.
    """
    frames_THWC = clip.frames_THWC
    height, width = frames_THWC.shape[1:3]
    found = []
    for t, frame in enumerate(frames_THWC):
        way = t / (len(frames_THWC) - 1)
        right, down, grow = TURNS[label]
        side = 1.0 - share
        if grow:
            side = 1.0 - share * (way if grow > 0 else 1.0 - way)
        x0 = (1.0 - side) / 2 - right * share * (way - 0.5)
        y0 = (1.0 - side) / 2 - down * share * (way - 0.5)
        matrix = np.array([[side * width / WIDTH, 0.0, x0 * width], [0.0, side * height / HEIGHT, y0 * height]])
        found.append(cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP))
    return Video(np.stack(found), clip.fps)


def ground(horizon: float = 0.42) -> Map:
    """Inverse depths of a plain under a far sky: 1.5 away at the lower edge."""
    y = np.arange(HEIGHT, dtype=np.float32)[:, None] / HEIGHT
    return np.repeat(np.clip((y - horizon) / (1.0 - horizon), 0.0, 1.0) / 1.5, WIDTH, axis=1).astype(np.float32)


def mound(height: float = 0.25) -> Map:
    """Inverse depths of something that stands in the middle, at `PIVOT`, smooth at its edges."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    across, along = (x / WIDTH - 0.5) / 0.13, (y / HEIGHT - 0.5) / height
    return (np.exp(-(across**2 + along**2) / 2) / PIVOT).astype(np.float32)


def travelled(picture: Frames, inverse_HW: Map, poses: Sequence[Pose]) -> Video:
    """A picture with depth, seen from poses. What gets uncovered is stretched.

    Args:
        picture: seen from the first pose, `HEIGHT` x `WIDTH`.
        inverse_HW: 1 / distance of each pixel.
        poses: one a frame.
    """
    y, x = np.mgrid[0:HEIGHT:_COARSE, 0:WIDTH:_COARSE].astype(np.float32)
    frames = []
    for pose in poses:
        from_x, from_y = x.copy(), y.copy()
        for _ in range(25):
            to_x, to_y = _seen_at(from_x, from_y, inverse_HW, pose)
            from_x, from_y = from_x + 0.7 * (x - to_x), from_y + 0.7 * (y - to_y)
        maps = [cv2.resize(each - at, (WIDTH, HEIGHT)) for each, at in ((from_x, x), (from_y, y))]
        full_y, full_x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        frames.append(
            cv2.remap(picture, full_x + maps[0], full_y + maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        )
    return Video(np.stack(frames), FPS)


def layered(pictures: Sequence[Frames], poses: Sequence[Pose]) -> Video:
    """Round cut-outs of a second picture, 2 to 5 away, before a first one that is 12 away, seen from poses."""
    behind, before = pictures
    centres = ((0.2, 0.75, 2.0), (0.75, 0.8, 2.5), (0.5, 0.5, 3.0), (0.3, 0.3, 4.0), (0.85, 0.35, 5.0))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    frames = []
    for pose in poses:
        frame = _plane(behind, 12.0, pose)
        for across, along, distance in sorted(centres, key=lambda each: -each[2]):
            radius = 0.3 / distance * WIDTH
            mask = ((x - across * WIDTH) ** 2 + (y - along * HEIGHT) ** 2 < radius**2).astype(np.float32)[..., None]
            alpha = _plane(np.repeat(mask, 3, axis=2), distance, pose, cv2.BORDER_CONSTANT)
            frame = frame * (1 - alpha) + _plane(before, distance, pose) * alpha
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return Video(np.stack(frames), FPS)


def _plane(picture: npt.NDArray[np.generic], distance: float, pose: Pose, edge: int = cv2.BORDER_REFLECT) -> Map:
    corners = np.array([[0, 0], [WIDTH, 0], [0, HEIGHT], [WIDTH, HEIGHT]], np.float32)
    inverse = np.full((HEIGHT, WIDTH), 1.0 / distance, np.float32)
    to = np.column_stack(_seen_at(corners[:, 0], corners[:, 1], inverse, pose)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, to)
    return cv2.warpPerspective(np.asarray(picture, np.float32), matrix, (WIDTH, HEIGHT), borderMode=edge)  # type: ignore[return-value]


def _seen_at(x: Map, y: Map, inverse_HW: Map, pose: Pose) -> tuple[Map, Map]:
    """Where points at x, y of the first picture are seen from a pose; the picture is as wide as it is far away."""
    across, along = (x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / WIDTH
    near = cv2.remap(
        inverse_HW, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).reshape(x.shape)
    place = np.float32(pose.x), np.float32(pose.y), np.float32(pose.z)
    right, down, ahead = across - near * place[0], along - near * place[1], np.float32(1.0) - near * place[2]
    turn, lean = np.float32(np.cos(pose.yaw)), np.float32(np.sin(pose.yaw))
    depth = np.maximum(lean * right + turn * ahead, 0.05)
    return (turn * right - lean * ahead) / depth * WIDTH + WIDTH / 2, down / depth * WIDTH + HEIGHT / 2


def travel(move: str, per_s: float, num_frames: int = NUM_FRAMES) -> list[Pose]:
    """The poses of a camera that travels: one a frame."""
    return [TRAVELS[move][1](per_s * t / FPS) for t in range(num_frames)]


SCENES: Final[dict[str, Callable[[Frames, Frames, Sequence[Pose]], Video]]] = {
    "a plain under a far sky": lambda picture, _, poses: travelled(picture, ground(), poses),
    "something on a plain": lambda picture, _, poses: travelled(picture, np.maximum(ground(), mound()), poses),
    "layers, far and near": lambda picture, other, poses: layered((picture, other), poses),
}
"""What a camera travels through, made from two pictures."""


def before_a_wall(picture: Frames, poses: Sequence[Pose]) -> Video:
    """Something in the middle before a wall that is 10 away, and no ground before it."""
    return travelled(picture, np.maximum(np.full((HEIGHT, WIDTH), 0.1, np.float32), mound()), poses)
