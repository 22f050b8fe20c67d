"""Clips that break as generated clips break: things vanish, split, teleport, change or freeze, with their exact truth.

Every breakage takes a staged clip (scene and tracks) and returns another one, rendered and asked about like any other.
Legend: K things, T frames; lengths in world pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rushes_sandbox.animate import Tracks, animate
from rushes_sandbox.grammar import draw_scene
from rushes_sandbox.scene import BACKGROUND_RGB, COLOUR_RGB, COLOURS, SHAPES, Colour, Scene, Thing

Rng = np.random.Generator
AWAY_PX = 1000.0
"""World x of what must not be visible."""


@dataclass(frozen=True, eq=False)
class Staged:
    """A clip before it is rendered."""

    scene: Scene
    """Its things and setting. Its actions are what was meant; the tracks are what happens."""
    tracks: Tracks
    breakage: str = ""
    """What was broken on purpose; empty for a clip that follows its scene."""


def stage(scene: Scene) -> Staged:
    """The clip that follows its scene."""
    return Staged(scene, animate(scene))


def broken(staged: Staged, rng: Rng, name: str | None = None) -> Staged:
    """Break a clip in one way, drawn at random unless named; unchanged if the drawn breakage does not apply to it."""
    names = list(BREAKAGES)
    name = name or names[int(rng.choice(len(names), p=_SHARE))]
    for _ in range(4):
        result = BREAKAGES[name](staged, rng)
        if result is not None and (name == "split" or _clear(result.tracks)):
            return dataclasses.replace(result, breakage=name)
    return staged


def _clear(tracks: Tracks) -> bool:
    """Whether no thing hides much of another, which would make it ambiguous which one is visible."""
    count = len(tracks.x_KT)
    for a in range(count):
        for b in range(a):
            far_T = np.hypot(tracks.x_KT[a] - tracks.x_KT[b], tracks.y_KT[a] - tracks.y_KT[b])
            visible_T = (np.abs(tracks.x_KT[[a, b]]) < AWAY_PX / 2).all(0)
            if (visible_T & (far_T < 0.9 * (tracks.radius_KT[a] + tracks.radius_KT[b]))).any():
                return False
    return True


def _copy(tracks: Tracks) -> Tracks:
    return Tracks(**{field.name: getattr(tracks, field.name).copy() for field in dataclasses.fields(tracks)})


def _one(staged: Staged, rng: Rng) -> int:
    return int(rng.integers(len(staged.scene.things)))


def _moment(staged: Staged, rng: Rng) -> int:
    """A frame well inside the clip."""
    count = staged.tracks.x_KT.shape[1]
    return int(rng.integers(count // 4, count - count // 4 + 1))


def _twin(staged: Staged, k: int, thing: Thing) -> Staged:
    """Add `thing` with a copy of thing `k`'s tracks, as the last row."""
    t = staged.tracks
    rows = {name: np.concatenate([getattr(t, name), getattr(t, name)[k : k + 1]]) for name in _ROWS}
    scene = dataclasses.replace(staged.scene, things=(*staged.scene.things, thing))
    return Staged(scene, dataclasses.replace(_copy(t), **rows))


_ROWS = ("x_KT", "y_KT", "radius_KT", "rgb_KT3")


def _vanish(staged: Staged, rng: Rng) -> Staged:
    """A thing is gone for a part of the clip: its end, its beginning, or a few frames in between."""
    tracks, k, at = _copy(staged.tracks), _one(staged, rng), _moment(staged, rng)
    gone = [slice(at, None), slice(0, at), slice(at, at + 4)][int(rng.integers(3))]
    tracks.x_KT[k, gone] = AWAY_PX
    return Staged(staged.scene, tracks)


def _missing(staged: Staged, rng: Rng) -> Staged:
    """A thing is absent from the whole clip."""
    tracks = _copy(staged.tracks)
    tracks.x_KT[_one(staged, rng)] = AWAY_PX
    return Staged(staged.scene, tracks)


def _split(staged: Staged, rng: Rng) -> Staged:
    """A second copy comes out of a thing."""
    k, at = _one(staged, rng), _moment(staged, rng)
    result = _twin(staged, k, staged.scene.things[k])
    num_frames = result.tracks.x_KT.shape[1]
    away_T = np.maximum(np.arange(num_frames) - at + 1, 0) * rng.uniform(1.5, 4.0)
    away_T = np.minimum(away_T, rng.uniform(14, 24))
    angle = rng.uniform(0, 2 * np.pi)
    result.tracks.x_KT[-1] += (away_T * np.cos(angle)).astype(np.float32)
    result.tracks.y_KT[-1] += (away_T * np.sin(angle)).astype(np.float32)
    result.tracks.x_KT[-1, :at] = AWAY_PX
    return result


