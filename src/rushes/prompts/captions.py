"""Real clips with their captions: a folder of videos becomes training material, and nothing in it is lost silently.

The folder holds video files and `metadata.jsonl` (one object per line) or `metadata.csv` (a header, then one row per
video). One column has the file's name, relative to the folder, and one its caption; `dimension` and `questions` are
optional. Without such a table, captions are in a `.txt` file beside each video. Every file and every row ends up in
`ClipFolder.rows`: used, cut, dropped or left over, and why.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from rushes.prompts.caption_files import read_captions
from rushes.prompts.clip_files import (
    CAPTION_SUFFIX,
    FolderFile,
    folder_files,
    hidden_part,
    inside,
    printable,
    problem_of,
)
from rushes.prompts.clip_rows import LARGE_CROP, ClipFolder, ClipRow
from rushes.prompts.metadata import REAL, BadEntry, MetadataRow, metadata_files
from rushes.prompts.stated import BadValue
from rushes.recipe.base import ShapeSpec
from rushes.recipe.prompts import Windows
from rushes.records import UNSTATED, Stated
from rushes.roles import Brief, Draft, Failed, RealClip, Video
from rushes.store.cut import VideoCut, cut_to_fit, cut_video, cuts
from rushes.store.decoding import VideoError
from rushes.store.video import pixel_hash

MAX_CAPTION_CHARS: Final = 2000
"""Longest caption, characters: more than any text encoder here reads."""
_MAX_DETAIL: Final = 300
_MAX_STRETCHES: Final = 1000
"""Stretches of one file at most: time stamps may claim any length."""


def read_clip_folder(
    folder: str | Path,
    shape: ShapeSpec,
    limit: int | None = None,
    windows: Windows = "first",
    *,
    is_trained_on: bool = False,
    further: Sequence[ShapeSpec] = (),
) -> ClipFolder:
    """Read a folder of videos with captions.

    Each video is decoded once to check whether it can be used: its centre is cropped and resized, and its first seconds
    are resampled at the model's frame rate. Videos beyond `limit` are not read.

    Args:
        folder: holds the videos, optionally in sub-folders, and the metadata file or caption files.
        shape: size, number of frames and frame rate of the model's clips.
        limit: how many clips to use at most; None for all.
        windows: how many stretches of each video become clips; later ones only while the limit is not reached.
        is_trained_on: True where the clips are trained on in place of the model's own: what the rows say of them counts
            (see `rushes.prompts.stated`), and a row with a value that cannot be used is dropped.
        further: shapes beside `shape`: each video gets the one that fits it best (`rushes.store.cut.cut_to_fit`).

    Raises:
        InputError: there is no such folder, it cannot be listed, or it holds no metadata that can be read and no
            caption file.
    """
    entries = read_captions(Path(folder))
    tables = frozenset(metadata_files(Path(folder)))
    shapes = tuple(dict.fromkeys((shape, *further)))
    found = _Folder(Path(folder).resolve(), shapes, limit, tables, is_trained_on=is_trained_on)
    for entry in entries:
        found.enter(entry)
    if windows != "first":
        found.later_stretches(None if windows == "all" else windows)
    clips = found.clips()
    for file in folder_files(found.home):
        found.list_unnamed(file)
    return ClipFolder(tuple(clip for clip, _ in clips), tuple(found.rows), tuple(name for _, name in clips))


@dataclass
class _Used:
    """A file that gives clips."""

    row: MetadataRow
    path: Path
    place: int
    """Position of its row in the table."""
    changes: tuple[str, ...]
    """Those of the first stretch."""
    shape: ShapeSpec
    """That of its clips."""
    sha256s: list[str]
    """Pixels of each of its clips."""
    windows: list[int]
    """Number of the stretch that each clip shows."""
    note: str = ""
    """What ended the search for more, if it was not the end of the file."""


class _Folder:
    """A folder while it is read."""

    def __init__(
        self,
        home: Path,
        shapes: tuple[ShapeSpec, ...],
        limit: int | None,
        tables: frozenset[str],
        *,
        is_trained_on: bool,
    ) -> None:
        self.home, self.shapes, self.limit, self.tables = home, shapes, limit, tables
        self.is_trained_on = is_trained_on
        """Whether what the rows say of the videos counts."""
        self.rows: list[ClipRow] = []
        self.used: list[_Used] = []
        self.named: set[Path] = set()
        """Files that a row names, whatever its outcome; links both as themselves and as their targets."""
        self.taken: set[Path] = set()
        """Files that a readable row names."""

    def drop(self, name: str, reason: str, detail: str) -> None:
        self.rows.append(ClipRow(name=name, outcome="dropped", reason=reason, detail=detail))

    def enter(self, entry: MetadataRow | BadEntry) -> None:
        """Use a row's clip, or record why not: whatever is odd about one file ends with its row."""
        name = entry.file_name if isinstance(entry, MetadataRow) else entry.name
        try:
            path = self._mark(name)
            if isinstance(entry, BadEntry):
                self.drop(name, entry.reason, entry.detail)
            else:
                self._take(entry, path)
        except VideoError as error:
            self.drop(name, error.reason, error.problem)
        except Exception as error:
            self.drop(name, "unreadable", _words_of(error))

    def _mark(self, file_name: str) -> Path | None:
        """Remember that a row names this file; returns it as `inside` does."""
        path = inside(self.home, file_name)
        self.named.add(Path(os.path.abspath(self.home / file_name)))
        if path is not None:
            self.named.add(path)
        return path

    def _take(self, row: MetadataRow, path: Path | None) -> None:
        problem = self._problem(row, path)
        if problem is not None:
            self.drop(row.file_name, *problem)
        elif self.limit is not None and len(self.used) >= self.limit:
            detail = f"only {self.limit} clips are needed, and earlier rows supply them"
            self.rows.append(ClipRow(name=row.file_name, outcome="left_over", reason="over_limit", detail=detail))
        else:
            opened = self.home / row.file_name
            cut, shape = cut_to_fit(opened, self.shapes)
            self.used.append(_Used(row, opened, len(self.rows), cut.changes, shape, [pixel_hash(cut.video)], [0]))
            self.rows.append(_used_row(row.file_name, cut))

    def _problem(self, row: MetadataRow, path: Path | None) -> tuple[str, str] | None:
        """Why a row's file is not even opened: reason tag and words."""
        if path is None:
            return "outside_folder", f"{row.where} names a file outside of the folder"
        if hidden_part(self.home, row.file_name):
            return "hidden_file", f"{row.where} names a hidden file, which is no clip"
        # The Hub's cache keeps equal files once; in their own folder they are as many as their names.
        file = path if path.is_relative_to(self.home) else Path(os.path.normpath(self.home / row.file_name))
        if file in self.taken:
            return "duplicate_row", f"{row.where} names a file that an earlier row has named"
        self.taken.add(file)
        if len(row.text) > MAX_CAPTION_CHARS:
            words = f"the caption has {len(row.text)} characters, at most {MAX_CAPTION_CHARS} are read"
            return "caption_too_long", words
        if self.is_trained_on and isinstance(row.stated, BadValue):
            return row.stated.reason, f"{row.where}: {row.stated.detail}"
        problem = problem_of(self.home / row.file_name)
        return None if problem is None else (problem[0], f"{row.where} names {problem[1]}")

    def later_stretches(self, num: int | None) -> None:
        """Find the later stretches of each used file, as far as they are needed.

        Args:
            num: stretches of a file, the first included; None for all.
        """
        free = None if self.limit is None else self.limit - len(self.used)
        most = min(each for each in (_MAX_STRETCHES - 1, free, None if num is None else num - 1) if each is not None)
        for used in self.used if most > 0 else ():
            try:
                for window, cut in enumerate(itertools.islice(cuts(used.path, used.shape, 1), most), 1):
                    sha256 = pixel_hash(cut.video)
                    if sha256 not in used.sha256s:  # a still or repeating picture adds nothing
                        used.sha256s.append(sha256)
                        used.windows.append(window)
            except VideoError as error:
                used.note = "" if error.reason == "too_short" else f"not read to its end: {error.problem}"
            except Exception as error:
                used.note = f"not read to its end: {_words_of(error)}"

    def clips(self) -> list[tuple[RealClip, str]]:
        """The clips with the names of their rows, which now say how many clips each file gives."""
        order = sorted((k, i) for i, used in enumerate(self.used) for k in range(len(used.windows)))[: self.limit]
        for i, num in Counter(i for _, i in order).items():
            used = self.used[i]
            self.rows[used.place] = _with_stretches(self.rows[used.place], used, num, used.shape)
        return [(self._clip(self.used[i], k), self.used[i].row.file_name) for k, i in order]

    def _clip(self, used: _Used, k: int) -> RealClip:
        row, window, sha256 = used.row, used.windows[k], used.sha256s[k]
        shape = None if used.shape == self.shapes[0] else used.shape
        name = row.file_name if window == 0 else f"{row.file_name}, stretch {window + 1}"
        load = partial(_load, used.path, used.shape, window, sha256)
        stated = row.stated if self.is_trained_on and isinstance(row.stated, Stated) else UNSTATED
        return RealClip(name, row.text.strip(), row.dimension or REAL, row.questions, sha256, load, stated, shape)

    def list_unnamed(self, file: FolderFile) -> None:
        """Record a file that no row names."""
        path, relative = file.path, file.path.relative_to(self.home)
        name, target = printable(relative.as_posix()), Path(os.path.realpath(file.path))
        is_named = path in self.named or (target in self.named and target.is_relative_to(self.home))
        if is_named or relative.as_posix() in self.tables:
            return
        if file.problem:
            self.drop(name, "unread_folder", f"it is {file.problem}")
        elif file.is_video and self.tables:
            self.drop(name, "no_row", "no row of the metadata names this file")
        elif file.is_video:
            self.drop(name, "missing_caption", f"there is no {printable(path.stem)}{CAPTION_SUFFIX} beside it")
        elif self.tables or path.suffix.lower() != CAPTION_SUFFIX or path.with_suffix("") not in self._captioned:
            detail = "not named as a video is, and no row names it"
            self.rows.append(ClipRow(name=name, outcome="other", reason="no_video", detail=detail))

    @cached_property
    def _captioned(self) -> frozenset[Path]:
        """The files that rows name, without their suffixes."""
        return frozenset(path.with_suffix("") for path in self.named if path.name)


