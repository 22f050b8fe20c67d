"""Reading and writing video files with PyAV: frames by their time stamps, mp4 for playback, lossless files for storage.

Legend: T frames, H height, W width. `av` and `cv2` are imported where they are used.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushes.errors import InputError
from rushes.roles import Video
from rushes.store.files import make_folder, write_atomic

if TYPE_CHECKING:
    from rushes.roles import Frames

_LATE_S: Final = 0.002
"""Time stamps of some containers are rounded to a millisecond: a frame this much late still counts as on time."""
_BT709: Final = 1


@dataclass(frozen=True)
class Coding:
    """How to encode frames. All use one thread, so that the same frames give the same bytes on every machine."""

    codec: str
    """FFmpeg's name of the encoder."""
    pixels: str
    """FFmpeg's name of the pixel format; RGB formats keep every value."""
    options: Mapping[str, str]
    """Options of the encoder."""
    container: str = "mp4"
    """FFmpeg's name of the file format."""


LOSSLESS: Final = Coding("libx264rgb", "rgb24", {"qp": "0", "preset": "medium", "bf": "0", "threads": "1"})
"""Lossless mp4; FFmpeg reads it, browsers do not."""
FOR_PEOPLE: Final = Coding("libx264", "yuv420p", {"crf": "16", "preset": "medium", "bf": "0", "threads": "1"})
"""Plays everywhere; sides must be even."""
ARCHIVE: Final = Coding("ffv1", "bgr0", {"level": "3", "g": "1", "slices": "4", "threads": "1"}, "matroska")
"""Lossless, frame by frame: for clips that a run stores. Lossless H.264 was half as large for one clip and twice as
large for another."""
FINE: Final = Coding("libx264", "yuv444p", {"crf": "10", "preset": "veryfast", "bf": "0", "threads": "1"})
"""Nearly lossless in a small file, colours at full resolution: for clips that a run stores if disk space is short."""


