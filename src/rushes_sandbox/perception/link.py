"""Decides which blob of one frame is the same thing as which blob of the next.

Blobs are linked by position, because colour and size may change on purpose. A jump that the previous motion does not
predict, or a split in two, ends a track: what follows is another thing.

Legend: t frame, k path or track, n blob.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from rushes_sandbox.perception.segment import Blob
from rushes_sandbox.perception.track import MIN_FRAMES, Incident, Track, make_track
from rushes_sandbox.scene import NUM_FRAMES

JUMP_PX = 8.0
"""A thing at rest that moves further than this between two frames of a 17-frame clip has jumped."""
RECOLOUR_PX = 5.0
"""The same if its colour changes too."""
MAX_GAP = 4
"""Frames a thing may be invisible and still be the same: a cross-fade from red to cyan passes through grey."""
OVERLAP = 3
"""Frames in which the colours before and after a cross-fade may both be visible."""
SPLIT_LOSS = 0.75
"""A thing has split if it keeps less than this share of its area when another appears out of it."""


@dataclass
class _Path:
    """A track that is being built."""

    blobs: dict[int, Blob] = field(default_factory=dict)
    parent: tuple[int, int] | None = None
    """Path it split from, and the frame."""

    @property
    def last(self) -> int:
        return max(self.blobs)

    def velocity(self) -> tuple[float, float]:
        frames = sorted(self.blobs)
        if len(frames) < 2:
            return 0.0, 0.0
        a, b = self.blobs[frames[-2]], self.blobs[frames[-1]]
        gap = frames[-1] - frames[-2]
        return (b.x - a.x) / gap, (b.y - a.y) / gap


def link(blobs: Sequence[Sequence[Blob]]) -> tuple[tuple[Track, ...], tuple[Incident, ...]]:
    """Link the blobs of each frame into tracks, longest first, and list where a thing broke the rules."""
    num_frames = len(blobs)
    reach = max(1.0, (NUM_FRAMES - 1) / max(1, num_frames - 1))
    paths: list[_Path] = []
    for t, seen in enumerate(blobs):
        open_paths = [k for k, path in enumerate(paths) if t - path.last <= MAX_GAP + 1]
        taken: set[int] = set()
        for k, n in _assign([paths[k] for k in open_paths], seen, t, reach):
            paths[open_paths[k]].blobs[t] = seen[n]
            taken.add(n)
        born = [blob for n, blob in enumerate(seen) if n not in taken]
        paths.extend([_Path({t: blob}, _parent(paths, blob, born, t)) for blob in born])
    _join_cross_fades(paths)
    paths, splits = _divide(paths)
    order = sorted(range(len(paths)), key=lambda k: -len(paths[k].blobs))
    kept = [k for k in order if len(paths[k].blobs) >= min(MIN_FRAMES, num_frames)]
    tracks = tuple(make_track(paths[k].blobs, num_frames) for k in kept)
    place = {k: index for index, k in enumerate(kept)}
    divided = [Incident("splits", place[a], t, place[b]) for a, b, t in splits if a in place and b in place]
    return tracks, tuple([*divided, *_comings_and_goings(tracks, divided)])


def _assign(paths: Sequence[_Path], seen: Sequence[Blob], t: int, reach: float) -> list[tuple[int, int]]:
    """Pairs (path, blob) that are the same thing, at the least total cost."""
    if not paths or not seen:
        return []
    far = 1e6
    cost = np.full((len(paths), len(seen)), far)
    for k, path in enumerate(paths):
        last, gap = path.blobs[path.last], t - path.last
        vx, vy = path.velocity()
        speed = float(np.hypot(vx, vy))
        for n, blob in enumerate(seen):
            stay = float(np.hypot(blob.x - last.x, blob.y - last.y))
            go = float(np.hypot(blob.x - last.x - vx * gap, blob.y - last.y - vy * gap))
            same = blob.colour == last.colour
            limit = (JUMP_PX if same else RECOLOUR_PX) * reach + 0.8 * speed + 1.5 * (gap - 1)
            scale = abs(float(np.log(blob.area_px / last.area_px)))
            if min(stay, go) <= limit and scale < 1.6:
                cost[k, n] = min(stay, go) + 4.0 * scale + (0.0 if same else 6.0)
    rows, columns = linear_sum_assignment(cost)
    return [(int(k), int(n)) for k, n in zip(rows, columns, strict=True) if cost[k, n] < far]


def _parent(paths: Sequence[_Path], blob: Blob, born: Sequence[Blob], t: int) -> tuple[int, int] | None:
    """The path that a new blob split from, alone or with others of the `born`, and the frame; None if there is none."""
    for k, path in enumerate(paths):
        before, now = path.blobs.get(t - 1), path.blobs.get(t)
        if before is None:
            continue
        parts = born if now is None else [blob, now]
        near = [p for p in parts if p.colour == before.colour and p.area_px < SPLIT_LOSS * before.area_px]
        reach = np.sqrt(before.area_px / np.pi) + 4.0
        near = [p for p in near if np.hypot(p.x - before.x, p.y - before.y) < reach]
        if len(near) >= 2 and any(p is blob for p in near):
            return k, t
    return None


def _join_cross_fades(paths: list[_Path]) -> None:
    """Merge two paths where a thing of one colour is replaced by one of another in the same place.

    Halfway through a cross-fade both colours can be seen in the same frame, each in a part of the thing.
    """
    for old in paths:
        for new in paths:
            if new is old or not old.blobs or not new.blobs:
                continue
            end, begin = old.last, min(new.blobs)
            if not (-OVERLAP < begin - end <= MAX_GAP + 1 and min(old.blobs) < begin and new.last > end):
                continue
            # The frame before the fade and the frame after it show the whole thing.
            ends = [old.blobs[t] for t in sorted(old.blobs)[-3:]]
            begins = [new.blobs[t] for t in sorted(new.blobs)[:3]]
            nearest = min(float(np.hypot(a.x - b.x, a.y - b.y)) for a in ends for b in begins)
            if ends[0].colour != begins[-1].colour and nearest < RECOLOUR_PX:
                both = old.blobs.keys() & new.blobs.keys()
                larger = {t: max(old.blobs[t], new.blobs[t], key=lambda blob: blob.area_px) for t in both}
                old.blobs.update(new.blobs | larger)
                new.blobs.clear()


def _divide(paths: list[_Path]) -> tuple[list[_Path], list[tuple[int, int, int]]]:
    """End every path at the frame in which a lasting part split from it; returns also (path, part, frame)."""
    splits: list[tuple[int, int, int]] = []
    for k in range(len(paths)):
        parent = paths[k].parent
        if parent is None or len(paths[k].blobs) < MIN_FRAMES:
            continue
        whole, t = parent
        rest = {f: b for f, b in paths[whole].blobs.items() if f >= t}
        paths[whole].blobs = {f: b for f, b in paths[whole].blobs.items() if f < t}
        if rest:
            paths.append(_Path(rest))
        splits.append((whole, k, t))
    return paths, splits


def _comings_and_goings(tracks: Sequence[Track], splits: Sequence[Incident]) -> list[Incident]:
    """Tracks that begin or end within the clip, and pairs of them that look like one thing that jumped."""
    num_frames = len(tracks[0].present_T) if tracks else 0
    divided, parts = {i.track for i in splits}, {i.into for i in splits}
    ends = {k: track.last for k, track in enumerate(tracks) if track.last < num_frames - 2 and k not in divided}
    starts = {k: track.first for k, track in enumerate(tracks) if track.first > 1 and k not in parts}
    found: list[Incident] = []
    for a in list(ends):
        for b in list(starts):
            if a not in ends or b not in starts:
                continue
            alike = tracks[a].colour == tracks[b].colour and tracks[a].shape == tracks[b].shape
            if alike and 0 <= starts[b] - ends[a] <= MAX_GAP + 1:
                found.append(Incident("teleports", a, starts.pop(b), b))
                del ends[a]
    found.extend(Incident("vanishes", k, t + 1) for k, t in ends.items())
    found.extend(Incident("appears", k, t) for k, t in starts.items())
    return found