def _teleport(staged: Staged, rng: Rng) -> Staged:
    tracks, k, at = _copy(staged.tracks), _one(staged, rng), _moment(staged, rng)
    tracks.x_KT[k, at:] += np.float32(rng.uniform(-24, 24))
    tracks.y_KT[k, at:] += np.float32(rng.uniform(-24, 24))
    return Staged(staged.scene, tracks)


def _reshape(staged: Staged, rng: Rng) -> Staged:
    """A thing has another shape from some frame on, or throughout."""
    k, at = _one(staged, rng), int(rng.choice([0, _moment(staged, rng)]))
    thing = staged.scene.things[k]
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    result = _twin(staged, k, dataclasses.replace(thing, shape=shape))
    result.tracks.x_KT[-1, :at] = AWAY_PX
    result.tracks.x_KT[k, at:] = AWAY_PX
    return result


def _recolour(staged: Staged, rng: Rng) -> Staged:
    """A thing has another colour from some frame on, or throughout."""
    tracks, k, at = _copy(staged.tracks), _one(staged, rng), int(rng.choice([0, _moment(staged, rng)]))
    colour: Colour = COLOURS[int(rng.integers(len(COLOURS)))]
    fade_T = np.clip((np.arange(tracks.x_KT.shape[1]) - at + 1) / rng.uniform(1, 4), 0, 1)[:, None]
    tracks.rgb_KT3[k] += ((np.asarray(COLOUR_RGB[colour]) - tracks.rgb_KT3[k]) * fade_T).astype(np.float32)
    return Staged(staged.scene, tracks)


def _swap(staged: Staged, rng: Rng) -> Staged | None:
    """Two things swap colours or places."""
    if len(staged.scene.things) < 2:
        return None
    tracks = _copy(staged.tracks)
    a, b = (int(i) for i in rng.choice(len(staged.scene.things), size=2, replace=False))
    for name in ("rgb_KT3",) if rng.random() < 0.5 else ("x_KT", "y_KT"):
        rows = getattr(tracks, name)
        rows[[a, b]] = rows[[b, a]]
    return Staged(staged.scene, tracks)


def _freeze(staged: Staged, rng: Rng) -> Staged:
    """Everything stands still from some frame on, or the whole time."""
    tracks, at = _copy(staged.tracks), int(rng.choice([0, _moment(staged, rng)]))
    for name in (*_ROWS, "camera_x_T", "zoom_T"):
        rows = getattr(tracks, name)
        if name in _ROWS:
            rows[:, at:] = rows[:, at : at + 1]
        else:
            rows[at:] = rows[at]
    return Staged(staged.scene, tracks)


def _ghost(staged: Staged, rng: Rng) -> Staged:
    """A thing is half transparent for a part of the clip."""
    tracks, k, at = _copy(staged.tracks), _one(staged, rng), int(rng.choice([0, _moment(staged, rng)]))
    behind = np.asarray(BACKGROUND_RGB[staged.scene.background], np.float32)
    tracks.rgb_KT3[k, at:] += np.float32(rng.uniform(0.3, 0.8)) * (behind - tracks.rgb_KT3[k, at:])
    return Staged(staged.scene, tracks)


def _reverse(staged: Staged, rng: Rng) -> Staged:
    """The clip runs backwards."""
    t = staged.tracks
    rows = {name: getattr(t, name)[:, ::-1].copy() for name in _ROWS}
    return Staged(staged.scene, Tracks(**rows, camera_x_T=t.camera_x_T[::-1].copy(), zoom_T=t.zoom_T[::-1].copy()))


