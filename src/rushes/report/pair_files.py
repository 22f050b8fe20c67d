"""Every held-out pair as files beside the report: `report/index.html` with an mp4 and a still of each clip.

A file is named after the stored clip, so that none is encoded twice. The page plays a clip when somebody asks for it,
so that it opens at once however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.measure.pairs import Pair
from rushes.measure.shown import own_parts
from rushes.records import Clip, Measurement, Prompt, Scored
from rushes.report.clips import reduced, webp
from rushes.report.html import ALL_PAIRS, render
from rushes.store.files import make_folder, write_atomic
from rushes.store.run import Run
from rushes.store.video import Coding, encode_video

if TYPE_CHECKING:
    from rushes.roles import Frames

MAX_PX: Final = 384
"""Longer side of a clip; the run keeps the full size."""
TINY_PX: Final = 128
"""Clips of at most this are stored at twice their size: H.264 for browsers halves the resolution of colours."""
CODING: Final = Coding("libx264", "yuv420p", {"crf": "24", "preset": "veryfast", "bf": "0", "threads": "1"})


@dataclass(frozen=True)
class FileClip:
    """A clip in files, relative to the page."""

    video: str
    still: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class FileSide:
    """The clips of one model in a pair: one, or a group of takes."""

    clips: Sequence[FileClip]
    value: float | None
    """Measured score; None without one."""
    wrong: Sequence[str]
    """What the measurer found to be not as expected."""
    reason: str
    """Why there is no score."""


@dataclass(frozen=True)
class FilePair:
    """A pair of the page."""

    dimension: str
    prompt: str
    takes: str
    """Which takes, from 1."""
    gain: float | None
    """After less before; None unless both are measured."""
    before: FileSide
    after: FileSide


def write_pairs(
    run: Run, pairs: Sequence[Pair], clips: Mapping[str, Clip], prompts: Mapping[str, Prompt], focus: Sequence[str]
) -> int:
    """Write the page and the files of all pairs whose clips have frames; returns how many pairs there are.

    Args:
        run: the run; files go into its folder `report`.
        pairs: every pair that was measured.
        clips, prompts: by key, at least those of the pairs.
        focus: dimensions aimed at, which come first.

    Raises:
        BlobCorrupt: stored frames are damaged.
        StoreError: disk full, read-only.
    """
    page = run.home / ALL_PAIRS
    folder = page.parent
    if not pairs:
        return 0
    make_folder(folder / "clips")
    order = {name: place for place, name in enumerate(focus)}
    found = [_pair(run, folder, each, clips, prompts) for each in pairs]
    found.sort(key=lambda each: (order.get(each.dimension, len(order)), each.dimension, _rank(each)))
    groups = [(name, list(own)) for name, own in groupby(found, key=lambda each: each.dimension)]
    text = render("pairs.html.j2", "pairs.js", name=run.home.name, groups=groups, num=len(found), focus=set(focus))
    write_atomic(page, text.encode("utf-8", "replace"))
    return len(found)


def _rank(pair: FilePair) -> tuple[bool, float, str, str]:
    """Largest gain first; pairs without one at the end."""
    return pair.gain is None, -(pair.gain or 0.0), pair.prompt, pair.takes


def _pair(run: Run, folder: Path, pair: Pair, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]) -> FilePair:
    before, after = (_side(run, folder, each, clips) for each in (pair.before, pair.after))
    return FilePair(
        dimension=pair.dimension,
        prompt=prompts[pair.prompt_key].text,
        takes=", ".join(str(index + 1) for index in pair.seed_indices),
        gain=None if before.value is None or after.value is None else after.value - before.value,
        before=before,
        after=after,
    )


def _side(run: Run, folder: Path, measured: Measurement, clips: Mapping[str, Clip]) -> FileSide:
    own = sorted((clips[key] for key in measured.subject), key=lambda clip: clip.seed_index)
    files = [_file(run, folder, clip) for clip in own if clip.video is not None]
    if not isinstance(measured.outcome, Scored):
        return FileSide(files, None, (), measured.outcome.reason)
    wrong = [part.name for part in own_parts(measured.outcome) if part.value < 0.5] if len(own) == 1 else []
    return FileSide(files, measured.outcome.value, wrong, "")


def _file(run: Run, folder: Path, clip: Clip) -> FileClip:
    """The files of a clip, written unless they are there."""
    height, width = _size(clip.height_px, clip.width_px)
    stem = f"clips/{clip.frames.sha256[:20]}-{clip.fps:g}"
    video, still = folder / f"{stem}.mp4", folder / f"{stem}.webp"
    if not (video.is_file() and still.is_file()):
        frames_THWC = reduced(run.blobs.read_video(clip.frames), MAX_PX)
        if max(frames_THWC.shape[1:3]) <= TINY_PX:
            frames_THWC = frames_THWC.repeat(2, axis=1).repeat(2, axis=2)
        write_atomic(still, webp(frames_THWC[0], lossless=False))
        write_atomic(video, encode_video(_even(frames_THWC), clip.fps, CODING))
    return FileClip(f"{stem}.mp4", f"{stem}.webp", width, height)


def _size(height: int, width: int) -> tuple[int, int]:
    """Height and width on the page."""
    factor = MAX_PX / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _even(frames_THWC: Frames) -> Frames:
    """Frames whose sides are even, as H.264 in yuv420p needs them."""
    import numpy as np

    odd = [(0, size % 2) for size in frames_THWC.shape[1:3]]
    return np.pad(frames_THWC, ((0, 0), *odd, (0, 0)), mode="edge") if any(end for _, end in odd) else frames_THWC
