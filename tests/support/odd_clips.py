"""Odd clips, and what a measure of the camera may say of each. A wrong label is worse than none.

Legend: T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from rushes.roles import Video
from tests.support.known_cameras import FPS, HEIGHT, NUM_FRAMES, WIDTH, Frames, flat

UNSCORED: Final = "unscored"
"""Stands for any reason."""
Said = frozenset[str]
PAN, LEFT, TILT, IN, OUT = (frozenset({label}) for label in ("pan_right", "pan_left", "tilt_up", "zoom_in", "zoom_out"))
STILL, NONE, NOTHING = frozenset({"static"}), frozenset({UNSCORED}), frozenset[str]()
"""Labels that a clip may get; `NOTHING` is a move without a name."""


def odd_clips(picture: Frames, other: Frames) -> dict[str, tuple[Callable[[], Video], tuple[Said, ...]]]:
    """Name, the clip, and the sets of labels that are right; `NONE` where it may be unscored.

    Args:
        picture: `HEIGHT` x `WIDTH`, with texture all over.
        other: another one.
    """
    still, pan = flat(picture, "static", 0.0).frames_THWC, flat(picture, "pan_right", 0.3).frames_THWC
    left = flat(other, "pan_left", 0.3).frames_THWC
    tilt, zoom = flat(picture, "tilt_up", 0.3).frames_THWC, flat(picture, "zoom_in", 0.3).frames_THWC
    rest = flat(other, "static", 0.0).frames_THWC
    half = NUM_FRAMES // 2
    return {
        "two equal frames": (lambda: made(still[:2]), (STILL,)),
        "all frames equal": (lambda: made(still), (STILL,)),
        "black": (lambda: made(still * 0), (NONE,)),
        "grain on grey": (lambda: made(grainy(still * 0 + 120, 8.0)), (NONE,)),
        "still, film grain": (lambda: made(grainy(still, 8.0)), (STILL,)),
        "still, heavy grain": (lambda: made(grainy(still, 30.0)), (STILL, NONE)),
        "pan, film grain": (lambda: made(grainy(pan, 15.0)), (PAN,)),
        "pan, frames doubled": (lambda: made(pan[np.arange(NUM_FRAMES) // 2]), (PAN,)),
        "cut: pan, then the other way": (lambda: made(np.r_[pan[:half], left[:half]]), (PAN, LEFT, NONE)),
        "cut: still, still": (lambda: made(np.r_[still[:half], rest[:half]]), (STILL, NONE)),
        "a cut every six frames": (lambda: made(cut_up(pan, left, 6)), (NONE,)),
        "strobe of two pictures": (lambda: made(cut_up(still, rest, 1)), (NONE,)),
        "strobe to black, still": (lambda: made(cut_up(still, still * 0, 1)), (STILL, NONE)),
        "strobe to black, pan": (lambda: made(cut_up(pan, pan * 0, 1)), (PAN, NONE)),
        "flicker, still": (lambda: made(lit(still, 0.7 + 0.3 * np.cos(np.arange(NUM_FRAMES) * 2.1))), (STILL,)),
        "flicker, pan": (lambda: made(lit(pan, 0.7 + 0.3 * np.cos(np.arange(NUM_FRAMES) * 2.1))), (PAN,)),
        "fade to black, still": (lambda: made(lit(still, np.linspace(1, 0, NUM_FRAMES))), (STILL, NONE)),
        "fade to black, pan": (lambda: made(lit(pan, np.linspace(1, 0, NUM_FRAMES))), (PAN, NONE)),
        "dissolve, still": (lambda: made(dissolved(still, rest)), (STILL, NONE)),
        "letterbox, still": (lambda: made(boxed(still, 40, 0)), (STILL,)),
        "letterbox, pan": (lambda: made(boxed(pan, 40, 0)), (PAN,)),
        "letterbox, tilt": (lambda: made(boxed(tilt, 40, 0)), (TILT,)),
        "pillars, zoom": (lambda: made(boxed(zoom, 0, 90)), (IN,)),
        "pan, logo, subtitles": (lambda: made(pasted(pan, rest, (200, 232, 80, 336), (8, 40, 8, 72))), (PAN,)),
        "still, a ticker below": (lambda: made(pasted(still, left, (200, 240, 0, 416))), (STILL, NONE)),
        "still, a river in the lower half": (lambda: made(pasted(still, left, (125, 240, 0, 416))), (STILL, NONE)),
        "still, clouds above": (lambda: made(pasted(still, left, (0, 110, 0, 416))), (STILL,)),
        "still, a thing fills the picture": (lambda: made(pasted(still, left, (25, 215, 40, 376))), (STILL, NONE)),
        "still, a thing comes nearer": (lambda: made(pasted(rest, zoom, (40, 240, 60, 356))), (STILL, NONE)),
        "still, the picture crumbles": (lambda: made(crumbled(picture)), (STILL, NONE)),
        "flight under a still sky": (lambda: made(pasted(zoom, rest, (0, 110, 0, 416))), (IN, NONE)),
        "pan, a follower stands in the middle": (lambda: made(pasted(pan, rest, (60, 240, 130, 286))), (PAN, NONE)),
        "drive, a bonnet below": (lambda: made(pasted(zoom, rest, (185, 240, 0, 416))), (IN, NONE)),
        "pan there and back": (lambda: made(np.r_[pan[:half], pan[:half][::-1]]), (NOTHING, NONE)),
        "still, then a quick pan": (lambda: made(late(picture)), (PAN, NONE)),
        "shaking a little": (lambda: made(shaken(picture, 0.6)), (STILL, NONE)),
        "shaking wildly": (lambda: made(shaken(picture, 15.0)), (NOTHING, NONE)),
        "roll": (lambda: made(rolled(picture, 0.01)), (NOTHING, NONE)),
        "whip pan": (lambda: flat(picture, "pan_right", 3.0), (PAN, NONE)),
        "extreme zoom in": (lambda: flat(picture, "zoom_in", 3.0), (IN, NONE)),
        "extreme zoom out": (lambda: flat(picture, "zoom_out", 3.0), (OUT, NONE)),
        "two frames a second": (lambda: Video(flat(picture, "pan_right", 0.3).frames_THWC[::8], FPS / 8), (PAN, NONE)),
        "120 frames a second": (lambda: Video(flat(picture, "pan_right", 0.05, 120).frames_THWC, 120.0), (PAN,)),
        "upright pan": (lambda: made(pan[:, :, 100:235]), (PAN,)),
        "upright stripes slide up": (lambda: made(striped()), (NONE,)),
    }  # fmt: skip


def made(frames_THWC: Frames) -> Video:
    """A clip of the frames."""
    return Video(np.ascontiguousarray(frames_THWC), FPS)


def grainy(frames_THWC: Frames, deviation: float) -> Frames:
    """Fresh noise in every frame."""
    noise = np.random.default_rng(0).normal(0.0, deviation, frames_THWC.shape)
    found: Frames = np.clip(frames_THWC + noise, 0, 255).astype(np.uint8)
    return found


def cut_up(a_THWC: Frames, b_THWC: Frames, length: int) -> Frames:
    """`length` frames of one and of the other, in turn."""
    first_T = np.arange(NUM_FRAMES) // length % 2 == 0
    return np.where(first_T[:, None, None, None], a_THWC, b_THWC)


def lit(frames_THWC: Frames, light_T: np.typing.NDArray[np.float64]) -> Frames:
    """Brightness by frame, 1 for unchanged."""
    found: Frames = (frames_THWC * light_T[:, None, None, None]).astype(np.uint8)
    return found


def dissolved(a_THWC: Frames, b_THWC: Frames) -> Frames:
    """One goes over into the other."""
    way_T = np.linspace(0, 1, NUM_FRAMES)
    return lit(a_THWC, 1 - way_T) + lit(b_THWC, way_T)


def boxed(frames_THWC: Frames, rows: int, columns: int) -> Frames:
    """Black bars."""
    found = frames_THWC.copy()
    for part in (found[:, :rows], found[:, HEIGHT - rows :], found[:, :, :columns], found[:, :, WIDTH - columns :]):
        part[:] = 0
    return found


def pasted(frames_THWC: Frames, onto_THWC: Frames, *places: tuple[int, int, int, int]) -> Frames:
    """Parts of another clip over one: top, bottom, left and right edge of each."""
    found = frames_THWC.copy()
    for top, bottom, left, right in places:
        found[:, top:bottom, left:right] = onto_THWC[:, top:bottom, left:right]
    return found


def _warped(picture: Frames, right: float, down: float, turn: float = 0.0) -> Frames:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), np.degrees(turn), 1.0)
    matrix[:, 2] += (right, down)
    found: Frames = cv2.warpAffine(
        picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    ).astype(np.uint8)
    return found


def shaken(picture: Frames, deviation_px: float) -> Frames:
    """A camera that trembles about its place."""
    rng = np.random.default_rng(1)
    return np.stack([_warped(picture, *rng.normal(0.0, deviation_px, 2)) for _ in range(NUM_FRAMES)])


def rolled(picture: Frames, radians_a_frame: float) -> Frames:
    """A camera that turns about the axis of its lens."""
    return np.stack([_warped(picture, 0.0, 0.0, radians_a_frame * t) for t in range(NUM_FRAMES)])


def late(picture: Frames) -> Frames:
    """Still for four fifths, then 60 % of the height in the rest."""
    start = NUM_FRAMES * 4 // 5
    way = 0.6 * HEIGHT / (NUM_FRAMES - 1 - start)
    return np.stack([_warped(picture, -way * max(0, t - start), 0.0) for t in range(NUM_FRAMES)])


def crumbled(picture: Frames) -> Frames:
    """Half of the tiles of a picture wander off, each its own way."""
    rng, side, found = np.random.default_rng(2), 24, []
    ways = rng.normal(0.0, 1.5, (HEIGHT // side + 1, WIDTH // side + 1, 2))
    moves = rng.random(ways.shape[:2]) < 0.5
    for t in range(NUM_FRAMES):
        frame = picture.copy()
        for row, column in np.argwhere(moves):
            y, x = (np.array([row, column]) * side + ways[row, column] * t).round().astype(int)
            tile = picture[row * side : (row + 1) * side, column * side : (column + 1) * side]
            if 0 <= y <= HEIGHT - tile.shape[0] and 0 <= x <= WIDTH - tile.shape[1]:
                frame[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        found.append(frame)
    return np.stack(found)


def striped() -> Frames:
    """Nothing but upright stripes."""
    row = (np.arange(WIDTH) // 8 % 2 * 200).astype(np.uint8)
    return np.broadcast_to(row[None, None, :, None], (NUM_FRAMES, HEIGHT, WIDTH, 3)).copy()
