"""Scores video files: each is read once for all its metrics, and chat models are asked about several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.measure.pairs import DIVERSITY
from rushes.records import Outcome, Unscored
from rushes.roles import Failed
from rushes.store.decoding import VideoError
from rushes.store.video import read_video
from rushes_vbench.metrics.core import Profile, why_unusable
from rushes_vbench.metrics.diversity import shrunk
from rushes_vbench.metrics.scorer import Models, score_clips, score_takes
from rushes_vbench.suite import SuiteEntry

if TYPE_CHECKING:
    from rushes.roles import Video


@dataclass(frozen=True)
class Piece:
    """What has one value: a clip in one dimension, or all clips of a prompt in Diversity."""

    entry: SuiteEntry
    """Dimension and prompt, with what the suite asks."""
    sample: int
    """Which clip of the prompt, from 0; 0 where its clips share a value."""
    files: tuple[Path, ...]
    """The video file, or those of all clips of the prompt; at least one."""


def score_pieces(pieces: Sequence[Piece], profile: Profile, models: Models) -> list[Outcome | Failed]:
    """One outcome each, in order; a file that cannot be read is unscored in every dimension.

    `Failed` means that a chat model could not be asked now, or that memory was short: try that piece again later. All
    clips of a call are in memory at once, those of Diversity as small as its network takes them.

    Args:
        pieces: any order.
        profile: whose rules.
        models: do the scoring; `rushes_vbench.metrics.scorer.missing` lists in advance what is lacking.
    """
    single = [piece for piece in pieces if piece.entry.dimension != DIVERSITY]
    read = {path: _read(path) for path in dict.fromkeys(piece.files[0] for piece in single)}
    asked: dict[Path, tuple[Video, list[SuiteEntry]]] = {}
    for piece in single:
        clip = read[piece.files[0]]
        if not isinstance(clip, VideoError):
            asked.setdefault(piece.files[0], (clip, []))[1].append(piece.entry)
    found = dict(zip(asked, score_clips(list(asked.values()), profile, models), strict=True))
    return [_outcome(piece, read, found, profile, models) for piece in pieces]


def _outcome(
    piece: Piece,
    read: Mapping[Path, Video | VideoError],
    found: Mapping[Path, Mapping[str, Outcome | Failed]],
    profile: Profile,
    models: Models,
) -> Outcome | Failed:
    if piece.entry.dimension == DIVERSITY:
        return _compared(piece, read, profile, models)
    clip = read[piece.files[0]]
    if isinstance(clip, VideoError):
        return Unscored(reason=f"the file is {clip.reason}: {clip.problem}")
    return found[piece.files[0]][piece.entry.dimension]


def _compared(
    piece: Piece, read: Mapping[Path, Video | VideoError], profile: Profile, models: Models
) -> Outcome | Failed:
    """Diversity: clips that are not in memory are read one by one, and kept only as small as they are needed."""
    takes: list[Video] = []
    problems: list[str] = []
    for path in piece.files:
        clip = read[path] if path in read else _read(path)
        if isinstance(clip, VideoError):
            problems.append(f"{path.name}: the file is {clip.reason}")
        elif unusable := why_unusable(clip, needs_fps=False):
            problems.append(f"{path.name}: {unusable}")
        else:
            takes.append(shrunk(clip, profile))
    return Unscored(reason="; ".join(problems)) if problems else score_takes(takes, profile, models)


def _read(path: Path) -> Video | VideoError:
    try:
        return read_video(path)
    except VideoError as error:
        return error
