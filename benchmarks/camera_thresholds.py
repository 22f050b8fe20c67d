"""How slow and how fast a camera move may be for Camera_Motion and Multi-View_Consistency to detect it; no weights.

        python benchmarks/camera_thresholds.py                       flat textured pictures that move, one row per move
        python benchmarks/camera_thresholds.py --noise 6             the same with noise of that deviation (0 to 255)
        python benchmarks/camera_thresholds.py --moves "pan right" --amounts 1 2 4
        python benchmarks/camera_thresholds.py --orbit               a camera around a textured tower; seconds per clip

Pan and tilt are in percent of the picture's shorter side per second, zoom in percent of growth per second, and shear
(what a circling camera does to a flat picture) in percent by which the top and bottom rows move apart. At 480 pixels
and 16 frames per second, one percent is 0.3 pixels per frame. A cell says `yes` if every clip gets exactly the label
of its move, `still` if every clip counts as a still camera, and otherwise lists what was found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rushes.records import Scored, Unscored
from rushes.roles import Video
from rushes_vbench.metrics.camera_motion import labels_of
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.motion_models import DenseInverseSearch, SiftRansac
from rushes_vbench.metrics.multi_view import multi_view_consistency
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView
from tests.support.vbench_clips import FPS, HEIGHT, moved, orbit

AMOUNTS = (0.3, 0.6, 1.0, 1.3, 2.0, 4.0, 10.0, 30.0, 80.0, 160.0)
"""Percent per second; 1.2 and 1.5 are the limits that the rules of `fixed` name."""
DEGREES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Degrees per frame around the tower."""
MOVES: dict[str, tuple[str, float, str]] = {
    "pan right": ("right", -HEIGHT / FPS, "pan_right"),
    "pan left": ("right", HEIGHT / FPS, "pan_left"),
    "tilt up": ("down", HEIGHT / FPS, "tilt_up"),
    "tilt down": ("down", -HEIGHT / FPS, "tilt_down"),
    "zoom in": ("grow", 1.0 / FPS, "zoom_in"),
    "zoom out": ("grow", -1.0 / FPS, "zoom_out"),
    # The top and bottom rows move in opposite directions, each by `shear`.
    "shear": ("shear", HEIGHT / FPS / 2, "orbits"),
}
"""Setting of the synthetic clip, its value per frame for 1 (100 %) per second, and the correct label."""


def noisy(video: Video, deviation: float, seed: int) -> Video:
    """The clip with fresh noise in every frame."""
    if deviation == 0.0:
        return video
    noise = np.random.default_rng(seed).normal(0.0, deviation, video.frames_THWC.shape)
    return replace(video, frames_THWC=np.clip(video.frames_THWC + noise, 0, 255).astype(np.uint8))


def cell(move: str, percent: float, profile: Profile, seeds: Iterable[int], noise: float) -> str:
    """What is found in clips of one move at one speed."""
    setting, per_frame, label = MOVES[move]
    found = []
    for seed in seeds:
        clip = moved(**{setting: per_frame * percent / 100.0}, seed=seed)
        found.append(labels_of(ClipView(noisy(clip, noise, seed), LucasKanade()), profile))
    if all(labels == frozenset({label}) for labels in found):
        return "yes"
    if all(labels == frozenset({"static"}) for labels in found):
        return "still"
    return " or ".join(sorted({in_words(labels) for labels in found}))


def in_words(found: frozenset[str] | Unscored) -> str:
    """The labels, or that there are none."""
    return "unscored" if isinstance(found, Unscored) else "+".join(sorted(found)) or "no label"


def print_moves(moves: Sequence[str], amounts: Sequence[float], profile: Profile, num_seeds: int, noise: float) -> None:
    """One row per move."""
    print(f"| {profile} | " + " | ".join(f"{amount:g} %/s" for amount in amounts) + " |")
    print("|---" * (len(amounts) + 1) + "|")
    for move in moves:
        cells = [cell(move, amount, profile, range(num_seeds), noise) for amount in amounts]
        print(f"| {move} | " + " | ".join(cells) + " |", flush=True)


def print_orbit(degrees: Sequence[float]) -> None:
    """One row per orbit speed: the labels of `fixed`, and the result of Multi-View_Consistency in both profiles."""
    print("| degrees a frame | labels, fixed | views, fixed | views, compat |")
    print("|---|---|---|---|")
    flow, matcher = DenseInverseSearch(), SiftRansac()
    for each in degrees:
        view = ClipView(orbit(each), LucasKanade())
        profiles: tuple[Profile, Profile] = ("fixed", "compat")
        outcomes = [multi_view_consistency(view, profile, flow, matcher) for profile in profiles]
        said = [f"{each.value:.2f}" if isinstance(each, Scored) else each.reason for each in outcomes]
        print(f"| {each:g} | {in_words(labels_of(view, 'fixed'))} | {said[0]} | {said[1]} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", nargs="+", choices=list(MOVES), default=list(MOVES))
    parser.add_argument("--amounts", nargs="+", type=float, default=list(AMOUNTS))
    parser.add_argument("--profile", choices=["fixed", "compat"], default="fixed")
    parser.add_argument("--seeds", type=int, default=2, help="clips per move and speed, each of a different picture")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--orbit", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.orbit:
        print_orbit(DEGREES)
    else:
        print_moves(asked.moves, asked.amounts, asked.profile, asked.seeds, asked.noise)


if __name__ == "__main__":
    main()
