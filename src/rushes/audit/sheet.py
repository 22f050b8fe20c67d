"""Write a folder for people to label: the clips as videos that play anywhere, and a CSV with a row per question."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rushes.audit.cases import Case
from rushes.errors import InputError
from rushes.judge.labels import COLUMNS
from rushes.store.files import make_folder, write_atomic
from rushes.store.video import write_video

FILE_NAME: Final = "labels.csv"
_LONG_SIDE_PX: Final = 256
"""Clips smaller than this are enlarged, so that people can see them."""
_FORMULA: Final = ("=", "+", "-", "@")
"""Characters at the start of a cell that a spreadsheet reads as a formula."""


def write_sheet(folder: Path, cases: Sequence[Case]) -> Path:
    """Write the clips, and `labels.csv` last.

    The rows do not say which answer is expected, so that people are not led; questions of a clip stay together.

    Args:
        folder: created; must not contain a `labels.csv`, which may hold someone's work.
        cases: the clips, in order.

    Returns:
        The CSV file.

    Raises:
        InputError: there is a `labels.csv` already.
        StoreError: disk full, read-only.
    """
    path = folder / FILE_NAME
    if path.exists():
        raise InputError(
            f"{path} already exists", expected="a new folder", next_step="name another folder, or move that file away"
        )
    make_folder(folder)
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS["answers"], "video"])
    for number, case in enumerate(cases):
        video = case.load()
        name = f"{number:04d}-{re.sub(r'[^A-Za-z0-9-]+', '-', Path(case.name).stem)[:40].strip('-')}.mp4"
        scale = max(1, _LONG_SIDE_PX // max(video.frames_THWC.shape[1:3]))
        write_video(folder / name, video.frames_THWC, video.fps, scale=scale)
        rows.writerows([case.name, _cell(question.text), "", name] for question in case.questions)
    write_atomic(path, text.getvalue().encode("utf-8", "backslashreplace"))
    return path


def _cell(text: str) -> str:
    return f" {text}" if text.startswith(_FORMULA) else text
