"""Real clips with their captions: a folder of videos becomes training material, and nothing in it is lost silently.

The folder holds video files and `metadata.jsonl` (one object per line) or `metadata.csv` (a header, then one row per
video). One column has the file's name, relative to the folder, and one its caption; `dimension` and `questions` are
optional. Every file and every row ends up in `ClipFolder.rows`: used, cut, dropped or left over, and why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from rushes.errors import InputError
from rushes.prompts.metadata import REAL, MetadataRow, read_metadata
from rushes.recipe.base import ShapeSpec
from rushes.records import Record
from rushes.records.base import Text
from rushes.roles import Brief, Draft, Failed, RealClip, Video
from rushes.store.video import VideoCut, VideoError, cut_video, pixel_hash

VIDEO_SUFFIXES: Final = frozenset(".mp4 .mov .m4v .mkv .webm .avi .mpg .mpeg .gif".split())
"""Suffixes of files that count as videos; a row may name any other file too."""
MAX_CAPTION_CHARS: Final = 2000
"""Longest caption, characters: more than any text encoder here reads."""
REAL_CLIPS: Final = "real-clips"
"""Name of a run's derived records of `ClipRow`: the outcome of each file and row of the user's folder."""


class ClipRow(Record):
    """The outcome of one file or one metadata row.

    Example:
        ClipRow(name="a.mp4", outcome="cut", reason="fitted", detail="the first 2.12 s of 10.00 s")
    """

    name: str
    """File name as the row or the folder has it, or the place of the row; free text, to be escaped where shown."""
    outcome: Literal["used", "cut", "dropped", "left_over"]
    """`cut`: used without its end or its edges; `left_over`: good, but not needed."""
    reason: Text
    """Short tag: whole, fitted, too_short, unreadable, missing_caption, no_row, outside_folder, ..."""
    detail: str
    """In words."""


@dataclass(frozen=True)
class ClipFolder:
    """A folder of real clips, read."""

    clips: tuple[RealClip, ...]
    """Usable clips, in the order of the metadata."""
    rows: tuple[ClipRow, ...]
    """Every row of the metadata in order, then every video that no row names."""

    @property
    def dropped(self) -> tuple[ClipRow, ...]:
        """What could not be used."""
        return tuple(row for row in self.rows if row.outcome == "dropped")

    def require_some(self, folder: str) -> ClipFolder:
        """This folder, if it has a usable clip.

        Raises:
            InputError: it has none; the message has the first reasons.
        """
        if self.clips:
            return self
        reasons = "; ".join(f"{row.name!r}: {row.detail}" for row in self.dropped[:3]) or "the metadata has no rows"
        raise InputError(
            f"no real clip in {folder} can be used: {reasons}",
            expected="at least one video with a caption, as long as the model's clips",
            next_step="correct the files, or set train.realism.kind: none to train without real clips",
        )


def read_clip_folder(folder: str | Path, shape: ShapeSpec, limit: int | None = None) -> ClipFolder:
    """Read a folder of videos with captions.

    Each video is decoded once to check whether it can be used: its centre is cropped and resized, and its first seconds
    are resampled at the model's frame rate. Videos beyond `limit` are not read.

    Args:
        folder: holds the videos, optionally in sub-folders, and the metadata file.
        shape: size, number of frames and frame rate of the model's clips.
        limit: how many clips to use at most; None for all.

    Raises:
        InputError: there is no such folder, it cannot be listed, or it holds no metadata file that can be read.
    """
    home = Path(folder)
    entries = read_metadata(home)
    found = _Folder(home.resolve(), shape, limit)
    for entry in entries:
        if isinstance(entry, MetadataRow):
            found.take(entry)
        else:
            found.mark(entry.name)
            found.drop(entry.name, entry.reason, entry.detail)
    for path in _videos(found.home):
        if found.named.isdisjoint((path, path.resolve())):
            name = _printable(path.relative_to(found.home).as_posix())
            found.drop(name, "no_row", "no row of the metadata names this file")
    return ClipFolder(tuple(found.clips), tuple(found.rows))


class _Folder:
    """A folder while it is read."""

    def __init__(self, home: Path, shape: ShapeSpec, limit: int | None) -> None:
        self.home, self.shape, self.limit = home, shape, limit
        self.clips: list[RealClip] = []
        self.rows: list[ClipRow] = []
        self.named: set[Path] = set()
        """Files that a row names, whatever its outcome; links both as themselves and as their targets."""
        self.taken: set[Path] = set()
        """Files that a readable row names."""

    def drop(self, name: str, reason: str, detail: str) -> None:
        self.rows.append(ClipRow(name=name, outcome="dropped", reason=reason, detail=detail))

    def mark(self, file_name: str) -> Path | None:
        """Remember that a row names this file; returns it as `_inside` does."""
        path = self._inside(file_name)
        self.named.add(Path(os.path.abspath(self.home / file_name)))
        if path is not None:
            self.named.add(path)
        return path

    def take(self, row: MetadataRow) -> None:
        """Use a row's clip, or record why not."""
        path = self.mark(row.file_name)
        if path is None:
            self.drop(row.file_name, "outside_folder", f"{row.where} names a file outside of the folder")
            return
        if path in self.taken:
            self.drop(row.file_name, "duplicate_row", f"{row.where} names a file that an earlier row has named")
            return
        self.taken.add(path)
        problem = _caption_problem(row)
        if problem is not None:
            self.drop(row.file_name, *problem)
        elif not path.is_file():
            self.drop(row.file_name, "missing_file", f"{row.where} names a file that does not exist")
        elif self.limit is not None and len(self.clips) >= self.limit:
            detail = f"only {self.limit} clips are needed, and earlier rows supply them"
            self.rows.append(ClipRow(name=row.file_name, outcome="left_over", reason="over_limit", detail=detail))
        else:
            self._use(row, path)

    def _inside(self, file_name: str) -> Path | None:
        """The file, with links followed; None when it is not below the folder."""
        try:
            path = (self.home / file_name).resolve()
        except (OSError, RuntimeError, ValueError):
            return None  # a loop of links, or characters that no file name has
        return path if path.is_relative_to(self.home) and path != self.home else None

    def _use(self, row: MetadataRow, path: Path) -> None:
        cut = partial(
            cut_video,
            path,
            height_px=self.shape.height_px,
            width_px=self.shape.width_px,
            num_frames=self.shape.num_frames,
            fps=self.shape.fps,
        )
        try:
            found = cut()
        except VideoError as error:
            self.drop(row.file_name, error.reason, error.problem)
            return
        sha256 = pixel_hash(found.video)
        load = partial(_load, cut, sha256, row.file_name)
        clip = RealClip(row.file_name, row.text.strip(), row.dimension or REAL, row.questions, sha256, load)
        self.clips.append(clip)
        self.rows.append(
            ClipRow(
                name=row.file_name,
                outcome="used" if found.is_whole else "cut",
                reason="fitted" if found.changes else "whole",
                detail="; ".join(found.changes) or "as it is",
            )
        )