def _used_row(name: str, cut: VideoCut) -> ClipRow:
    return ClipRow(
        name=name,
        outcome="used" if cut.is_whole else "cut",
        reason="fitted" if cut.changes else "whole",
        detail=_detail(cut.changes, cut.crop_lost),
        num_clips=1,
        lost_s=cut.lost_s,
        crop_lost=cut.crop_lost,
    )


def _with_stretches(row: ClipRow, used: _Used, num: int, shape: ShapeSpec) -> ClipRow:
    """The row of a file that gives `num` clips, made from that of its first stretch."""
    changes, length_s = used.changes, shape.num_frames / shape.fps
    if num > 1:  # the first change is then the stretch that was taken
        changes = (f"{num} stretches of {length_s:.2f} s of {row.lost_s + length_s:.2f} s", *changes[1:])
    detail = _detail((*changes, used.note) if used.note else changes, row.crop_lost)
    lost_s = max(0.0, row.lost_s - (num - 1) * length_s)
    return row.model_copy(update={"num_clips": num, "lost_s": lost_s, "detail": detail})


def _detail(changes: Sequence[str], crop_lost: float) -> str:
    large = [f"only {1 - crop_lost:.0%} of the picture is left"] if crop_lost > LARGE_CROP else []
    return "; ".join([*changes, *large]) or "as it is"