class VideoError(InputError):
    """A video file cannot be used; `reason` is a tag, `problem` a sentence."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem, next_step="play the file to see what is wrong with it; replace or remove it")
        self.reason = reason
        """missing, empty, unreadable, no_video or too_short."""


@dataclass(frozen=True)
class VideoCut:
    """A segment of a video in the requested shape, and the changes made for it."""

    video: Video
    """Frames of exactly the requested shape."""
    is_whole: bool
    """False if the end of the file, or a part of the picture, was cut off."""
    changes: tuple[str, ...]
    """The changes, in words: segment, frame rate, crop, size. Empty if the file already had the shape."""


@dataclass(frozen=True, eq=False)
class _TimedFrame:
    """A decoded frame and its time."""

    time_s: float
    """Seconds since the first frame."""
    frame_HWC: Frames
    """Pixels: H, W, 3, uint8, RGB."""


def read_video(path: Path, *, max_frames: int | None = None) -> Video:
    """Every frame of a video file, unchanged.

    Args:
        path: any file that FFmpeg can read.
        max_frames: stop after this many frames; None reads all of them.

    Returns:
        RGB frames and the mean frame rate of the file, frames per second.

    Raises:
        VideoError: missing, empty, not a video, or cut short by a damaged stream.
    """
    frames: list[Frames] = []
    with _opened(path) as stream:
        for timed in _decoded(path, stream):
            if frames and timed.frame_HWC.shape != frames[0].shape:
                raise VideoError("unreadable", f"{path.name!r} changes its frame size in the middle")
            frames.append(timed.frame_HWC)
            if max_frames is not None and len(frames) >= max_frames:
                break
        fps = _rate(stream)
    return Video(np.stack(frames), fps)


def cut_video(path: Path, *, height_px: int, width_px: int, num_frames: int, fps: float) -> VideoCut:
    """The start of a video file in a model's shape.

    Frames are chosen by their time stamps: output frame i is what the file shows at i / `fps` seconds. The picture is
    centre-cropped to the requested aspect ratio, then resized: area average down, cubic up. A file that already has the
    requested shape keeps its exact pixels.

    Args:
        path: any file that FFmpeg can read.
        height_px: height, pixels.
        width_px: width, pixels.
        num_frames: how many frames.
        fps: frames per second.

    Raises:
        VideoError: missing, empty, not a video, damaged before the end of the segment, or shorter than it.
    """
    times_s = [i / fps for i in range(num_frames)]
    shown: list[Frames] = []
    with _opened(path) as stream:
        fps_in, end_s, size = _rate(stream), 0.0, (0, 0)
        previous: Frames | None = None
        # One frame is held back: the picture at a time is the last frame that started before it.
        for timed in _decoded(path, stream):
            while previous is not None and len(shown) < num_frames and times_s[len(shown)] < timed.time_s - _LATE_S:
                shown.append(fit_frame(previous, height_px, width_px))
            if len(shown) == num_frames:
                break
            previous, end_s = timed.frame_HWC, timed.time_s + 1.0 / fps_in
            size = previous.shape[:2]
        while previous is not None and len(shown) < num_frames and times_s[len(shown)] < end_s - _LATE_S:
            shown.append(fit_frame(previous, height_px, width_px))
        duration_s = max(_duration(stream), end_s)
    if len(shown) < num_frames:
        raise VideoError("too_short", f"{path.name!r} lasts {end_s:.2f} s; {num_frames / fps:.2f} s are needed")
    changes, is_whole = _changes(duration_s, fps_in, size, height_px, width_px, num_frames, fps)
    return VideoCut(Video(np.stack(shown), fps), is_whole, changes)


def _changes(
    duration_s: float, fps_in: float, size: tuple[int, ...], height_px: int, width_px: int, num_frames: int, fps: float
) -> tuple[tuple[str, ...], bool]:
    changes: list[str] = []
    wanted_s, (height_in, width_in) = num_frames / fps, size
    is_cut = duration_s > wanted_s + 1.0 / max(fps, fps_in) - _LATE_S
    if is_cut:
        changes.append(f"the first {wanted_s:.2f} s of {duration_s:.2f} s")
    if abs(fps_in - fps) > 1e-3 * fps:
        changes.append(f"{fps_in:.4g} to {fps:.4g} frames per second")
    cropped = _crop(height_in, width_in, height_px, width_px)
    if cropped != (height_in, width_in):
        changes.append(f"cropped from {width_in}x{height_in} to {cropped[1]}x{cropped[0]} px around the middle")
    if cropped != (height_px, width_px):
        changes.append(f"resized from {cropped[1]}x{cropped[0]} to {width_px}x{height_px} px")
    return tuple(changes), not is_cut and cropped == (height_in, width_in)


def _crop(height_in: int, width_in: int, height_px: int, width_px: int) -> tuple[int, int]:
    """Height and width of the largest part of a picture that has the requested aspect ratio."""
    scale = min(height_in / height_px, width_in / width_px)
    return max(1, min(height_in, round(height_px * scale))), max(1, min(width_in, round(width_px * scale)))


def fit_frame(frame_HWC: Frames, height_px: int, width_px: int) -> Frames:
    """One frame centre-cropped to the requested aspect ratio, then resized without aliasing.

    Args:
        frame_HWC: pixels, uint8, RGB.
        height_px: height, pixels.
        width_px: width, pixels.

    Returns:
        Pixels of shape `height_px`, `width_px`, 3; unchanged values if the size was already right.
    """
    height_in, width_in = frame_HWC.shape[:2]
    height, width = _crop(height_in, width_in, height_px, width_px)
    top, left = (height_in - height) // 2, (width_in - width) // 2
    part = frame_HWC[top : top + height, left : left + width]
    if (height, width) == (height_px, width_px):
        return np.ascontiguousarray(part)
    import cv2

    method = cv2.INTER_AREA if height >= height_px and width >= width_px else cv2.INTER_CUBIC
    resized: Frames = cv2.resize(np.ascontiguousarray(part), (width_px, height_px), interpolation=method)
    return resized


def write_video(path: Path, frames_THWC: Frames, fps: float, *, lossless: bool = False, scale: int = 1) -> None:
    """Write an mp4 atomically.

    Args:
        path: the file; its folder is created, an old file is replaced.
        frames_THWC: pixels, T, H, W, 3, uint8, RGB; at least one frame.
        fps: frames per second, above 0.
        lossless: True keeps every pixel (H.264 in RGB, which FFmpeg reads and browsers do not); False is H.264 in
            yuv420p, which plays everywhere and is padded to even sides.
        scale: every pixel becomes a block of this many by this many; for tiny clips.

    Raises:
        StoreError: disk full, read-only.
        ValueError: a different shape or number format, or an impossible rate or scale.
    """
    if frames_THWC.dtype != np.uint8 or frames_THWC.ndim != 4 or frames_THWC.shape[-1] != 3 or not frames_THWC.size:
        raise ValueError(f"expected uint8 frames of shape T, H, W, 3, got {frames_THWC.dtype} {frames_THWC.shape}")
    if not (math.isfinite(fps) and fps > 0 and scale >= 1):
        raise ValueError(f"expected fps > 0 and scale >= 1, got fps={fps!r}, scale={scale!r}")
    large = frames_THWC.repeat(scale, axis=1).repeat(scale, axis=2)
    if not lossless:
        large = np.pad(large, ((0, 0), (0, large.shape[1] % 2), (0, large.shape[2] % 2), (0, 0)), mode="edge")
    data = encode_video(large, fps, LOSSLESS if lossless else FOR_PEOPLE)
    make_folder(path.parent)
    write_atomic(path, data)


def encode_video(frames_THWC: Frames, fps: float, coding: Coding) -> bytes:
    """A video file as bytes: the same for the same frames.

    Args:
        frames_THWC: pixels, T, H, W, 3, uint8, RGB; at least one frame, of even sides for a coding in yuv420p.
        fps: frames per second, above 0.
        coding: codec, pixel format and options.
    """
    import av

    file = io.BytesIO()
    rate = Fraction(fps).limit_denominator(10_000)
    is_yuv = coding.pixels.startswith("yuv")
    # Otherwise Matroska would write a random id into every file, and mp4 its index behind the frames: a player would
    # have to fetch the whole file before it shows the first one.
    options = {"fflags": "+bitexact", **({"movflags": "+faststart"} if coding.container == "mp4" else {})}

    def so_far(*_: object) -> io.BytesIO:
        """What FFmpeg opens to read back what it wrote, when it moves the frames to make room for the index."""
        return io.BytesIO(file.getvalue())

    with av.open(file, mode="w", format=coding.container, options=options, io_open=so_far) as container:
        stream: Any = container.add_stream(coding.codec, rate=rate)
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = coding.pixels
        stream.options = dict(coding.options)
        if is_yuv:
            # Without tags, players guess the colour space from the picture size, and differ.
            stream.codec_context.colorspace = _BT709
            stream.codec_context.color_primaries = _BT709
            stream.codec_context.color_trc = _BT709
        for i, pixels in enumerate(frames_THWC):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if is_yuv:
                frame = frame.reformat(format=coding.pixels, dst_colorspace=_BT709)
            elif coding.pixels != "rgb24":
                frame = frame.reformat(format=coding.pixels)
            frame.pts, frame.time_base = i, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


# ---------------------------------------------------------------------------------------------- decoding


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The first video stream of a file; FFmpeg's errors become a `VideoError`."""
    import av

    try:
        if path.stat().st_size == 0:
            raise VideoError("empty", f"{path.name!r} is empty: 0 bytes")
    except (OSError, ValueError) as error:
        raise VideoError("missing", f"{path.name!r} cannot be opened: {_message_of(error)}") from error
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoError("no_video", f"{path.name!r} holds no video stream")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # clips are small, and other work uses the other cores
            yield stream
    except av.error.FFmpegError as error:
        raise VideoError("unreadable", f"{path.name!r} is damaged or not a video: {_message_of(error)}") from error


