"""The exact answer of any check about any clip whose tracks are known, or None if the question is ill-posed.

The scene's own checks already have their answers. This is for every other pairing of a question with a clip: mismatched
questions, and clips that were broken on purpose. Between a sure yes and a sure no there is a margin with the answer
None, so that borderline cases are neither trained on nor measured.

A statement about a thing is false if the thing is never visible, is absent for half of the time in question, is
joined by a second one of its kind, or jumps. Legend: K things, T frames; lengths in world pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.animate import STEP, Tracks
from rushes_sandbox.questions import Check
from rushes_sandbox.scene import COLOURS, Scene
from rushes_sandbox.sight import FOREIGN_COLOUR, PURE_COLOUR, Onlooker, Sight, colour_distance, window

JUMP_PX = 10.0
"""Path between two frames that is too long for any motion of this world; a fall ends at 8.5."""


@dataclass(frozen=True)
class _Clip:
    """The input of every rule."""

    check: Check
    tracks: Tracks
    subject: Sight
    other: Sight

    @property
    def frames(self) -> slice:
        """The frames that the check refers to."""
        return window(self.check.when, self.tracks.x_KT.shape[1])

    @property
    def camera_moves(self) -> bool:
        """Whether the camera moves enough to make a thing's own motion and size unclear."""
        return bool(np.ptp(self.tracks.camera_x_T) > 1.5 or np.ptp(self.tracks.zoom_T) > 0.05)

    def track(self, k: int, when: slice) -> NDArray[np.float64]:
        """World x and y of thing `k`: shape (2, frames of `when`)."""
        return np.stack([self.tracks.x_KT[k, when], self.tracks.y_KT[k, when]]).astype(float)


class Witness(Onlooker):
    """A clip that answers any number of checks."""

    def answer(self, check: Check) -> bool | None:
        """See `truth`."""
        clip = _Clip(check, self.tracks, self.look(check.subject), self.look(check.other))
        return _RULES[check.kind](clip)


def truth(check: Check, scene: Scene, tracks: Tracks) -> bool | None:
    """Answer `check` about the clip of `scene` and `tracks`; None if it is borderline or makes no sense there."""
    return Witness(scene, tracks).answer(check)


def _agree(answers: Iterable[bool | None]) -> bool | None:
    """The answer that all of them share; None if they differ."""
    different = set(answers)
    return different.pop() if len(different) == 1 else None


def _each(clip: _Clip, rule: Callable[[int], bool | None]) -> bool | None:
    """What `rule` says about every thing in question; False if there is none."""
    found = clip.subject.whole(clip.frames)
    return _agree(rule(k) for k in found) if isinstance(found, list) else found


def _each_pair(clip: _Clip, rule: Callable[[int, int], bool | None]) -> bool | None:
    found, others = clip.subject.whole(clip.frames), clip.other.whole(clip.frames)
    if found is False or others is False:
        return False
    if not isinstance(found, list) or not isinstance(others, list) or set(found) & set(others):
        return None
    return _agree(rule(a, b) for a in found for b in others)


# ------------------------------------------------------------------------------------------------ one rule per kind


def _exists(clip: _Clip) -> bool | None:
    return clip.subject.present(clip.frames)


def _colour(clip: _Clip) -> bool | None:
    if any(colour in clip.check.subject.split() for colour in COLOURS):
        return None
    return _each(clip, lambda k: _has_colour(clip, k))


def _has_colour(clip: _Clip, k: int) -> bool | None:
    distance_T = colour_distance(clip.tracks.rgb_KT3[k, clip.frames], clip.check.value)
    if (distance_T <= PURE_COLOUR).all():
        return True
    return False if (distance_T >= FOREIGN_COLOUR).all() else None


def _moves(clip: _Clip) -> bool | None:
    if clip.camera_moves:
        return False if clip.subject.present(clip.frames) is False else None
    return _each(clip, lambda k: _goes(clip.track(k, clip.frames), np.asarray(STEP[clip.check.value])))


