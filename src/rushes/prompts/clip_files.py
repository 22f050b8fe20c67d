"""The files of a folder of videos: which there are, which of them are videos, and which may be read.

Hidden files are no clips. A file outside of the folder is never read, however its name is written; a link out of it is
followed in one case: in a data set from the Hub's cache, to a file of the same data set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.store.files import is_hidden

VIDEO_SUFFIXES: Final = frozenset(
    ".264 .265 .266 .302 .3g2 .3gp .amv .apng .apv .asf .avc .avi .avr .avs .avs2 .avs3 .bik .bk2 .bmv .cavs .cdg "
    ".cdxl .cif .cpk .dav .dif .dirac .divx .dnxhd .dnxhr .drc .dv .dvd .evc .f4v .flc .fli .flm .flv .gif .gxf "
    ".h261 .h263 .h264 .h265 .h266 .h26l .hevc .ifv .imx .ipu .ism .ismv .ivf .ivr .kux .lrv .lvf .m1v .m2p .m2t "
    ".m2ts .m2v .m4v .mj2 .mjpeg .mjpg .mk3d .mkv .mod .mods .moflex .mov .mp4 .mpe .mpeg .mpg .mpo .mpv .mts "
    ".mvi .mxf .mxg .nsv .nut .obu .ogg .ogm .ogv .ogx .pdv .psp .qcif .qt .rcv .rm .rmvb .roq .ser .sga .smk "
    ".swf .thp .tod .trp .ts .ty .ty+ .usm .v210 .vc1 .vc2 .viv .vob .vp8 .vp9 .vro .vvc .webm .wmv .wtv .xesc "
    ".xmv .y4m .yop .yuv .yuv10".split()
)
"""Suffixes of files that count as videos: those of FFmpeg's video formats. A row may name any other file too."""
CAPTION_SUFFIX: Final = ".txt"
"""Suffix of a caption file, in either case; it stands beside its video and has the same name."""
_HUB_REPOSITORY: Final = re.compile(r"(datasets|models|spaces)--.+")


@dataclass(frozen=True)
class FolderFile:
    """A visible entry of the folder or of a folder in it: a file, or what stands in the place of one."""

    path: Path
    """Below the folder."""
    problem: str = ""
    """Why nothing in it is read, in words, for a folder that cannot be listed or is a link; empty for a file."""

    @property
    def is_video(self) -> bool:
        """True for the name of a video."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def folder_files(home: Path) -> Iterator[FolderFile]:
    """Every visible file below a folder, sorted; links to folders are returned and not followed."""
    failed: list[OSError] = []
    for parent, folders, files in os.walk(home, onerror=failed.append):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (
            FolderFile(Path(parent) / name, "a link to a folder, which is not followed")
            for name in folders
            if os.path.islink(Path(parent) / name)
        )
        yield from (FolderFile(Path(parent) / name) for name in sorted(files) if not is_hidden(name))
    for error in failed:
        yield FolderFile(Path(error.filename), f"a folder that cannot be listed: {error.strerror}")


def captioned(home: Path) -> Iterator[tuple[Path, Path]]:
    """The videos that have a caption file beside them, sorted, each with that file."""
    for file in folder_files(home):
        if file.is_video and not file.problem:
            beside = (file.path.with_suffix(suffix) for suffix in (CAPTION_SUFFIX, CAPTION_SUFFIX.upper()))
            found = next((path for path in beside if os.path.lexists(path)), None)
            if found is not None:
                yield file.path, found


def inside(home: Path, file_name: str) -> Path | None:
    """The file that a name means, with links followed; None when it may not be read.

    Args:
        home: the folder, with links followed.
        file_name: relative to it, as the user wrote it.
    """
    try:
        path = Path(os.path.realpath(home / file_name))
        if path.is_relative_to(home):
            return path if path != home else None
        here = Path(os.path.realpath(Path(os.path.normpath(home / file_name)).parent))
    except (OSError, ValueError):
        return None  # characters that no file name has
    return path if here.is_relative_to(home) and path.parent == _hub_blobs(home) else None


def _hub_blobs(home: Path) -> Path | None:
    """Where the Hub's cache keeps the files of the data set that `home` is, or is a part of; None elsewhere."""
    for snapshot in (home, *home.parents):
        snapshots = snapshot.parent
        if snapshots.name == "snapshots" and _HUB_REPOSITORY.fullmatch(snapshots.parent.name):
            return snapshots.parent / "blobs"
    return None


def hidden_part(home: Path, file_name: str) -> bool:
    """True if a name, or a folder in it, is hidden."""
    return any(is_hidden(part) for part in Path(os.path.relpath(home / file_name, home)).parts)


def problem_of(path: Path) -> tuple[str, str] | None:
    """Reason tag and words if a path is no file that can be opened; None if it is one."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "missing_file", "a file that does not exist"
    except OSError as error:
        return "unreadable", f"a file that cannot be opened: {error.strerror}"
    return None if path.is_file() else ("not_a_file", "a folder, or what is not a regular file")


def printable(name: str) -> str:
    """A file name with bytes that are not valid text written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
