"""Answers the questions of the sandbox from an `Observation`.

A statement about a thing is true only if the clip shows that thing: one continuous track with the named look, visible
in nearly every frame. If the thing is missing, vanishes, divides or jumps, every statement about it is false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.perception.observe import Observation
from rushes_sandbox.perception.track import Track
from rushes_sandbox.questions import Check
from rushes_sandbox.scene import COLOURS, SHAPES

PRESENT = 0.8
"""Share of the frames in which a thing must be visible to count as present."""
RIVAL = 0.4
"""Share of the frames from which a second thing of the same look makes `the` thing ambiguous."""
ALMOST_EVERY_FRAME = 0.88
"""Share of the frames in which the number of things must be right: 15 of 17."""
MOVE_PX = 6.0
"""A shorter path than this is no motion; the shortest that questions ask about is 10 px."""
APART_PX = 6.0
"""Centres closer than this show no relation."""
DOMINANCE = 1.4
"""Factor by which the motion along a direction's own axis must exceed the motion along the other."""
SIZE_CHANGE = 1.3
"""Factor of the diameter from which a thing has grown or shrunk; the world's own factor is 2."""
REBOUND_PX = 4.0
"""Rise after the lowest point that counts as a bounce; the world's own are about 12 px."""
SPEED_UP = 1.6
"""Ratio of the distance fallen in the second half of a fall to that in the first; 1 is steady, free fall is 3."""
TOUCH_PX = 2.5
"""Widest gap between two things that touch; squares meet at 1.3 px."""
STILL_PX = 2.5
"""A thing that moves no further than this stays still."""
ENDS = 2
"""Frames averaged at the start and at the end."""
_WORDS = {"one": 1, "two": 2, "three": 3}


@dataclass(frozen=True)
class Unclear:
    """The pixels do not decide the answer."""

    reason: str


def answer(check: Check, seen: Observation) -> bool | Unclear:
    """Whether the clip shows what `check` states.

    Raises:
        ValueError: the check names no kind, direction, number or thing of the sandbox.
    """
    if check.kind not in _ANSWER:
        raise ValueError(f"no such kind of check: {check.kind!r}")
    return _ANSWER[check.kind](check, seen)


def _look(name: str) -> tuple[str, str]:
    """(colour or "", shape) of `red circle`, `red circles` or `circle`."""
    words = name.split()
    shape = next((s for s in SHAPES if words and words[-1] in (s, f"{s}s", f"{s}es")), None)
    colour = words[0] if len(words) == 2 else ""
    if shape is None or (colour and colour not in COLOURS):
        raise ValueError(f"expected a thing such as 'red circle', got {name!r}")
    return colour, shape


def _matching(name: str, seen: Observation) -> list[int]:
    """Indices of the tracks with the named look."""
    colour, shape = _look(name)
    return [k for k, track in enumerate(seen.tracks) if shape in track.shapes and colour in ("", track.colour)]


def _the(name: str, seen: Observation) -> int | None:
    """Index of the only thing of that name that is present throughout; None if there is none, or more than one."""
    found = [k for k in _matching(name, seen) if seen.tracks[k].presence >= RIVAL]
    return found[0] if len(found) == 1 and seen.tracks[found[0]].presence >= PRESENT else None


def _place(track: Track, first: int, stop: int) -> NDArray[np.float64]:
    """Mean (x, y) in frames `first` to `stop` - 1, gaps interpolated."""
    frames, seen = np.arange(len(track.present_T)), track.present_T
    x, y = np.interp(frames, frames[seen], track.x_T[seen]), np.interp(frames, frames[seen], track.y_T[seen])
    return np.array([x[first:stop].mean(), y[first:stop].mean()])


def _points(way: NDArray[np.float64], value: str, least: float) -> bool:
    """Whether a vector (x right, y down) points to `value`, far enough and more than to either side."""
    axes = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "above": (1, -1), "down": (1, 1), "below": (1, 1)}
    if value not in axes:
        raise ValueError(f"expected a direction or relation, one of {', '.join(axes)}; got {value!r}")
    axis, sign = axes[value]
    along, across = sign * float(way[axis]), abs(float(way[1 - axis]))
    return along >= least and along >= DOMINANCE * across


def _exists(check: Check, seen: Observation) -> bool:
    return any(seen.tracks[k].presence >= PRESENT for k in _matching(check.subject, seen))


