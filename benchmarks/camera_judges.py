"""How far the weight-free judges of Camera_Motion can be trusted, and what they cost; no weights.

        python benchmarks/camera_judges.py                        synthetic clips of nine known moves, 320 x 180, 2 s
        python benchmarks/camera_judges.py clip.mp4 ...           your own clips: seconds, and the score for each prompt

For each tracker and each way to make it harder: how often the right prompt scores above all eight others, how many
clips have no score, the mean score of the right prompt and of the best wrong one (over clips that have scores), and how
much of its score a clip has in common with the other tracker's (Pearson's correlation over all clips and prompts).
`noise` adds noise of deviation 6 (of 255); an actor is a textured square that moves three pixels a frame: a tenth of
the picture if small, a third if large.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rushes.roles import Video
from rushes.store.video import read_video
from rushes_vbench.judges.motion_score import motion_score
from rushes_vbench.metrics.build import build_tracker
from rushes_vbench.metrics.camera_path import CameraPath
from rushes_vbench.metrics.models import PointTracker
from rushes_vbench.metrics.view import ClipView
from tests.support.vbench_clips import HEIGHT, WIDTH, moved, orbit, texture

TRACKERS: Final = ("dense_flow", "lucas_kanade")
HARDER: Final[dict[str, tuple[float, float]]] = {
    "clean": (0.0, 0.0),
    "noise": (6.0, 0.0),
    "small actor": (0.0, 0.1),
    "large actor": (0.0, 1 / 3),
}
"""Deviation of the noise, and the actor's share of the picture."""
MOVES: Final[dict[str, dict[str, float]]] = {
    "static": {},
    "pan_right": {"right": -1.0},
    "pan_left": {"right": 1.0},
    "tilt_up": {"down": 0.8},
    "tilt_down": {"down": -0.8},
    "zoom_in": {"grow": 0.006},
    "zoom_out": {"grow": -0.006},
    "oblique": {"grow": 0.006, "down": 0.8},
}
"""Label -> what the picture does per frame: pixels, relative growth. Orbits are rendered."""
LABELS: Final = (*MOVES, "orbits")


def clip_of(label: str, seed: int, harder: str) -> Video:
    """A synthetic clip of one move, with what makes it harder."""
    video = orbit(0.3 + 0.2 * seed, seed=10 * seed) if label == "orbits" else moved(**MOVES[label], seed=seed)
    frames = video.frames_THWC.astype(np.float32)
    deviation, share = HARDER[harder]
    side = round((share * HEIGHT * WIDTH) ** 0.5)
    for t, frame in enumerate(frames if side else ()):
        x = min(WIDTH - side, 20 + 3 * t)
        frame[20 : 20 + side, x : x + side] = texture(side, side, 1000 + seed)
    frames += np.random.default_rng(seed).normal(0.0, deviation, frames.shape) if deviation else 0.0
    return replace(video, frames_THWC=np.clip(frames, 0, 255).astype(np.uint8))


def scores_of(video: Video, tracker: PointTracker) -> list[float]:
    """The clip's score for each prompt, in the order of `LABELS`; no number for all where it has none."""
    path = ClipView(video, tracker).path
    return [motion_score(path, label) if isinstance(path, CameraPath) else math.nan for label in LABELS]


def print_synthetic(num_seeds: int, labels: Sequence[str] = LABELS) -> None:
    """One row per tracker and way to make it harder."""
    print("| tracker | clips | right prompt on top | not scored | its score | best wrong | in common |")
    print("|---|---|---|---|---|---|---|")
    for harder in HARDER:
        clips = [(label, clip_of(label, seed, harder)) for label in labels for seed in range(num_seeds)]
        found = {
            name: np.array([scores_of(clip, build_tracker(name, "", "cpu", "")) for _, clip in clips])
            for name in TRACKERS
        }
        right = np.array([LABELS.index(label) for label, _ in clips])
        both = np.all([np.isfinite(score_NL[:, 0]) for score_NL in found.values()], axis=0)
        with np.errstate(invalid="ignore"):  # no number where all scores of a tracker are alike
            common = np.corrcoef(*(found[name][both].ravel() for name in TRACKERS))[0, 1] if both.any() else math.nan
        for name, score_NL in found.items():
            scored = np.isfinite(score_NL[:, 0])
            own = score_NL[np.arange(len(clips)), right][scored]
            wrong = np.where(np.arange(len(LABELS)) == right[:, None], -1.0, score_NL).max(axis=1)[scored]
            share = f"{(own > wrong).sum()} of {len(clips)} | {(~scored).sum()}"
            means = " | ".join(f"{each.mean():.2f}" if len(each) else "-" for each in (own, wrong))
            print(f"| {name} | {harder} | {share} | {means} | {common:.2f} |", flush=True)


def print_clips(paths: Sequence[Path]) -> None:
    """One row per clip and tracker: processor seconds without decoding, and every score above 0.05."""
    print("| clip | tracker | processor seconds | scores |")
    print("|---|---|---|---|")
    for path in paths:
        video = read_video(path)
        for name in TRACKERS:
            start = time.process_time()
            scores = scores_of(video, build_tracker(name, "", "cpu", ""))
            seconds = time.process_time() - start
            said = ", ".join(
                f"{label} {score:.2f}" for label, score in zip(LABELS, scores, strict=True) if score > 0.05
            )
            print(f"| {path.stem} | {name} | {seconds:.2f} | {said or 'none'} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=4, help="clips per move, each of a different picture")
    asked = parser.parse_args(arguments)
    if asked.clips:
        print_clips(asked.clips)
    else:
        print_synthetic(asked.seeds)


if __name__ == "__main__":
    main()
