"""Clips embedded in a page: H.264 that browsers play, and still frames."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.roles import Video
from rushes.store.cut import fit_frame
from rushes.store.video import Coding, encode_video

if TYPE_CHECKING:
    from rushes.roles import Frames

TARGET_PX: Final = 256
"""Tiny clips are enlarged to about this many pixels, by an integer factor, so that pixels stay sharp."""
MAX_PX: Final = 512
"""Large clips are reduced to this many pixels on their longer side; the run keeps the full size."""
_STEPS: Final = ((MAX_PX, 18), (MAX_PX, 24), (384, 26), (288, 28), (208, 32), (208, 42))
"""Longer side and H.264's constant rate factor that are tried in turn, until a clip keeps to its budget."""
MAX_BYTES: Final = 300_000
"""Budget of one clip with its stills."""
MAX_PAGE_BYTES: Final = 8_000_000
"""Budget of all clips of a page together: mail and browsers take it, and so does a slow line."""
_QUALITY: Final = 80
NUM_STILLS: Final = 5
"""Frames of the strip under a clip."""


@dataclass(frozen=True)
class EmbeddedClip:
    """A clip inside a page."""

    video_uri: str
    """`data:video/mp4;base64,...`."""
    poster_uri: str
    """First frame, `data:image/webp;base64,...`."""
    strip_uri: str
    """A few evenly spaced frames side by side, including the first and the last."""
    width_px: int
    """Width of the video."""
    height_px: int
    """Height of the video."""
    is_pixelated: bool
    """True if the video was enlarged: stills should be enlarged without smoothing as well."""

    @property
    def num_bytes(self) -> int:
        """What it takes of the page."""
        return len(self.video_uri) + len(self.poster_uri) + len(self.strip_uri)


def budget(num_clips: int) -> int:
    """What each of so many clips may take of a page, bytes."""
    return min(MAX_BYTES, MAX_PAGE_BYTES // max(1, num_clips))


def embed(video: Video, max_bytes: int = MAX_BYTES) -> EmbeddedClip:
    """Encode a clip for a page, as large and as fine as its budget allows.

    Args:
        video: frames of any size.
        max_bytes: what it may take; a clip that is still larger at the smallest size and quality is cut short.
    """
    for side, crf in _STEPS:
        found = _at(video, side, crf)
        if found.num_bytes <= max_bytes:
            return found
    frames_THWC = video.frames_THWC
    while found.num_bytes > max_bytes and len(frames_THWC) > 1:
        frames_THWC = frames_THWC[: max(1, len(frames_THWC) // 2)]
        found = _at(Video(frames_THWC, video.fps), *_STEPS[-1])
    return found


def _at(video: Video, max_px: int, crf: int) -> EmbeddedClip:
    small = reduced(video.frames_THWC, max_px)
    height, width = small.shape[1:3]
    scale = max(1, round(TARGET_PX / max(height, width)))
    large = small.repeat(scale, axis=1).repeat(scale, axis=2)
    odd = [(0, size % 2) for size in large.shape[1:3]]
    coding = Coding("libx264", "yuv420p", {"crf": str(crf), "preset": "fast", "bf": "0", "threads": "1"})
    data = encode_video(np.pad(large, ((0, 0), *odd, (0, 0)), mode="edge"), video.fps, coding)
    return EmbeddedClip(
        video_uri=data_uri(data, "video/mp4"),
        poster_uri=data_uri(webp(small[0], lossless=scale > 1), "image/webp"),
        strip_uri=data_uri(webp(strip(small), lossless=scale > 1), "image/webp"),
        width_px=width * scale,
        height_px=height * scale,
        is_pixelated=scale > 1,
    )


def reduced(frames_THWC: Frames, max_px: int) -> Frames:
    """Frames whose longer side is at most `max_px`; unchanged if it already is."""
    height, width = frames_THWC.shape[1:3]
    factor = max_px / max(height, width)
    if factor >= 1.0:
        return frames_THWC
    size = max(2, round(height * factor)), max(2, round(width * factor))
    return np.stack([fit_frame(frame, *size) for frame in frames_THWC])


def strip(frames_THWC: Frames, num_stills: int = NUM_STILLS, max_height_px: int = 96) -> Frames:
    """Evenly spaced frames side by side, with transparent gaps: H, W', 4."""
    count = min(num_stills, len(frames_THWC))
    chosen = frames_THWC[np.linspace(0, len(frames_THWC) - 1, count).round().astype(int)]
    height, width = chosen.shape[1:3]
    if height > max_height_px:
        chosen = reduced(chosen, max(1, round(max_height_px * max(height, width) / height)))
    opaque = np.concatenate([chosen, np.full((*chosen.shape[:3], 1), 255, np.uint8)], axis=-1)
    gap = np.zeros((chosen.shape[1], max(1, chosen.shape[2] // 12), 4), np.uint8)
    pieces = [piece for frame in opaque for piece in (gap, frame)][1:]
    return np.concatenate(pieces, axis=1)


def webp(frame_HWC: Frames, *, lossless: bool) -> bytes:
    """One picture, RGB or RGBA, as WebP, which all browsers of the last years show.

    Args:
        frame_HWC: its pixels.
        lossless: True keeps every pixel, for tiny pictures that are shown enlarged.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame_HWC)).save(file, "WEBP", lossless=lossless, quality=_QUALITY)
    return file.getvalue()


def data_uri(data: bytes, media_type: str) -> str:
    """Content as a data URI, which needs no file and no network."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
