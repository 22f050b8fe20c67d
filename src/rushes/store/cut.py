"""Stretches of a video file in a model's shape: frames by their time stamps, the middle of the picture.

Legend: T frames, H height, W width. `cv2` is imported where it is used.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.recipe.base import ShapeSpec
from rushes.roles import Video
from rushes.store.decoding import TimedFrame, VideoError, decoded, duration_of, opened, pixel_aspect_of, rate_of

if TYPE_CHECKING:
    from rushes.roles import Frames

_LATE_S: Final = 0.002
"""Time stamps of some containers are rounded to a millisecond: a frame this much late still counts as on time."""


@dataclass(frozen=True)
class VideoCut:
    """A segment of a video in the requested shape, and the changes made for it."""

    video: Video
    """Frames of exactly the requested shape."""
    is_whole: bool
    """False if a part of the file, or a part of the picture, was cut off."""
    changes: tuple[str, ...]
    """The changes, in words: segment, frame rate, crop, size. Empty if the file already had the shape."""
    lost_s: float
    """Seconds of the file that this segment does not show."""
    crop_lost: float
    """Share of the picture that was cropped away, 0 to 1."""


def cut_video(path: Path, shape: ShapeSpec, window: int = 0, *, seek: bool = False) -> VideoCut:
    """One stretch of a video file in a model's shape: its start, or a later one.

    Frames are chosen by their time stamps: output frame i is what the file shows at i / `shape.fps` seconds. The
    picture is centre-cropped to the requested aspect ratio, as it is seen where its pixels are not square, then
    resized: area average down, cubic up. A file that already has the requested shape keeps its exact pixels.

    Args:
        path: any file that FFmpeg can read.
        shape: size, number of frames, frames per second.
        window: number of the stretch from 0; each begins where the one before it ends.
        seek: do not decode what comes before it; see `rushes.store.decoding.decoded` for what to beware of.

    Raises:
        VideoError: missing, empty, not a video, HDR, damaged before the end of the stretch, or too short for it.
    """
    with contextlib.closing(cuts(path, shape, window, seek=seek)) as found:
        return next(found)


def cut_to_fit(path: Path, shapes: Sequence[ShapeSpec]) -> tuple[VideoCut, ShapeSpec]:
    """The start of a video file in the shape that fits it best.

    That is the nearest in aspect ratio; of those one for which the picture is not enlarged; of those the longest that
    the video fills; then the largest.

    Args:
        path: as for `cut_video`.
        shapes: at least one.

    Raises:
        VideoError: as for `cut_video`; too short for every shape.
    """
    if len(shapes) == 1:
        return cut_video(path, shapes[0]), shapes[0]
    height, width, aspect = _size_of(path)

    def badness(shape: ShapeSpec) -> tuple[float, bool, int, int]:
        ratio = abs(math.log(width * aspect / height * shape.height_px / shape.width_px))
        cropped = _crop((height, width), shape.height_px, shape.width_px, aspect)
        return round(ratio, 6), cropped[0] < shape.height_px, -shape.num_frames, -shape.height_px * shape.width_px

    for shape in sorted(shapes, key=badness):
        try:
            return cut_video(path, shape), shape
        except VideoError as error:
            if error.reason != "too_short":
                raise
            too_short = error
    raise too_short


def _size_of(path: Path) -> tuple[int, int, float]:
    """Height and width of a file's first picture, pixels, and the width of a pixel through its height."""
    with opened(path) as stream:
        first = next(decoded(path, stream, 0.0))
        return *first.size, pixel_aspect_of(stream, first)


def cuts(path: Path, shape: ShapeSpec, first: int = 0, *, seek: bool = False) -> Generator[VideoCut]:
    """Every stretch of a video file from number `first` on, in one pass; what is left at its end is too short for one.

    Args:
        path: as for `cut_video`.
        shape: as for `cut_video`.
        first: number of the first stretch to return, from 0.
        seek: as for `cut_video`.

    Raises:
        VideoError: as for `cut_video`; where the file is damaged, after the stretches before the damage.
    """
    frames: list[Frames] = []
    window = first
    with opened(path) as stream:
        fps_in = rate_of(stream)
        # A second early: pictures at the border of two groups may need both.
        seek_s = max(0.0, first * shape.num_frames / shape.fps - 1.0) if seek else 0.0
        for timed in _shown(path, decoded(path, stream, seek_s), 1.0 / fps_in, shape, first):
            aspect = pixel_aspect_of(stream, timed)
            frames.append(fit_frame(timed.pixels(), shape.height_px, shape.width_px, aspect))
            if len(frames) == shape.num_frames:
                duration_s = max(duration_of(stream), timed.time_s + 1.0 / fps_in)
                yield _cut(np.stack(frames), window, _Source(duration_s, fps_in, timed.size, aspect), shape)
                frames.clear()
                window += 1


