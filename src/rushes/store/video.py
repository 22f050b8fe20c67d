"""Reading whole video files and writing them with PyAV: mp4 for playback, lossless files for storage.

Legend: T frames, H height, W width. `av` is imported where it is used.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushes.roles import Video
from rushes.store.decoding import VideoError, decoded, opened, rate_of
from rushes.store.files import make_folder, write_atomic

if TYPE_CHECKING:
    from rushes.roles import Frames

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


def read_video(path: Path) -> Video:
    """Every frame of a video file, unchanged.

    Args:
        path: any file that FFmpeg can read.

    Returns:
        RGB frames and the mean frame rate of the file, frames per second.

    Raises:
        VideoError: missing, empty, not a video, or cut short by a damaged stream.
    """
    frames: list[Frames] = []
    with opened(path) as stream:
        for timed in decoded(path, stream):
            frame_HWC = timed.pixels()
            if frames and frame_HWC.shape != frames[0].shape:
                raise VideoError("unreadable", f"{path.name!r} changes its frame size in the middle")
            frames.append(frame_HWC)
        fps = rate_of(stream)
    return Video(np.stack(frames), fps)


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


def pixel_hash(video: Video) -> str:
    """Hash of a clip's pixels, shape and frame rate: 64 hex digits."""
    head = f"{video.frames_THWC.shape} {video.fps!r}".encode()
    return hashlib.sha256(head + video.frames_THWC.tobytes()).hexdigest()
