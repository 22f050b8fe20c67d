"""Synthetic clips with a known camera, and suite entries, for the tests of VBench-2.0 scoring."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes_vbench.suite import SuiteEntry

Picture = npt.NDArray[np.uint8]
HEIGHT, WIDTH, NUM_FRAMES, FPS = 180, 320, 33, 16.0


def entry(
    dimension: str, *reference: str, prompt: str = "a thing", fused: bool = False, all_of: bool = False
) -> SuiteEntry:
    """An entry of the suite."""
    return SuiteEntry(prompt=prompt, dimension=dimension, reference=reference, one_creature=fused, all_needed=all_of)


def texture(height: int, width: int, seed: int = 0) -> Picture:
    """Noise at several scales, so that trackers have something to hold on to."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cell, weight in ((4, 0.4), (12, 0.7), (40, 1.0)):
        coarse = rng.standard_normal((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 55 * total, 0, 255).astype(np.uint8)


def moved(
    *, right: float = 0.0, down: float = 0.0, grow: float = 0.0, roll: float = 0.0, shear: float = 0.0, seed: int = 0
) -> Video:
    """A flat picture that moves: pixels, relative growth, radians and pixels of shear, each per frame."""
    source = texture(3 * HEIGHT, 3 * WIDTH, seed)
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    frames = []
    for t in range(NUM_FRAMES):
        turn, scale = roll * t, (1.0 + grow) ** t
        matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        matrix = matrix @ np.array([[1.0, shear * t / (HEIGHT / 2)], [0.0, 1.0]])
        shift = middle + t * np.array([right, down]) - matrix @ np.array([1.5 * WIDTH, 1.5 * HEIGHT])
        frames.append(cv2.warpAffine(source, np.column_stack([matrix, shift]), (WIDTH, HEIGHT), flags=cv2.INTER_AREA))
    return Video(np.stack(frames), FPS)


def orbit(degrees_per_frame: float, seed: int = 3) -> Video:
    """A pinhole camera that circles around a textured tower on textured ground under a textured sky."""
    ground, wall, sky = (texture(600, 600, seed + i) for i in range(3))
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    across, along = (u - WIDTH / 2) / WIDTH * 1.2, (v - HEIGHT / 2) / WIDTH * 1.2
    frames = []
    for t in range(NUM_FRAMES):
        angle = np.radians(degrees_per_frame * t)
        eye = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.6])
        ahead = np.array([0, 0, 0.5]) - eye
        ahead /= np.linalg.norm(ahead)
        side = np.cross(ahead, [0, 0, 1.0])
        side /= np.linalg.norm(side)
        ray = ahead + across[..., None] * side + along[..., None] * np.cross(ahead, side)
        frames.append(_seen(eye, ray, ground, wall, sky))
    return Video(np.stack(frames), FPS)


def _seen(
    eye: npt.NDArray[np.float64], ray: npt.NDArray[np.float64], ground: Picture, wall: Picture, sky: Picture
) -> Picture:
    x, y, z = ray[..., 0], ray[..., 1], ray[..., 2]
    below = z < -1e-3
    reach = np.where(below, -eye[2] / np.where(below, z, -1.0), 0.0)
    picture = _look(ground, (eye[0] + reach * x) * 60, (eye[1] + reach * y) * 60)
    far = _look(sky, np.arctan2(y, x) * 300, np.arctan2(z, np.hypot(x, y)) * 300)
    picture = np.where(below[..., None] & (reach < 40)[..., None], picture, far)
    a, b = x * x + y * y, eye[0] * x + eye[1] * y
    inside = b * b - a * (eye[0] ** 2 + eye[1] ** 2 - 0.8**2)
    near = (-b - np.sqrt(np.maximum(inside, 0.0))) / a
    height = eye[2] + near * z
    hit = (inside > 0) & (near > 0) & (height > 0) & (height < 1.4) & (~below | (near < reach))
    around = np.arctan2(eye[1] + near * y, eye[0] + near * x)
    return np.where(hit[..., None], _look(wall, around * 120, height * 120), picture).astype(np.uint8)


def _look(picture: Picture, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    size = picture.shape[0]
    found: npt.NDArray[np.float64] = cv2.remap(
        picture,
        np.mod(x, size).astype(np.float32),
        np.mod(y, size).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    ).astype(np.float64)
    return found


def flat(num_frames: int = 9, value: int = 120) -> Video:
    """A clip without any texture."""
    return Video(np.full((num_frames, HEIGHT, WIDTH, 3), value, np.uint8), FPS)


class ScriptedJudge:
    """A judge that gives prepared probabilities to the questions in the order asked; remembers what it saw."""

    def __init__(self, *p_yes: float | None) -> None:
        self._left = list(p_yes)
        self.seen: list[JudgeRequest] = []

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        self.seen.extend(requests)
        return [tuple(self._next() for _ in request.questions) for request in requests]

    def _next(self) -> GivenAnswer:
        p = self._left.pop(0)
        return GivenAnswer(p) if p is not None else GivenAnswer(None, "it has no idea")