def _retime(staged: Staged, rng: Rng) -> Staged:
    """One thing moves too far, too little, in the wrong direction, or too early; the others move as meant."""
    tracks, k = _copy(staged.tracks), _one(staged, rng)
    num_frames = tracks.x_KT.shape[1]
    earlier = int(rng.integers(0, num_frames // 3))
    frame_T = np.minimum(np.arange(num_frames) + earlier, num_frames - 1)
    factor = np.float32(rng.choice([-1.0, 0.0, 0.3, 0.6, 1.0, 1.3]))
    for rows in (tracks.x_KT, tracks.y_KT):
        moved_T = rows[k] - rows[k, 0]
        rows[k] = rows[k, 0] + factor * moved_T[frame_T]
    return Staged(staged.scene, tracks)


def _turn_aside(staged: Staged, rng: Rng) -> Staged:
    """One thing's path is turned by 90, 180 or 270 degrees, from the start or from the middle on."""
    tracks, k, at = _copy(staged.tracks), _one(staged, rng), int(rng.choice([0, _middle(staged)]))
    dx_T, dy_T = tracks.x_KT[k] - tracks.x_KT[k, at], tracks.y_KT[k] - tracks.y_KT[k, at]
    quarter = int(rng.integers(1, 4))
    cos, sin = (0, -1, 0)[quarter - 1], (1, 0, -1)[quarter - 1]
    tracks.x_KT[k, at:] = (tracks.x_KT[k, at] + cos * dx_T - sin * dy_T)[at:]
    tracks.y_KT[k, at:] = (tracks.y_KT[k, at] + sin * dx_T + cos * dy_T)[at:]
    return Staged(staged.scene, tracks)


def _middle(staged: Staged) -> int:
    """Index of the middle frame."""
    return int(staged.tracks.x_KT.shape[1]) // 2


def _plod(staged: Staged, rng: Rng) -> Staged | None:
    """A thing that should accelerate as it falls sinks at constant speed, then stays down or bounces."""
    if staged.scene.dimension != "Mechanics":
        return None
    tracks = _copy(staged.tracks)
    y_T = tracks.y_KT[0]
    low = int(y_T[:10].argmax())
    y_T[: low + 1] = np.linspace(y_T[0], y_T[low], low + 1)
    y_T[low:] = y_T[low] + np.float32(rng.choice([0.0, 0.5, 1.0])) * (y_T[low:] - y_T[low])
    return Staged(staged.scene, tracks)


def _guest(staged: Staged, rng: Rng) -> Staged:
    """A thing that was not requested appears too, with its own motion."""
    other = draw_scene(rng, "Simple" if rng.random() < 0.5 else "Dynamic_Attribute")
    result = _twin(staged, 0, other.things[0])
    guest = animate(other, staged.tracks.x_KT.shape[1])
    for name in _ROWS:
        getattr(result.tracks, name)[-1] = getattr(guest, name)[0]
    return result


def _refilm(staged: Staged, rng: Rng) -> Staged:
    """A different camera move than the one meant, or the same move at another strength."""
    tracks = _copy(staged.tracks)
    num_frames = tracks.x_KT.shape[1]
    t_T = np.linspace(0, 1, num_frames, dtype=np.float32)
    pan = np.float32(rng.choice([0.0, 0.0, -1.0, 1.0]) * rng.uniform(9, 22))
    zoom = np.float32(rng.choice([1.0, rng.uniform(1.3, 1.7), 1 / rng.uniform(1.3, 1.7)]) if pan == 0 else 1.0)
    tracks.camera_x_T[:] = pan * (t_T - 0.5)
    tracks.zoom_T[:] = zoom**t_T if zoom >= 1 else zoom ** (t_T - 1)
    return Staged(staged.scene, tracks)


def _tremble(staged: Staged, rng: Rng) -> Staged:
    """Positions and sizes waver from frame to frame."""
    tracks = _copy(staged.tracks)
    shape, strength = tracks.x_KT.shape, rng.uniform(0.2, 0.7)
    tracks.x_KT[:] += strength * rng.standard_normal(shape, dtype=np.float32)
    tracks.y_KT[:] += strength * rng.standard_normal(shape, dtype=np.float32)
    tracks.radius_KT[:] *= 1 + np.float32(0.03) * rng.standard_normal(shape, dtype=np.float32)
    return Staged(staged.scene, tracks)


BREAKAGES: dict[str, Callable[[Staged, Rng], Staged | None]] = {
    "vanish": _vanish,
    "missing": _missing,
    "split": _split,
    "teleport": _teleport,
    "reshape": _reshape,
    "recolour": _recolour,
    "swap": _swap,
    "freeze": _freeze,
    "ghost": _ghost,
    "reverse": _reverse,
    "retime": _retime,
    "turn_aside": _turn_aside,
    "plod": _plod,
    "guest": _guest,
    "refilm": _refilm,
    "tremble": _tremble,
}
"""Every way to break a clip, by name. Each returns None where it does not apply."""
_OFTEN = {"split": 1.5, "reshape": 1.5, "recolour": 1.5, "reverse": 1.5, "retime": 2.0, "turn_aside": 1.5, "swap": 2.0}
_SHARE = np.array([_OFTEN.get(name, 1.0) for name in BREAKAGES])
_SHARE /= _SHARE.sum()
