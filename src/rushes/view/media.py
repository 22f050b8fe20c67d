"""Clips as a browser plays them: H.264 and a still, made when they are first asked for, in a temporary folder.

A run stores tiny clips as raw frames and others as lossless or nearly lossless video, which browsers do not play.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from rushes.records import BlobRef, Clip, SampledClip
from rushes.store.run import Run

if TYPE_CHECKING:
    from rushes.roles import Frames

Size = Literal["small", "full"]
SMALL_PX: Final = 320
"""Longer side of a clip in a list; full size is the clip's own."""
LEAST_PX: Final = 256
"""Tinier clips are enlarged to about this by a whole factor, so that their pixels stay sharp."""
MAX_BYTES: Final = 2**30
"""Of files kept; those that were asked for longest ago go first."""


class Media:
    """Videos and stills, by the hash of the stored clip. One is encoded at a time: a run on the machine comes first."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        """Args: folder: where files are kept. max_bytes: of all of them."""
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._sizes: dict[Path, int] = {}

    def video(self, run: Run, clip: Clip | SampledClip, size: Size) -> Path:
        """An mp4 of H.264 in yuv420p.

        Raises:
            BlobCorrupt: the stored clip is damaged.
            StoreError: the clip has only latents.
        """
        return self._made(clip.frames, f"{clip.fps:g}-{size}.mp4", lambda: _encoded(run, clip, size))

    def still(self, run: Run, clip: Clip | SampledClip) -> Path:
        """The first frame, small, as WebP; raises as `video`."""
        return self._made(clip.frames, "still.webp", lambda: _webp(_sized(_first(run, clip), "small")[0]))

    def _made(self, ref: BlobRef, suffix: str, make: Callable[[], bytes]) -> Path:
        path = self._folder / f"{ref.sha256}-{suffix}"
        with self._lock:
            if not path.is_file():
                data = make()
                half = path.with_suffix(".half")  # never served; need not survive the power
                half.write_bytes(data)
                half.replace(path)
                self._sizes[path] = len(data)
                self._drop_oldest()
            else:
                self._sizes[path] = self._sizes.pop(path, path.stat().st_size)
        return path

    def _drop_oldest(self) -> None:
        while len(self._sizes) > 1 and sum(self._sizes.values()) > self._max_bytes:
            oldest = next(iter(self._sizes))
            self._sizes.pop(oldest)
            oldest.unlink(missing_ok=True)


def _first(run: Run, clip: Clip | SampledClip) -> Frames:
    """The first frame alone, shape 1, H, W, 3; of a video file no more is decoded."""
    import numpy as np

    if clip.frames.suffix not in (".mkv", ".mp4"):
        return run.blobs.read_video(clip.frames)[:1]
    from rushes.store.decoding import decoded, opened

    path = run.blobs.path(clip.frames)
    with opened(path) as stream:
        for timed in decoded(path, stream):
            return np.stack([timed.pixels()])
    raise AssertionError("a stored video has a frame")


def _encoded(run: Run, clip: Clip | SampledClip, size: Size) -> bytes:
    import numpy as np

    from rushes.store.video import Coding, encode_video

    frames_THWC = _sized(run.blobs.read_video(clip.frames), size)
    even = np.pad(frames_THWC, ((0, 0), (0, frames_THWC.shape[1] % 2), (0, frames_THWC.shape[2] % 2), (0, 0)), "edge")
    quality = {"crf": "23" if size == "small" else "16", "preset": "veryfast", "bf": "0", "threads": "1"}
    return encode_video(even, clip.fps, Coding("libx264", "yuv420p", quality))


def _sized(frames_THWC: Frames, size: Size) -> Frames:
    """Frames in the size for the screen."""
    import numpy as np

    from rushes.store.cut import fit_frame

    height, width = frames_THWC.shape[1:3]
    longer = max(height, width)
    if longer <= LEAST_PX // 2:
        scale = round(LEAST_PX / longer)
        return frames_THWC.repeat(scale, axis=1).repeat(scale, axis=2)
    if size == "full" or longer <= SMALL_PX:
        return frames_THWC
    to = max(2, round(height * SMALL_PX / longer)), max(2, round(width * SMALL_PX / longer))
    return np.stack([fit_frame(frame_HWC, *to) for frame_HWC in frames_THWC])


def _webp(frame_HWC: Frames) -> bytes:
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame_HWC)).save(file, "WEBP", quality=80, method=2)
    return file.getvalue()