def _goes(xy: NDArray[np.float64], step: NDArray[np.float64]) -> bool | None:
    """Whether a path leads along `step` (a unit vector) and in no other direction."""
    if _jumps(xy):
        return False
    along, across = step @ xy, step[::-1] @ xy
    forth = _largest_rise(along)
    sideways, back = np.ptp(across), _largest_rise(-along)
    if forth >= 7.0 and back <= 2.0 and sideways <= 0.4 * forth:
        return True
    return False if forth <= max(2.5, 0.15 * sideways) else None


def _jumps(xy: NDArray[np.float64]) -> bool:
    return bool(np.linalg.norm(np.diff(xy), axis=0).max(initial=0.0) >= JUMP_PX)


def _largest_rise(values: NDArray[np.float64]) -> float:
    """The largest increase of a sequence from an earlier to a later value."""
    return float((values - np.minimum.accumulate(values)).max())


def _resizes(clip: _Clip) -> bool | None:
    if clip.camera_moves:
        return False if clip.subject.present(clip.frames) is False else None
    sign = 1.0 if clip.check.kind == "grows" else -1.0
    return _each(clip, lambda k: _swells(sign * np.log(clip.tracks.radius_KT[k].astype(float))))


def _swells(log_radius_T: NDArray[np.float64]) -> bool | None:
    forth, back = _largest_rise(log_radius_T), _largest_rise(-log_radius_T)
    if forth >= np.log(1.4) and back <= 0.1:
        return True
    return False if forth <= np.log(1.12) else None


def _relation(clip: _Clip) -> bool | None:
    return _each_pair(clip, lambda a, b: _stands(clip, a, b))


def _stands(clip: _Clip, a: int, b: int) -> bool | None:
    """Whether `a` is on the named side of `b` in all the frames in question, or in none of them."""
    side = {"left": "left", "right": "right", "above": "up", "below": "down"}[clip.check.value]
    step = np.asarray(STEP[side])
    gap = clip.track(a, clip.frames) - clip.track(b, clip.frames)
    along, across = step @ gap, np.abs(step[::-1] @ gap)
    if ((along >= 6.0) & (across <= 0.7 * along)).all():
        return True
    return False if (along <= np.maximum(2.0, 0.25 * across)).all() else None


def _camera(clip: _Clip) -> bool | None:
    panned = float(clip.tracks.camera_x_T[-1] - clip.tracks.camera_x_T[0])
    zoomed = float(clip.tracks.zoom_T[-1] / clip.tracks.zoom_T[0])
    amount = {
        "pan_right": panned / 8,
        "pan_left": -panned / 8,
        "zoom_in": zoomed / 1.25,
        "zoom_out": 1 / (1.25 * zoomed),
    }
    does = [name for name, value in amount.items() if value >= 1.0]
    still = abs(panned) <= 1.5 and abs(np.log(zoomed)) <= 0.05
    if len(does) + still != 1:
        return None
    return clip.check.value == (does[0] if does else "still")


def _count(clip: _Clip) -> bool | None:
    asked = {"one": 1, "two": 2, "three": 3}[clip.check.value]
    most_T = clip.subject.maybe_KT.sum(0)
    surely_T = clip.subject.surely_KT.sum(0)
    least_T = surely_T if surely_T.max() < 2 else np.array([_separate(clip, t) for t in range(len(most_T))])
    if ((least_T == asked) & (most_T == asked)).all():
        return True
    return False if ((asked < least_T) | (asked > most_T)).sum() >= 3 else None


def _separate(clip: _Clip, t: int) -> int:
    """How many of the things surely visible in frame `t` are clear of the ones counted before them."""
    counted: list[int] = []
    for k in np.flatnonzero(clip.subject.surely_KT[:, t]):
        reach = [1.05 * (clip.tracks.radius_KT[k, t] + clip.tracks.radius_KT[j, t]) for j in counted]
        if all(_distance(clip, int(k), j)[t] > far for j, far in zip(counted, reach, strict=True)):
            counted.append(int(k))
    return len(counted)


def _distance(clip: _Clip, a: int, b: int) -> NDArray[np.float64]:
    everything = window("", clip.tracks.x_KT.shape[1])
    return np.asarray(np.linalg.norm(clip.track(a, everything) - clip.track(b, everything), axis=0))


