"""How often Camera_Motion in `fixed` finds a known camera before which an actor moves; no weights.

        python benchmarks/camera_actors.py CLIPS                        160 clips, made of frames of a folder (*.mp4)
        python benchmarks/camera_actors.py CLIPS --tracker dense_flow --clips 40

Each clip has a camera, a scene (a flat picture, or one of two with depth), and an actor of 10, 20, 33 or 50 % of the
picture: square, round or standing at the lower edge, which goes along with the camera, against it, across it, anywhere,
or comes nearer. One row for each size; the words are those of known_cameras.py.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.known_cameras import judged, shrunk
from rushes.roles import Video
from rushes.store.video import read_video
from rushes_vbench.metrics.build import build_tracker
from rushes_vbench.metrics.camera_motion import labels_of
from rushes_vbench.metrics.view import ClipView
from tests.support.known_cameras import FPS, HEIGHT, SCENES, TRAVELS, TURNS, WIDTH, flat, travel
from tests.support.vbench_clips import texture

if TYPE_CHECKING:
    from rushes.roles import Frames

SHARES: Final = (0.1, 0.2, 0.33, 0.5)
SHAPES: Final = ("square", "round", "standing")
WAYS: Final = ("along", "against", "across", "anywhere", "nearer")
SPEEDS: Final = (0.15, 0.3, 0.5)
"""Heights of the picture a second."""
FLAT_PER_S: Final = (0.08, 0.2, 0.4)
SIDEWAYS: Final = {"pan_right": (-1.0, 0.0), "pan_left": (1.0, 0.0), "tilt_up": (0.0, 1.0), "tilt_down": (0.0, -1.0)}
_FRAME: Final = 8


def moves() -> list[tuple[str, str, float]]:
    """Kind of scene, what moves how, and how fast."""
    turns = [("flat", label, per_s) for label in TURNS if label != "static" for per_s in FLAT_PER_S]
    depth = [(scene, move, 0.2) for scene in list(SCENES)[1:] for move in TRAVELS]
    return [*turns, *[("flat", "static", 0.0)] * 4, *depth]


def clip_of(number: int, pictures: Sequence[Frames]) -> tuple[str, float, Video]:
    """A clip: the label of its camera, the share of the actor, and the pixels; the same for the same number."""
    rng = np.random.default_rng(1000 + number)
    known = moves()
    scene, move, per_s = known[int(rng.integers(len(known)))]
    picture, other = pictures[int(rng.integers(len(pictures)))], pictures[int(rng.integers(len(pictures)))]
    label = move if scene == "flat" else TRAVELS[move][0]
    made = flat(picture, move, per_s) if scene == "flat" else SCENES[scene](picture, other, travel(move, per_s))
    share, shape = SHARES[int(rng.integers(4))], SHAPES[int(rng.integers(3))]
    way, speed = WAYS[int(rng.integers(5))], float(rng.choice(SPEEDS))
    return (
        label,
        share,
        Video(_with_actor(made.frames_THWC, label, rng, pictures, (share, shape, way, speed)), made.fps),
    )


def _with_actor(
    frames_THWC: Frames,
    label: str,
    rng: np.random.Generator,
    pictures: Sequence[Frames],
    actor: tuple[float, str, str, float],
) -> Frames:
    share, shape, way, speed = actor
    num_frames, height, width = frames_THWC.shape[:3]
    upright = 1.0 if shape == "square" else 0.6 if shape == "standing" else rng.uniform(0.6, 1.6)
    tall = int(min(height * 0.98, (share * height * width / upright) ** 0.5))
    wide = int(min(width * 0.9, share * height * width / tall))
    mask = _mask(shape, tall, wide)
    if rng.random() < 0.7:
        cloth = cv2.resize(pictures[int(rng.integers(len(pictures)))], (wide, tall))
    else:
        cloth = texture(tall, wide, int(rng.integers(99)))
    side = (1.0, 0.0) if rng.random() < 0.5 else (-1.0, 0.0)
    toward = np.array(SIDEWAYS.get(label, side))
    turn = rng.uniform(0, 2 * np.pi) if way == "anywhere" else 0.0
    toward = {"against": -toward, "across": toward[::-1], "nearer": 0.0 * toward}.get(way, toward)
    toward = np.array([np.cos(turn), np.sin(turn)]) if way == "anywhere" else toward
    across = width * rng.uniform(0.4, 0.6)
    along = height - tall / 2 if shape == "standing" else height * rng.uniform(0.45, 0.55)
    found = frames_THWC.astype(np.float32)
    for t in range(num_frames):
        scale = float(np.exp(0.25 * (t / FPS - 1))) if way == "nearer" else 1.0
        x, y = (across, along) + toward * speed * height * (t - (num_frames - 1) / 2) / FPS
        matrix = np.array([[scale, 0, x - scale * wide / 2], [0, scale, y - scale * tall / 2]], np.float32)
        alpha = cv2.warpAffine(mask, matrix, (width, height))[..., None]
        there = cv2.warpAffine(cloth.astype(np.float32), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        found[t] = found[t] * (1 - alpha) + there * alpha
    return np.clip(found, 0, 255).astype(np.uint8)


def _mask(shape: str, tall: int, wide: int) -> np.typing.NDArray[np.float32]:
    mask = np.zeros((tall, wide), np.float32)
    if shape == "square":
        mask[:] = 1.0
    elif shape == "round":
        cv2.ellipse(mask, (wide // 2, tall // 2), (wide // 2 - 1, tall // 2 - 1), 0, 0, 360, (1.0,), -1)
    else:
        cv2.ellipse(mask, (wide // 2, tall // 5), (wide // 5, tall // 5), 0, 0, 360, (1.0,), -1)
        cv2.rectangle(mask, (wide // 8, tall // 3), (wide - wide // 8, tall), (1.0,), -1)
    blurred: np.typing.NDArray[np.float32] = cv2.GaussianBlur(mask, (0, 0), 1.0)
    return blurred


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with *.mp4")
    parser.add_argument("--clips", type=int, default=160)
    parser.add_argument("--tracker", default="lucas_kanade", choices=("lucas_kanade", "dense_flow"))
    asked = parser.parse_args(arguments)
    pictures = [shrunk(read_video(path).frames_THWC[_FRAME]) for path in sorted(asked.folder.glob("*.mp4"))]
    pictures += [texture(HEIGHT, WIDTH, seed) for seed in (1, 2)]
    table: dict[float, Counter[str]] = {share: Counter() for share in SHARES}
    for number in range(asked.clips):
        label, share, clip = clip_of(number, pictures)
        found = labels_of(ClipView(clip, build_tracker(asked.tracker, "", "cpu", "")), "fixed")
        table[share][judged(label, found)] += 1
    print("| actor | clips | right | of these exact | wrong | static | unscored |")
    print("|---" * 7 + "|")
    for share, counts in table.items():
        right = counts["exact"] + counts["right"]
        cells = (counts.total(), right, *(counts[word] for word in ("exact", "wrong", "static", "unscored")))
        print(f"| {share:.0%} | " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
