"""A picture of many clips at once: one frame of each, as the model sees it, with its number.

Legend: H height, W width. `cv2` is imported where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.errors import InputError
from rushes.roles import RealClip
from rushes.store.files import make_folder, write_atomic

if TYPE_CHECKING:
    from rushes.roles import Frames

_WIDTH_PX: Final = 160
_GAP_PX: Final = 4
_MAX_CLIPS: Final = 1000
"""Clips on one sheet at most: more do not fit into a picture that programs open."""
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")


def write_contact_sheet(path: Path, clips: Sequence[RealClip]) -> int:
    """Write the middle frame of each clip, cropped and resized as the model gets it, in rows from left to right.

    Args:
        path: a .jpg or .png file; replaced if it exists.
        clips: at least one; the first 1000 are shown, with their numbers from 1.

    Returns:
        How many clips it shows.

    Raises:
        InputError: another kind of file, or a clip that has changed since it was read.
        StoreError: disk full, read-only.
    """
    check_sheet(path)
    shown = clips[:_MAX_CLIPS]
    cells = [_cell(clip, number) for number, clip in enumerate(shown, 1)]
    columns = max(1, math.ceil(math.sqrt(len(cells))))
    height, width = cells[0].shape[0] + _GAP_PX, cells[0].shape[1] + _GAP_PX
    sheet = np.full((math.ceil(len(cells) / columns) * height, columns * width, 3), 255, np.uint8)
    for i, cell in enumerate(cells):
        top, left = i // columns * height, i % columns * width
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    import cv2

    is_written, data = cv2.imencode(path.suffix.lower(), sheet[..., ::-1])
    assert is_written
    make_folder(path.parent)
    write_atomic(path, data.tobytes())
    return len(shown)


def check_sheet(path: Path) -> None:
    """Check that a contact sheet can have this name.

    Raises:
        InputError: it cannot.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            "a contact sheet is a picture",
            expected=f"a file name that ends in {' or '.join(_SUFFIXES)}",
            got=str(path),
            next_step=f"name it {path.with_suffix(_SUFFIXES[0])}",
        )


def _cell(clip: RealClip, number: int) -> Frames:
    import cv2

    from rushes.store.cut import fit_frame

    frames_THWC = clip.load().frames_THWC
    height_px, width_px = frames_THWC.shape[1:3]
    picture = fit_frame(frames_THWC[len(frames_THWC) // 2], max(1, round(_WIDTH_PX * height_px / width_px)), _WIDTH_PX)
    for thickness, shade in ((3, 0), (1, 255)):  # white with a dark edge is seen on any picture
        cv2.putText(picture, str(number), (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (shade,) * 3, thickness)
    return picture