def _falls(clip: _Clip, k: int) -> tuple[int, int] | None:
    """First and last frame of the longest path straight down, or None if it is shorter than 10 px or slanted."""
    x_T, y_T = clip.track(k, clip.frames)
    low = int(np.argmax(y_T - np.minimum.accumulate(y_T)))
    high = int(np.flatnonzero(y_T[: low + 1] <= y_T[: low + 1].min() + 0.2)[-1])
    straight = np.ptp(x_T[high : low + 1]) <= 4.0
    return (high, low) if straight and low - high >= 4 and y_T[low] - y_T[high] >= 10.0 else None


def _faster(clip: _Clip) -> bool | None:
    return _speaking_of_falls(clip, _speeds_up)


def _bounces(clip: _Clip) -> bool | None:
    return _speaking_of_falls(clip, _comes_back)


def _speaking_of_falls(clip: _Clip, rule: Callable[[_Clip, int, tuple[int, int]], bool | None]) -> bool | None:
    """Answer `rule` for a thing that falls, False for one that hardly moves down, None in between."""
    if clip.camera_moves:
        return False if clip.subject.present(clip.frames) is False else None

    def answer(k: int) -> bool | None:
        if _jumps(clip.track(k, clip.frames)):
            return False
        fall = _falls(clip, k)
        if fall is not None:
            return rule(clip, k, fall)
        return False if _largest_rise(clip.track(k, clip.frames)[1]) <= 3.0 else None

    return _each(clip, answer)


def _speeds_up(clip: _Clip, k: int, fall: tuple[int, int]) -> bool | None:
    high, low = fall
    speed = np.diff(clip.track(k, clip.frames)[1][high : low + 1])
    # The step that reaches the floor is cut short by it.
    third = max(1, (len(speed) - 1) // 3)
    ratio = speed[-third - 1 : -1].mean() / max(0.1, speed[:third].mean())
    if ratio >= 1.8:
        return True
    return False if ratio <= 1.25 else None


def _comes_back(clip: _Clip, k: int, fall: tuple[int, int]) -> bool | None:
    back = _largest_rise(-clip.track(k, clip.frames)[1][fall[1] :])
    if back >= 5.0:
        return True
    return False if back <= 1.5 else None


def _touches(clip: _Clip) -> bool | None:
    return _each_pair(clip, lambda a, b: False if _either_jumps(clip, a, b) else _meets(clip, a, b)[0])


def _either_jumps(clip: _Clip, a: int, b: int) -> bool:
    return _jumps(clip.track(a, clip.frames)) or _jumps(clip.track(b, clip.frames))


def _meets(clip: _Clip, a: int, b: int) -> tuple[bool | None, int]:
    """Whether two things touch, and the frame in which they first do (or are closest)."""
    gap_T = _distance(clip, a, b) - (clip.tracks.radius_KT[a] + clip.tracks.radius_KT[b])
    near = np.flatnonzero(gap_T <= 1.0)
    if len(near):
        return True, int(near[0])
    return (False if gap_T.min() >= 5.0 else None), int(gap_T.argmin())


def _waits(clip: _Clip) -> bool | None:
    """Whether the subject stays in place until the other touches it."""
    return _each_pair(clip, lambda a, b: _stays(clip, a, b))


def _stays(clip: _Clip, a: int, b: int) -> bool | None:
    if _either_jumps(clip, a, b):
        return False
    met, frame = _meets(clip, a, b)
    xy = clip.track(a, slice(0, frame + 1) if met else clip.frames)
    moved = float(np.linalg.norm(xy - xy[:, :1], axis=0).max())
    if moved >= 5.0:
        return False
    return True if met and moved <= 2.0 else None


_RULES: dict[str, Callable[[_Clip], bool | None]] = {
    "exists": _exists,
    "colour": _colour,
    "grows": _resizes,
    "shrinks": _resizes,
    "moves": _moves,
    "relation": _relation,
    "camera": _camera,
    "count": _count,
    "faster": _faster,
    "bounces": _bounces,
    "waits": _waits,
    "touches": _touches,
}
