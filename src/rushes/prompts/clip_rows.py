"""The table of a folder of real clips: the outcome of each file and each row of its metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from pydantic import Field

from rushes.errors import InputError
from rushes.records import Record
from rushes.records.base import Count, Share, Text
from rushes.roles import RealClip

REAL_CLIPS: Final = "real-clips"
"""Name of a run's derived records of `ClipRow`: the outcome of each file and row of the user's folder."""
LARGE_CROP: Final = 0.5
"""Share of the picture: where cropping loses more, the user is warned. An upright clip in a wide shape loses 0.7."""


class ClipRow(Record):
    """The outcome of one file or one metadata row.

    Example:
        ClipRow(name="a.mp4", outcome="cut", reason="fitted", detail="the first 2.12 s of 10.00 s")
    """

    name: str
    """File name as the row or the folder has it, or the place of the row; free text, to be escaped where shown."""
    outcome: Literal["used", "cut", "dropped", "left_over", "other"]
    """`cut`: used without its end or its edges; `left_over`: good, but not needed; `other`: not named as videos are."""
    reason: Text
    """Short tag: whole, fitted, too_short, unreadable, missing_caption, no_row, outside_folder, ..."""
    detail: str
    """In words."""
    num_clips: Count = 0
    """Clips that come from it: stretches of one file, one unless the recipe asks for more."""
    lost_s: Annotated[float, Field(ge=0)] = 0.0
    """Seconds of a used file that no clip shows."""
    crop_lost: Share = 0.0
    """Share of a used file's picture that is cropped away."""


@dataclass(frozen=True)
class ClipFolder:
    """A folder of real clips, read."""

    clips: tuple[RealClip, ...]
    """Usable clips, in the order of the metadata: the first stretch of every file, then the second ones, and so on."""
    rows: tuple[ClipRow, ...]
    """Every row of the metadata in order, then every visible file that no row names."""
    sources: tuple[str, ...] = ()
    """The name of each clip's row."""

    @property
    def dropped(self) -> tuple[ClipRow, ...]:
        """What could not be used."""
        return tuple(row for row in self.rows if row.outcome == "dropped")

    @property
    def warning(self) -> str:
        """What to know about files that lose most of their picture; empty if none does."""
        large = [row.name for row in self.rows if row.crop_lost > LARGE_CROP]
        if not large:
            return ""
        names = ", ".join(map(repr, large[:3])) + (", ..." if len(large) > 3 else "")
        return (
            f"{len(large)} of {sum(row.num_clips > 0 for row in self.rows)} real videos lose more than "
            f"{LARGE_CROP:.0%} of their picture, since their shape is not the model's ({names}): check that what their "
            "captions name is still seen, or crop them yourself"
        )

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
            next_step="correct the files, or train without real clips: --set prompts.real.folder=null "
            "--set train.realism.kind=none",
        )


def only(folder: ClipFolder, positions: Sequence[int]) -> ClipFolder:
    """The folder with some of its clips, and its whole table.

    Args:
        folder: the clips and their table.
        positions: of the clips that are left.
    """
    clips, sources = folder.clips, folder.sources
    return replace(folder, clips=tuple(clips[i] for i in positions), sources=tuple(sources[i] for i in positions))


def without_refused(folder: ClipFolder, refused: Mapping[int, tuple[str, str]]) -> tuple[ClipRow, ...]:
    """The folder's table with files marked as dropped all of whose clips are refused, though the files are good.

    Args:
        folder: the clips and their table.
        refused: position in its clips -> reason tag and detail.
    """
    why = {folder.sources[position]: reason for position, reason in refused.items()}
    kept = Counter(name for position, name in enumerate(folder.sources) if position not in refused)
    rows = []
    for row in folder.rows:
        if row.num_clips and row.name in why:
            num = kept[row.name]
            dropped = {"outcome": "dropped", "reason": why[row.name][0], "detail": why[row.name][1]}
            row = row.model_copy(update={"num_clips": num, **({} if num else dropped)})
        rows.append(row)
    return tuple(rows)


def repeated(clips: Sequence[RealClip]) -> dict[int, tuple[str, str]]:
    """Clips that have the pixels and the caption of an earlier one, by position: reason tag and words."""
    first: dict[tuple[str, str], str] = {}
    found: dict[int, tuple[str, str]] = {}
    for position, clip in enumerate(clips):
        earlier = first.setdefault((clip.sha256, clip.text), clip.name)
        if earlier != clip.name:
            found[position] = "same_clip", f"the same pixels and caption as {earlier!r}"
    return found
