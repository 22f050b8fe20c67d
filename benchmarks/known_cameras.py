"""How often Camera_Motion in `fixed` finds a camera that is known; no weights. Needs some clips from still cameras.

        python benchmarks/known_cameras.py CLIPS                 all clips (*.mp4) of a folder; the table of the docs
        python benchmarks/known_cameras.py CLIPS --still ant     which of them a still camera took: part of their names
        python benchmarks/known_cameras.py CLIPS --every 4       every fourth clip of the table: faster, less sure
        python benchmarks/known_cameras.py CLIPS --orbits        Multi-View_Consistency of cameras that circle

From one frame of each clip: a flat picture that moves, and scenes with depth through which a camera travels. From the
clips of a still camera: a window that moves over them, while what they show goes on moving. A clip is *right* if the
label of its camera is among those found and *exact* if no other is; *wrong* if others are found, *static* if it is said
to stand; else *unscored*.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rushes.records import Scored
from rushes.roles import Video
from rushes.store.video import read_video
from rushes_vbench.metrics.camera_motion import labels_of
from rushes_vbench.metrics.motion_models import DenseInverseSearch, SiftRansac
from rushes_vbench.metrics.multi_view import multi_view_consistency
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView
from tests.support.known_cameras import HEIGHT, SCENES, TRAVELS, TURNS, WIDTH, before_a_wall, cropped, flat, travel

if TYPE_CHECKING:
    from rushes.roles import Frames

FLAT_PER_S = (0.04, 0.15, 0.6, 1.5)
"""Shares of the picture's height, or growth."""
TRAVEL_PER_S = (0.1, 0.2)
"""The same of things in the middle distance, or radians around them."""


ORBIT_PER_S = 0.15
"""Radians."""
NO_GROUND = "something before a wall, no ground"
Known = tuple[str, str, Callable[[], Video]]
"""Group, label, and what makes the clip."""


def known(clips: Sequence[tuple[str, Video]], still: Sequence[str]) -> Iterator[Known]:
    """All clips of the table."""
    pictures = [shrunk(clip.frames_THWC[len(clip.frames_THWC) // 10]) for _, clip in clips]
    for number, picture in enumerate(pictures):
        yield from _flat(picture)
        yield from _deep(picture, pictures[number - 1])
    for name, clip in clips:
        if any(part in name for part in still):
            for label in TURNS:
                group = "window over a clip, still" if label == "static" else "window over a clip, moving"
                yield group, label, partial(cropped, clip, label)


def _flat(picture: Frames) -> Iterator[Known]:
    yield "flat picture, still", "static", partial(flat, picture, "static", 0.0)
    for per_s in FLAT_PER_S:
        for label in [each for each in TURNS if each != "static"]:
            yield f"flat picture, {100 * per_s:g} % a second", label, partial(flat, picture, label, per_s)


def _deep(picture: Frames, other: Frames) -> Iterator[Known]:
    for scene, made in SCENES.items():
        for move, (label, _) in TRAVELS.items():
            what = "orbit" if label == "orbits" else "zoom" if label.startswith("zoom") else "sideways, up or down"
            for per_s in TRAVEL_PER_S:
                yield f"{scene}: {what}", label, partial(made, picture, other, travel(move, per_s))


def shrunk(frame_HWC: Frames) -> Frames:
    """A frame in the size of the made clips."""
    found: Frames = cv2.resize(frame_HWC, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return found


def judged(label: str, found: object) -> str:
    """One word for what was found."""
    if not isinstance(found, frozenset):
        return "unscored"
    if label in found:
        return "exact" if len(found) == 1 else "right"
    return "static" if found == {"static"} else "wrong"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder with *.mp4")
    parser.add_argument("--still", nargs="*", default=[], help="parts of the names of clips from a still camera")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--orbits", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="also print each clip that is not exact")
    asked = parser.parse_args(arguments)
    clips = [(path.name, read_video(path)) for path in sorted(asked.clips.glob("*.mp4"))]
    if asked.orbits:
        print_orbits([shrunk(clip.frames_THWC[len(clip.frames_THWC) // 10]) for _, clip in clips], asked.every)
        return
    table: dict[str, Counter[str]] = {}
    for number, (group, label, made) in enumerate(known(clips, asked.still)):
        if number % asked.every:
            continue
        found = labels_of(ClipView(made(), LucasKanade()), "fixed")
        word = judged(label, found)
        table.setdefault(group, Counter())[word] += 1
        if asked.verbose and word != "exact":
            said = "+".join(sorted(found)) if isinstance(found, frozenset) else str(found)
            print(f"{number}: {group}, {label}: {said}", file=sys.stderr, flush=True)
    print("| clips with a known camera | clips | exact | right, with others | wrong | static | unscored |")
    print("|---" * 7 + "|")
    for group, counts in table.items():
        print_row(group, counts)
    print_row("all", sum(table.values(), Counter()))


def print_orbits(pictures: Sequence[Frames], every: int) -> None:
    """One row per scene: what is said of rigid scenes around which a camera circles."""
    print("| scene | clips | orbit found | said instead | scored | mean value |")
    print("|---" * 6 + "|")
    for name, made in {**SCENES, NO_GROUND: lambda picture, _, poses: before_a_wall(picture, poses)}.items():
        said: Counter[str] = Counter()
        values: list[float] = []
        for number, picture in enumerate(pictures[::every]):
            for move in ("around, to the right", "around, to the left"):
                view = ClipView(made(picture, pictures[number * every - 1], travel(move, ORBIT_PER_S)), LucasKanade())
                found = labels_of(view, "fixed")
                said["+".join(sorted(found)) if isinstance(found, frozenset) else "unscored"] += 1
                outcome = multi_view_consistency(view, "fixed", DenseInverseSearch(), SiftRansac())
                values += [outcome.value] if isinstance(outcome, Scored) else []
        others = ", ".join(f"{num} x {what or 'no label'}" for what, num in said.items() if "orbits" not in what)
        found_num = sum(num for what, num in said.items() if "orbits" in what)
        value = f"{sum(values) / len(values):.2f}" if values else "-"
        print(f"| {name} | {said.total()} | {found_num} | {others} | {len(values)} | {value} |", flush=True)


def print_row(group: str, counts: Counter[str]) -> None:
    """One row of the table."""
    words = ("exact", "right", "wrong", "static", "unscored")
    print(f"| {group} | {counts.total()} | " + " | ".join(str(counts[word]) for word in words) + " |", flush=True)


if __name__ == "__main__":
    main()