def _shown(
    path: Path, frames: Iterator[TimedFrame], step_s: float, shape: ShapeSpec, first: int
) -> Iterator[TimedFrame]:
    """What the file shows at each instant of the model's clock, from stretch number `first` on."""
    number, enough = first * shape.num_frames, (first + 1) * shape.num_frames
    end_s, previous = 0.0, None
    # One frame is held back: the picture at a time is the last frame that started before it.
    for timed in frames:
        while previous is not None and number / shape.fps < timed.time_s - _LATE_S:
            yield previous
            number += 1
        previous, end_s = timed, timed.time_s + step_s
    while previous is not None and number / shape.fps < end_s - _LATE_S:
        yield previous
        number += 1
    if number < enough:
        needed_s = enough / shape.fps
        raise VideoError("too_short", f"{path.name!r} lasts {end_s:.2f} s; {needed_s:.2f} s are needed")


@dataclass(frozen=True)
class _Source:
    """What a stretch was cut from."""

    duration_s: float
    fps: float
    size: tuple[int, int]
    """Height and width, pixels."""
    aspect: float
    """Width of a pixel through its height."""


def _cut(frames_THWC: Frames, window: int, source: _Source, shape: ShapeSpec) -> VideoCut:
    changes: list[str] = []
    wanted_s, (height_in, width_in) = shape.num_frames / shape.fps, source.size
    is_cut = window > 0 or source.duration_s > wanted_s + 1.0 / max(shape.fps, source.fps) - _LATE_S
    if window > 0:
        start_s = window * wanted_s
        changes.append(f"{start_s:.2f} s to {start_s + wanted_s:.2f} s of {source.duration_s:.2f} s")
    elif is_cut:
        changes.append(f"the first {wanted_s:.2f} s of {source.duration_s:.2f} s")
    if abs(source.fps - shape.fps) > 1e-3 * shape.fps:
        changes.append(f"{source.fps:.4g} to {shape.fps:.4g} frames per second")
    cropped = _crop(source.size, shape.height_px, shape.width_px, source.aspect)
    if cropped != source.size:
        changes.append(f"cropped from {width_in}x{height_in} to {cropped[1]}x{cropped[0]} px around the middle")
    if source.aspect != 1.0:
        changes.append(f"pixels {source.aspect:.4g} times as wide as high made square")
    if cropped != (shape.height_px, shape.width_px):
        changes.append(f"resized from {cropped[1]}x{cropped[0]} to {shape.width_px}x{shape.height_px} px")
    return VideoCut(
        Video(frames_THWC, shape.fps),
        is_whole=not is_cut and cropped == source.size,
        changes=tuple(changes),
        lost_s=max(0.0, source.duration_s - wanted_s) if is_cut else 0.0,
        crop_lost=1.0 - cropped[0] * cropped[1] / (height_in * width_in),
    )


def _crop(size: tuple[int, ...], height_px: int, width_px: int, aspect: float) -> tuple[int, int]:
    """Height and width of the largest part of a picture that is seen in the requested aspect ratio."""
    height_in, width_in = size
    scale = min(height_in / height_px, width_in * aspect / width_px)
    height, width = round(height_px * scale), round(width_px * scale / aspect)
    return max(1, min(height_in, height)), max(1, min(width_in, width))


def fit_frame(frame_HWC: Frames, height_px: int, width_px: int, aspect: float = 1.0) -> Frames:
    """One frame centre-cropped to the requested aspect ratio, then resized without aliasing.

    Args:
        frame_HWC: pixels, uint8, RGB.
        height_px: height, pixels.
        width_px: width, pixels.
        aspect: width of a pixel of the frame through its height.

    Returns:
        Pixels of shape `height_px`, `width_px`, 3; unchanged values if the size was already right.
    """
    height_in, width_in = frame_HWC.shape[:2]
    height, width = _crop((height_in, width_in), height_px, width_px, aspect)
    top, left = (height_in - height) // 2, (width_in - width) // 2
    part = frame_HWC[top : top + height, left : left + width]
    if (height, width) == (height_px, width_px):
        return np.ascontiguousarray(part)
    import cv2

    method = cv2.INTER_AREA if height >= height_px and width >= width_px else cv2.INTER_CUBIC
    resized: Frames = cv2.resize(np.ascontiguousarray(part), (width_px, height_px), interpolation=method)
    return resized
