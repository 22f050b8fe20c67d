"""Degradations of a clip before it is measured (noise, blur, compression), and clips that are wrong on purpose.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.animate import Tracks, animate
from rushes_sandbox.questions import Check
from rushes_sandbox.render import paint, render
from rushes_sandbox.scene import COLOURS, FPS, NUM_FRAMES, Action, Scene

U8 = NDArray[np.uint8]
Rng = np.random.Generator
BREAK_FRAME = 8
"""First frame that is wrong in a broken clip."""


def add_noise(frames_THWC: U8, rng: Rng, sigma: float = 6.0) -> U8:
    """Gaussian noise of `sigma` levels of 255 on every value."""
    noisy = frames_THWC + rng.normal(0.0, sigma, frames_THWC.shape)
    return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)


def blur(frames_THWC: U8, sigma_px: float = 0.7) -> U8:
    """Gaussian blur of every frame."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma_px) for frame in frames_THWC]).astype(np.uint8)


def compress(frames_THWC: U8, crf: int = 28) -> U8:
    """Encode and decode with H.264 and half-resolution colours, as in a video file."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"crf": str(crf), "threads": "1"})
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames_THWC:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]).astype(np.uint8)


CONDITIONS: dict[str, Callable[[U8, Rng], U8]] = {
    "clean": lambda frames, rng: frames,
    "noise": lambda frames, rng: add_noise(frames, rng, 6.0),
    "blur": lambda frames, rng: blur(frames, 0.7),
    "compression": lambda frames, rng: compress(frames, 28),
    "all mild": lambda frames, rng: compress(add_noise(blur(frames, 0.5), rng, 3.0), 23),
}
"""Ways to degrade a clip, by name: noise of 6 levels, blur of 0.7 px, H.264 at crf 28, and a little of all three."""


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A way to make a clip that does not show its scene."""

    make: Callable[[Scene, Rng], U8 | None]
    """The wrong clip, or None if this scene cannot be made wrong in this way."""
    belies: Callable[[Scene, Check], bool]
    """Whether a true statement about the scene is false of the wrong clip."""


def _paint_broken(scene: Scene, change: Callable[[Tracks], Tracks], extra: bool = False) -> U8:
    """Render changed tracks; with `extra`, the first thing appears twice and the tracks have one more row."""
    things = (*scene.things, scene.things[0]) if extra else scene.things
    return paint(dataclasses.replace(scene, things=things), change(animate(scene)))


def _vanish(scene: Scene, rng: Rng) -> U8:
    def change(tracks: Tracks) -> Tracks:
        # Negative, since a radius of 0 would still render half a pixel.
        radius = tracks.radius_KT.copy()
        radius[0, BREAK_FRAME:] = -3.0
        return dataclasses.replace(tracks, radius_KT=radius)

    return _paint_broken(scene, change)


def _split(scene: Scene, rng: Rng) -> U8:
    def change(tracks: Tracks) -> Tracks:
        def twice(values: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.concatenate([values, values[:1]])

        x, y, radius = twice(tracks.x_KT), tracks.y_KT, tracks.radius_KT.copy()
        aside = 0.95 * radius[0, BREAK_FRAME:]
        x[0, BREAK_FRAME:] -= aside
        x[-1, BREAK_FRAME:] += aside
        radius[0, BREAK_FRAME:] *= 0.65
        radius = twice(radius)
        radius[-1, :BREAK_FRAME] = -3.0
        return dataclasses.replace(tracks, x_KT=x, y_KT=twice(y), radius_KT=radius, rgb_KT3=twice(tracks.rgb_KT3))

    return _paint_broken(scene, change, extra=True)


def _teleport(scene: Scene, rng: Rng) -> U8 | None:
    """The first thing jumps to a place where it stays in view and meets nothing; None if there is no such place."""
    tracks = animate(scene)
    reach = 1.3 * tracks.radius_KT.max(1)
    after = slice(BREAK_FRAME, None)
    for _ in range(200):
        dx, dy = rng.uniform(-40, 40, 2)
        x, y = tracks.x_KT[0, after] + dx, tracks.y_KT[0, after] + dy
        inside = max(np.abs(x).max(), np.abs(y).max()) + reach[0] < 31 / tracks.zoom_T.max()
        away = np.hypot(x - tracks.x_KT[1:, after], y - tracks.y_KT[1:, after]).min(1, initial=np.inf)
        apart = bool((away > reach[0] + reach[1:]).all())
        if np.hypot(dx, dy) > 22 and inside and apart:
            moved_x, moved_y = tracks.x_KT.copy(), tracks.y_KT.copy()
            moved_x[0, after], moved_y[0, after] = x, y
            return paint(scene, dataclasses.replace(tracks, x_KT=moved_x, y_KT=moved_y))
    return None


def _recolour(scene: Scene, rng: Rng) -> U8:
    """Every thing in a colour that the scene does not contain."""
    used = {t.colour for t in scene.things} | {a.colour for a in scene.actions}
    free = [c for c in COLOURS if c not in used]
    new = {c: free[k] for k, c in enumerate(dict.fromkeys(t.colour for t in scene.things))}
    things = tuple(dataclasses.replace(t, colour=new[t.colour]) for t in scene.things)
    return render(dataclasses.replace(scene, things=things))


def _reorder(scene: Scene, rng: Rng) -> U8 | None:
    if scene.dimension != "Motion_Order_Understanding":
        return None
    first, then = scene.actions
    swapped: tuple[Action, ...] = (
        dataclasses.replace(first, verb=then.verb, amount=then.amount),
        dataclasses.replace(then, verb=first.verb, amount=first.amount),
    )
    return render(dataclasses.replace(scene, actions=swapped))


def _freeze(scene: Scene, rng: Rng) -> U8 | None:
    """The first frame, 17 times."""
    return np.repeat(render(scene)[:1], NUM_FRAMES, 0) if scene.actions or scene.camera != "still" else None


def _is_about_first(scene: Scene, check: Check) -> bool:
    """Whether a check is about the first thing, by its name or as one of its kind."""
    first = scene.things[0]
    # A name also begins its plural.
    named = check.subject.startswith(first.name) or check.subject == first.shape or check.other == first.name
    # Things of the same look remain when one of them goes, so only their number is wrong then.
    return named and (check.kind == "count" or scene.dimension != "Instance_Preservation")


def _is_motion(scene: Scene, check: Check) -> bool:
    moving = {"moves", "grows", "shrinks", "faster", "bounces", "waits"}
    if check.kind == "touches":
        return True
    new = scene.actions[0].colour if scene.actions else None
    late = check.when == "end" and (check.kind == "relation" or (check.kind == "colour" and check.value == new))
    return check.kind in moving or late or (check.kind == "camera" and check.value != "still")


WRONG: dict[str, Wrong] = {
    "vanishes": Wrong(_vanish, _is_about_first),
    "splits": Wrong(_split, _is_about_first),
    "teleports": Wrong(_teleport, _is_about_first),
    "wrong colour": Wrong(_recolour, lambda s, c: " " in c.subject or (c.kind == "colour" and c.when == "start")),
    "wrong order": Wrong(_reorder, lambda s, c: c.kind == "moves"),
    "frozen": Wrong(_freeze, _is_motion),
}
"""Ways for a clip to be wrong, by name; the measurer should answer No to every statement that they contradict."""