def _decoded(path: Path, stream: Any) -> Iterator[_TimedFrame]:
    """The frames in display order. Raises `VideoError` if there is none."""
    start_s: float | None = None
    for i, frame in enumerate(stream.container.decode(stream)):
        # Raw streams have no time stamps: their frames follow the stream's rate.
        if frame.is_corrupt:
            raise VideoError("unreadable", f"{path.name!r} is damaged at frame {i}")
        time_s = float(frame.time) if frame.time is not None else i / _rate(stream)
        start_s = time_s if start_s is None else start_s
        pixels = frame.to_ndarray(format="rgb24")
        yield _TimedFrame(time_s - start_s, _upright(pixels, int(frame.rotation)))
    if start_s is None:
        raise VideoError("unreadable", f"{path.name!r} holds no frame that can be decoded")


def _upright(pixels: Frames, rotation: int) -> Frames:
    """Phones store a rotated picture and the angle, in degrees counter-clockwise, by which players rotate it back."""
    return np.rot90(pixels, k=rotation // 90 % 4) if rotation % 90 == 0 else pixels


def _rate(stream: Any) -> float:
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate else 25.0


def _duration(stream: Any) -> float:
    """The duration stated by the file, seconds; 0 if it states none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(stream.container.duration or 0) / 1e6


def _message_of(error: BaseException) -> str:
    texts: Sequence[str | None] = (getattr(error, "strerror", None), str(error), type(error).__name__)
    return next(text for text in texts if text)


def pixel_hash(video: Video) -> str:
    """Hash of a clip's pixels, shape and frame rate: 64 hex digits."""
    head = f"{video.frames_THWC.shape} {video.fps!r}".encode()
    return hashlib.sha256(head + video.frames_THWC.tobytes()).hexdigest()
