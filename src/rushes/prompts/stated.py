"""What the rows of a folder's table say of its videos: `score`, `weight`, and `preferred_over` which other ones.

A score or weight that cannot be used costs its row, since the video cannot be trained on as its owner wants. A
preference that cannot be used costs itself: it gets a row of its own in the folder's table.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rushes.prompts.clip_rows import ClipFolder, ClipRow
from rushes.prompts.rows import BadRow, shown
from rushes.records import Stated
from rushes.roles import RealClip

COLUMNS: Final = ("score", "weight", "preferred_over")
"""Columns that tell how a video is to be trained on."""
LARGEST: Final = 1e12
"""Largest number, either side of 0, that a person can have meant."""


@dataclass(frozen=True)
class BadValue:
    """What a row says of its video and cannot be used."""

    reason: str
    """Short tag."""
    detail: str
    """What is wrong, in words."""

    @property
    def column(self) -> str:
        """The column that it is in."""
        return "preferred_over" if self.reason == "bad_preference" else self.reason.removeprefix("bad_")


def stated_of(row: Mapping[str, Any]) -> Stated | BadValue:
    """What a row says of its video; empty cells and null say nothing."""
    try:
        weight = number_of(row.get("weight"), "weight")
        if weight is not None and weight < 0:
            raise BadRow("bad_weight", f"expected a weight of 0 or more, got {shown(row['weight'])}")
        return Stated(
            score=number_of(row.get("score"), "score"), weight=weight, preferred_over=_names(row.get("preferred_over"))
        )
    except BadRow as error:
        return BadValue(error.reason, str(error))


def number_of(value: object, column: str) -> float | None:
    """A number as JSON or a table's cell has it; None for nothing.

    Args:
        value: of the cell.
        column: its name, for messages.

    Raises:
        BadRow: it is no finite number, or too large to be meant.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):  # words; an integer of a thousand digits
            number = math.nan
    if not math.isfinite(number) or abs(number) > LARGEST:
        wanted = f"a number between -{LARGEST:g} and {LARGEST:g}" if math.isfinite(number) else "a number"
        hint = ": write a point in place of the comma" if isinstance(value, str) and "," in value else ""
        raise BadRow(f"bad_{column}", f"expected {wanted} as {column}, got {shown(value)}{hint}")
    return number


def _names(value: object) -> tuple[str, ...]:
    """Files that a video is preferred over: one name, or a list of them; in a CSV cell the list is JSON."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRow("bad_preference", f"preferred_over is not JSON: {shown(value)}") from None
    if value is None or value == "":
        return ()
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and name.strip() and _is_text(name) for name in names):
        raise BadRow("bad_preference", f"expected the name of a file, or a list of them, got {shown(value)}")
    return tuple(dict.fromkeys(names))


def _is_text(name: str) -> bool:
    """False for what UTF-8 cannot hold, and so no name of a row can be."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# ---------------------------------------------------------------------------------------------- between clips


def lacking(clips: Sequence[RealClip]) -> dict[int, tuple[str, str]]:
    """Clips without a number that others have, by position: reason tag and words. Missing is never zero.

    If any clip has a weight, all need one; otherwise, if any has a score, all need one.
    """
    for column in ("weight", "score"):
        has_it = [getattr(clip.stated, column) is not None for clip in clips]
        if any(has_it):
            why = f"no_{column}", f"other rows have a {column}, and this one has none"
            return {position: why for position, has in enumerate(has_it) if not has}
    return {}


@dataclass(frozen=True)
class _Preference:
    """A clip and one that it is preferred over, by position."""

    better: int
    worse: int


def with_preferences(folder: ClipFolder) -> ClipFolder:
    """The folder with preferences between its clips, by their names; those that cannot be used are rows of the table.

    A preference is between videos of one caption. Of a file that gives several clips the first stretch is compared with
    the first one of the other file, the second with the second, and so on.

    Args:
        folder: the clips that are used; their preferences name files, as written.
    """
    known: dict[_Preference, None] = {}  # in order, each once
    refused: list[ClipRow] = []
    places = _places(folder)
    nth = {place: position for position, place in enumerate(places)}
    for position, clip in enumerate(folder.clips):
        for name in clip.stated.preferred_over:
            found = _found(folder, nth, places[position], name)
            if isinstance(found, int):
                known[_Preference(position, found)] = None
            elif found is not None:
                refused.append(_row(folder.sources[position], name, found))
    circular = dict.fromkeys(_circular(list(known), len(folder.clips)))
    for each in circular:
        why = "circle", "other preferences lead back from the second to the first"
        refused.append(_row(folder.sources[each.better], folder.sources[each.worse], why))
    over: dict[int, list[str]] = {}
    for each in known:
        if each not in circular:
            over.setdefault(each.better, []).append(folder.clips[each.worse].name)
    clips = tuple(
        replace(clip, stated=clip.stated.model_copy(update={"preferred_over": tuple(over.get(position, ()))}))
        for position, clip in enumerate(folder.clips)
    )
    return replace(folder, clips=clips, rows=(*folder.rows, *dict.fromkeys(refused)))


def _places(folder: ClipFolder) -> list[tuple[str, int]]:
    """Of each clip its file, and which of that file's clips it is, from 0."""
    num: Counter[str] = Counter()
    found = []
    for source in folder.sources:
        name = os.path.normpath(source)
        found.append((name, num[name]))
        num[name] += 1
    return found


def _found(
    folder: ClipFolder, nth: Mapping[tuple[str, int], int], place: tuple[str, int], name: str
) -> int | tuple[str, str] | None:
    """The clip that one is preferred over; why there is none; None if only this stretch has no counterpart."""
    (own, number), other = place, os.path.normpath(name)
    if other == own:
        return "same_file", "it is preferred over itself"
    found = nth.get((other, number))
    if found is None and number > 0:
        return None
    if found is None:
        row = next((row for row in folder.rows if os.path.normpath(row.name) == other), None)
        if row is None:
            return "no_such_file", "there is no file of that name"
        return "not_used", f"that file is not used: {row.detail}"
    if folder.clips[found].text != folder.clips[nth[place]].text:
        return "other_caption", "their captions differ, and only videos of one caption can be compared"
    if folder.clips[found].shape != folder.clips[nth[place]].shape:
        return "other_shape", "they are cut to different shapes, and only videos of one shape can be compared"
    return found


def _circular(preferences: Sequence[_Preference], num_clips: int) -> Iterator[_Preference]:
    """Preferences that lead back to where they come from."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not preferences:
        return
    ends = [each.better for each in preferences], [each.worse for each in preferences]
    graph = coo_array(([1] * len(preferences), ends), shape=(num_clips, num_clips))
    _, circle = connected_components(graph, directed=True, connection="strong")
    yield from (each for each in preferences if circle[each.better] == circle[each.worse])


def _row(better: str, worse: str, why: tuple[str, str]) -> ClipRow:
    return ClipRow(name=f"{better} preferred over {worse}", outcome="dropped", reason=why[0], detail=why[1])
