"""A folder of sampled clips: mp4 files, a contact sheet, and a page that plays them side by side, offline.

Legend: T frames, H height, W width. `cv2` is imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.records import SampledClip
from rushes.sample.stage import Sampled
from rushes.store.blobs import Blobs
from rushes.store.cut import fit_frame
from rushes.store.files import make_folder, write_atomic
from rushes.store.identity import content_hash
from rushes.store.video import write_video

if TYPE_CHECKING:
    from rushes.roles import Frames

PAGE: Final = "index.html"
SHEET: Final = "sheet.jpg"
_LONG_SIDE_PX: Final = 256
"""Clips smaller than this are enlarged, so that people can see them."""
_CELL_PX: Final = 112
_GAP_PX: Final = 6
_LINE_PX: Final = 20
_NUM_FRAMES: Final = 4
"""Frames of each clip on the sheet."""
_MAX_ROWS: Final = 60
"""Rows of the sheet at most."""


@dataclass(frozen=True)
class Row:
    """The clips of one prompt and one seed."""

    text: str
    seed: int
    cells: tuple[tuple[str, str, SampledClip], ...]
    """Label, file name, clip; from left to right."""


def default_folder(home: Path, sampled: Sampled) -> Path:
    """Where the files of a request go in the run folder: the same place for the same request."""
    request = sampled.request
    labels = [each.model.name for each in sampled.columns]
    clips = sorted(each.key for each in sampled.clips.values())
    return home / "samples" / f"{_slug(request.texts[0])}-{content_hash([labels, clips])[:8]}"


def rows(sampled: Sampled) -> Iterator[Row]:
    """By prompt and seed, in the order that was asked for."""
    for number, text in enumerate(sampled.request.texts, 1):
        for seed in sampled.request.seeds:
            cells = []
            for each in sampled.columns:
                name = f"{number:03d}-{_slug(text)}-seed{seed}-{_slug(each.label)}.mp4"
                cells.append((each.label, name, sampled.clips[text, seed, each.label]))
            yield Row(text, seed, tuple(cells))


def write_page(folder: Path, sampled: Sampled, blobs: Blobs) -> Path:
    """Write clips, sheet and page into a folder; files of the same names are replaced.

    Raises:
        BlobCorrupt: stored frames are damaged.
        StoreError: disk full, read-only.
    """
    import jinja2

    make_folder(folder)
    shown = list(rows(sampled))
    strips: list[tuple[str, list[Frames]]] = []
    for row in shown:
        cells = []
        for _, name, clip in row.cells:
            frames = blobs.read_video(clip.video)
            write_video(folder / name, frames, clip.fps, scale=max(1, _LONG_SIDE_PX // max(frames.shape[1:3])))
            cells.append(_strip(frames))
        if len(strips) < _MAX_ROWS:
            strips.append((f"{row.text[:90]} (seed {row.seed})", cells))
    write_atomic(folder / SHEET, _sheet(strips, [each.label for each in sampled.columns]))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("rushes.sample", "templates"), autoescape=True)
    page = environment.get_template("sample.html.j2").render(
        rows=shown, columns=sampled.columns, num_prompts=len(sampled.request.texts), sheet=SHEET
    )
    write_atomic(folder / PAGE, page.encode("utf-8", "replace"))
    return folder / PAGE


def _slug(text: str) -> str:
    """The beginning of a text as a part of a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:40].strip("-.") or "clip"


def _strip(frames_THWC: Frames) -> Frames:
    """A few frames of a clip side by side, the first and the last among them."""
    height_px, width_px = frames_THWC.shape[1:3]
    places = np.unique(np.linspace(0, len(frames_THWC) - 1, _NUM_FRAMES).round().astype(int))
    width = max(1, round(_CELL_PX * width_px / height_px))
    return np.concatenate([fit_frame(frames_THWC[i], _CELL_PX, width) for i in places], axis=1)


def _sheet(strips: Sequence[tuple[str, Sequence[Frames]]], labels: Sequence[str]) -> bytes:
    """All strips in rows, under their prompts, as a JPEG."""
    import cv2

    def write(text: str, left: int, top: int, shade: int) -> None:
        shown = text.encode("ascii", "replace").decode()  # cv2 draws no other letters
        cv2.putText(sheet, shown, (left, top), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (shade,) * 3, 1, cv2.LINE_AA)

    widths = [each.shape[1] + _GAP_PX for each in strips[0][1]]
    step = _CELL_PX + _LINE_PX + _GAP_PX
    sheet = np.full((_LINE_PX + len(strips) * step, max(sum(widths), 480), 3), 255, np.uint8)
    left = 0
    for label, width in zip(labels, widths, strict=True):
        write(label, left + 2, 14, 90)
        left += width
    for number, (text, cells) in enumerate(strips):
        top, left = _LINE_PX + number * step, 0
        write(text, 2, top + 14, 0)
        for cell in cells:
            sheet[top + _LINE_PX : top + _LINE_PX + cell.shape[0], left : left + cell.shape[1]] = cell
            left += cell.shape[1] + _GAP_PX
    is_written, data = cv2.imencode(".jpg", sheet[..., ::-1])
    assert is_written
    return data.tobytes()