def without_refused(
    rows: Sequence[ClipRow], clips: Sequence[RealClip], refused: Mapping[int, tuple[str, str]]
) -> tuple[ClipRow, ...]:
    """The table with clips marked as dropped whose captions cannot be trained on, though their files are good.

    Args:
        rows: of `ClipFolder`.
        clips: of the same.
        refused: position in `clips` -> reason tag and detail.
    """
    why = {clips[position].name: reason for position, reason in refused.items()}
    return tuple(
        ClipRow(name=row.name, outcome="dropped", reason=why[row.name][0], detail=why[row.name][1])
        if row.outcome in ("used", "cut") and row.name in why
        else row
        for row in rows
    )


def _load(cut: Callable[[], VideoCut], sha256: str, name: str) -> Video:
    found = cut()
    if pixel_hash(found.video) != sha256:
        raise VideoError("changed", f"{name!r} has changed since it was first read")
    return found.video


def _caption_problem(row: MetadataRow) -> tuple[str, str] | None:
    if len(row.text) > MAX_CAPTION_CHARS:
        return "caption_too_long", f"the caption has {len(row.text)} characters, at most {MAX_CAPTION_CHARS} are read"
    return None


def _videos(home: Path) -> Iterator[Path]:
    """Every video file below the folder, sorted; links to folders are not followed."""
    for parent, folders, files in os.walk(home):
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(parent) / name


def _printable(name: str) -> str:
    """A file name with bytes that are not valid text written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


# ---------------------------------------------------------------------------------------------- as prompts


@dataclass(frozen=True)
class CaptionWriter:
    """`PromptWriter` from real clips: brief number i gets the caption, questions and pixels of clip i."""

    clips: Sequence[RealClip]

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        """One draft per brief, in order; `Failed` if a clip's file has changed or is missing."""
        return [self._draft(self.clips[brief.index]) for brief in briefs]

    def _draft(self, clip: RealClip) -> Draft | Failed:
        try:
            video = clip.load()
        except VideoError as error:
            return Failed.of(error)
        return Draft(clip.text, clip.text, f"real clip {clip.name}", clip.questions, video)