def _words_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MAX_DETAIL]


def _load(path: Path, shape: ShapeSpec, window: int, sha256: str) -> Video:
    if window > 0:
        with contextlib.suppress(VideoError):  # a file that can only be read from its start: below
            video = cut_video(path, shape, window, seek=True).video
            if pixel_hash(video) == sha256:
                return video
    video = cut_video(path, shape, window).video
    if pixel_hash(video) != sha256:
        raise VideoError("changed", f"{path.name!r} has changed since it was first read")
    return video


# ---------------------------------------------------------------------------------------------- as prompts


@dataclass(frozen=True)
class CaptionWriter:
    """`PromptWriter` from real clips: brief number i gets the caption, questions and pixels of clip i."""

    clips: Sequence[RealClip]
    shapes: tuple[ShapeSpec, ...]
    """Those that a clip may have."""

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        """One draft per brief, in order; `Failed` if a clip's file has changed or is missing, or has another shape."""
        return [self._draft(self.clips[brief.index]) for brief in briefs]

    def _draft(self, clip: RealClip) -> Draft | Failed:
        try:
            video = clip.load()
        except Exception as error:  # whatever is odd about one file costs one clip
            return Failed.of(error)
        wanted = [(each.num_frames, each.height_px, each.width_px, 3) for each in self.shapes]
        if video.frames_THWC.shape not in wanted:
            said = " or ".join(map(str, wanted))
            found = f"real clip {clip.name!r}: expected frames of shape {said}, got {video.frames_THWC.shape}"
            return Failed("WrongShape", found, retry="useless")
        return Draft(clip.text, clip.text, f"real clip {clip.name}", clip.questions, video)