def _colour(check: Check, seen: Observation) -> bool:
    k, some = _the(check.subject, seen), max(2, seen.num_frames // 4)
    if k is None:
        return False
    within = {"start": (0, some), "end": (seen.num_frames - some, seen.num_frames), "": (0, seen.num_frames)}
    return seen.tracks[k].colour_within(*within[check.when]) == check.value


def _size_ratio(track: Track) -> float:
    """Diameter at the end over diameter at the start."""
    area = track.area_T[track.present_T]
    return float(np.sqrt(area[-ENDS:].mean() / area[:ENDS].mean()))


def _grows(check: Check, seen: Observation) -> bool:
    k = _the(check.subject, seen)
    return k is not None and _size_ratio(seen.tracks[k]) >= SIZE_CHANGE


def _shrinks(check: Check, seen: Observation) -> bool:
    k = _the(check.subject, seen)
    return k is not None and _size_ratio(seen.tracks[k]) <= 1 / SIZE_CHANGE


def _moves(check: Check, seen: Observation) -> bool:
    k, middle = _the(check.subject, seen), seen.num_frames // 2
    if k is None:
        return False
    first, stop = {"first": (0, middle + 1), "second": (middle, seen.num_frames), "": (0, seen.num_frames)}[check.when]
    way = _place(seen.tracks[k], stop - ENDS, stop) - _place(seen.tracks[k], first, first + ENDS)
    return _points(way, check.value, MOVE_PX)


def _relation(check: Check, seen: Observation) -> bool:
    a, b = _the(check.subject, seen), _the(check.other, seen)
    if a is None or b is None:
        return False
    last = seen.num_frames
    spans = {"start": [(0, ENDS)], "end": [(last - ENDS, last)], "": [(t, t + 1) for t in range(last)]}[check.when]
    holds = [_points(_place(seen.tracks[a], *s) - _place(seen.tracks[b], *s), check.value, APART_PX) for s in spans]
    return float(np.mean(holds)) >= PRESENT


def _camera(check: Check, seen: Observation) -> bool | Unclear:
    if not seen.camera.readable:
        return Unclear("the background has no texture that could show a camera motion")
    return seen.camera.is_seen(check.value)  # type: ignore[arg-type]


def _count(check: Check, seen: Observation) -> bool:
    if check.value not in _WORDS:
        raise ValueError(f"expected a number, one of {', '.join(_WORDS)}; got {check.value!r}")
    wanted, found = _WORDS[check.value], [seen.tracks[k] for k in _matching(check.subject, seen)]
    lasting = sum(track.presence >= PRESENT for track in found)
    if lasting != wanted:
        return False
    per_frame = np.sum([track.present_T for track in found], axis=0)
    return float((per_frame == wanted).mean()) >= ALMOST_EVERY_FRAME


def _fall(track: Track) -> NDArray[np.float64]:
    """Heights (y downwards) from the first visible frame to the one in which it has nearly reached its lowest."""
    y = track.y_T[track.present_T]
    # Not quite the lowest: a thing at rest on the floor stays lowest for long, and a soft landing approaches slowly.
    return y[: int(np.argmax(y >= y[0] + 0.9 * (y.max() - y[0]))) + 1]


def _faster(check: Check, seen: Observation) -> bool:
    k = _the(check.subject, seen)
    if k is None:
        return False
    y = _fall(seen.tracks[k])
    if len(y) < 4 or y[-1] - y[0] < MOVE_PX:
        return False
    middle = float(np.interp((len(y) - 1) / 2, np.arange(len(y)), y))
    return bool(y[-1] - middle >= SPEED_UP * (middle - y[0]))


def _bounces(check: Check, seen: Observation) -> bool:
    k = _the(check.subject, seen)
    if k is None:
        return False
    y = seen.tracks[k].y_T[seen.tracks[k].present_T]
    lowest = int(y.argmax())
    return bool(y[lowest] - y[0] >= MOVE_PX and y[lowest] - y[lowest:].min() >= REBOUND_PX)


def _first_touch(check: Check, seen: Observation) -> tuple[int, int, int] | None:
    """(subject, other, frame of the first touch), or None if one is missing or they never touch."""
    a, b = _the(check.subject, seen), _the(check.other, seen)
    if a is None or b is None or a == b:
        return None
    near = np.flatnonzero(np.nan_to_num(seen.gap_KKT[a, b], nan=np.inf) <= TOUCH_PX)
    return (a, b, int(near[0])) if len(near) else None


def _touches(check: Check, seen: Observation) -> bool:
    return _first_touch(check, seen) is not None


def _waits(check: Check, seen: Observation) -> bool | Unclear:
    met = _first_touch(check, seen)
    if met is None:
        return False
    k, _, frame = met
    if frame == 0:
        return Unclear(f"the {check.subject} and the {check.other} touch from the first frame on")
    track = seen.tracks[k]
    before = np.flatnonzero(track.present_T[:frame])
    if not len(before):
        return False
    away = np.hypot(track.x_T[before] - track.x_T[before[0]], track.y_T[before] - track.y_T[before[0]])
    return bool(away.max() <= STILL_PX)


_ANSWER: dict[str, Callable[[Check, Observation], bool | Unclear]] = {
    "exists": _exists,
    "colour": _colour,
    "grows": _grows,
    "shrinks": _shrinks,
    "moves": _moves,
    "relation": _relation,
    "camera": _camera,
    "count": _count,
    "faster": _faster,
    "bounces": _bounces,
    "waits": _waits,
    "touches": _touches,
}
