"""Reading video files with PyAV: the frames of the first video stream, in display order, with their times.

Legend: H height, W width. `av` is imported where it is used.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushes.errors import InputError

if TYPE_CHECKING:
    from rushes.roles import Frames

_HDR_TRANSFERS: Final = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR by their number in ITU-T H.273."""
_BT2020: Final = 9
"""Number of the wide colour primaries in the same list; without a transfer function they are HDR that lost its tag."""
_DOLBY_VISION: Final = frozenset(("dvh1", "dvhe", "dva1", "dvav", "dav1"))
"""Codec tags of streams that only a Dolby Vision decoder shows in their right colours."""
_TO_SDR: Final = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)
"""FFmpeg's filters that map HDR to ordinary colours."""


class VideoError(InputError):
    """A video file cannot be used; `reason` is a tag, `problem` a sentence."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem, next_step="play the file to see what is wrong with it; replace or remove it")
        self.reason = reason
        """missing, empty, unreadable, no_video, hdr, changed or too_short."""


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A decoded frame and its time. Pixels are converted on demand, since many frames are only passed over."""

    time_s: float
    """Seconds since the first frame."""
    decoded: Any
    """PyAV's frame."""

    @property
    def is_turned(self) -> bool:
        """True if the upright picture is the stored one turned by a quarter."""
        return int(self.decoded.rotation) % 180 == 90

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upright picture, pixels."""
        height, width = int(self.decoded.height), int(self.decoded.width)
        return (width, height) if self.is_turned else (height, width)

    def pixels(self) -> Frames:
        """The upright picture: H, W, 3, uint8, RGB.

        Phones store a rotated picture and the angle, in degrees counter-clockwise, by which players rotate it back.
        """
        pixels, rotation = self.decoded.to_ndarray(format="rgb24"), int(self.decoded.rotation)
        return np.rot90(pixels, k=rotation // 90 % 4) if rotation % 90 == 0 else pixels


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
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
            if stream.codec_context is None:
                raise VideoError("unreadable", f"{path.name!r} holds no video that can be decoded here")
            stream.codec_context.thread_count = 1  # clips are small, and other work uses the other cores
            yield stream
    except av.error.FFmpegError as error:
        raise VideoError("unreadable", f"{path.name!r} is damaged or not a video: {_message_of(error)}") from error


def decoded(path: Path, stream: Any, seek_s: float = 0.0) -> Iterator[TimedFrame]:
    """The frames in display order.

    Args:
        path: the file, for messages.
        stream: of `opened`.
        seek_s: after the first frame, go on at the last key frame before this time, seconds. In a few files that is
            another one, or frames after it look different: compare the result with what was read without.

    Raises:
        VideoError: there is none, one is damaged, or their colours would be wrong without tone mapping.
    """
    start_s: float | None = None
    for i, frame in enumerate(stream.container.decode(stream)):
        # Raw streams have no time stamps: their frames follow the stream's rate.
        if frame.is_corrupt:
            raise VideoError("unreadable", f"{path.name!r} is damaged at frame {i}")
        time_s = float(frame.time) if frame.time is not None else i / rate_of(stream)
        if start_s is None:
            _refuse_hdr(path, stream, frame)
            start_s = time_s
            if seek_s > 0.0:
                stream.container.seek(int((start_s + seek_s) / stream.time_base), stream=stream, backward=True)
                yield from _from_here(path, stream, start_s)
                return
        yield TimedFrame(time_s - start_s, frame)
    if start_s is None:
        raise VideoError("unreadable", f"{path.name!r} holds no frame that can be decoded")


def _from_here(path: Path, stream: Any, start_s: float) -> Iterator[TimedFrame]:
    for frame in stream.container.decode(stream):
        if frame.is_corrupt or frame.time is None:
            raise VideoError("unreadable", f"{path.name!r} cannot be read from its middle")
        yield TimedFrame(float(frame.time) - start_s, frame)


def _refuse_hdr(path: Path, stream: Any, frame: Any) -> None:
    """Shown without tone mapping, HDR is pale and grey, and a model would learn that.

    It is refused, not mapped: the result of a mapping here would differ in the last digit between machines, and
    pixels enter work keys.
    """
    kind, name = _HDR_TRANSFERS.get(int(frame.color_trc)), path.name
    if kind is not None:
        files = f"-i {shlex.quote(name)} -vf {_TO_SDR} {shlex.quote(f'{path.stem}-sdr.mp4')}"
        raise VideoError("hdr", f"{name!r} is HDR ({kind}), which has to be tone-mapped first: ffmpeg {files}")
    is_dolby = stream.codec_context.codec_tag in _DOLBY_VISION
    if is_dolby or int(frame.color_primaries) == _BT2020:
        kind = "Dolby Vision" if is_dolby else "BT.2020 colours"
        raise VideoError("hdr", f"{name!r} is HDR ({kind}): convert it to ordinary colours (BT.709) in a video editor")


def rate_of(stream: Any) -> float:
    """Mean frames per second; 25 where the file states none."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(rate) if rate else 25.0


def duration_of(stream: Any) -> float:
    """The duration stated by the file, seconds; 0 if it states none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(stream.container.duration or 0) / 1e6


def pixel_aspect_of(stream: Any, frame: TimedFrame) -> float:
    """Width of an upright pixel through its height; 1 for square pixels, and where the file states none."""
    stored = float(stream.sample_aspect_ratio or 0) or 1.0
    return 1.0 / stored if frame.is_turned else stored


def _message_of(error: BaseException) -> str:
    texts: Sequence[str | None] = (getattr(error, "strerror", None), str(error), type(error).__name__)
    return next(text for text in texts if text)
