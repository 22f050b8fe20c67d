"""A clip statistic that answers no question: how much several takes of one prompt differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rushes_sandbox.perception.observe import Observation

PLACE_PX = 32.0
"""Distance at which place or motion counts as completely different: half a frame."""
BACKGROUND_LEVELS = 80.0
"""Colour distance at which a background counts as completely different."""


@dataclass(frozen=True)
class Look:
    """What diversity compares about one thing."""

    name: str
    """`colour shape`, with `?` for one that is undecided."""
    x: float
    y: float
    """Mean position over the clip, in pixels from the middle."""
    way_x: float
    way_y: float
    """From the first to the last position, in pixels."""


@dataclass(frozen=True)
class DiversityFeatures:
    """The features by which two takes of one prompt are compared."""

    looks: tuple[Look, ...]
    background_rgb: tuple[float, float, float]
    """0 to 255."""
    camera: tuple[float, float]
    """Pan to the right as a share of half a frame, and log zoom."""


def diversity_features(seen: Observation) -> DiversityFeatures:
    """The features of one clip; things visible in fewer than half of the frames are left out."""
    looks: list[Look] = []
    for track in seen.tracks:
        if track.presence < 0.5:
            continue
        x, y = track.x_T[track.present_T], track.y_T[track.present_T]
        name = f"{track.colour or '?'} {track.shape or '?'}"
        looks.append(Look(name, float(x.mean()), float(y.mean()), float(x[-1] - x[0]), float(y[-1] - y[0])))
    camera = (seen.camera.pan_x_px / PLACE_PX, seen.camera.log_zoom)
    return DiversityFeatures(tuple(sorted(looks, key=lambda look: look.name)), seen.background_rgb, camera)


def diversity(samples: Sequence[Observation]) -> float:
    """Mean difference between any two of several samples of one prompt, in [0, 1]; 0 for fewer than two samples."""
    features = [diversity_features(seen) for seen in samples]
    pairs = [_difference(a, b) for a, b in combinations(features, 2)]
    return float(np.mean(pairs)) if pairs else 0.0


def _difference(a: DiversityFeatures, b: DiversityFeatures) -> float:
    """Mean of how far looks, places, motions and backgrounds differ, each in [0, 1]."""
    names_a, names_b = Counter(look.name for look in a.looks), Counter(look.name for look in b.looks)
    most = max(len(a.looks), len(b.looks))
    looks = 1 - (names_a & names_b).total() / most if most else 0.0
    # Sorted by name, so that things of the same look are paired where both clips show the same things.
    both = list(zip(a.looks, b.looks, strict=False))
    places = [min(1.0, float(np.hypot(p.x - q.x, p.y - q.y)) / PLACE_PX) for p, q in both]
    ways = [min(1.0, float(np.hypot(p.way_x - q.way_x, p.way_y - q.way_y)) / PLACE_PX) for p, q in both]
    missing = [1.0] * (most - len(both))
    colour = min(1.0, float(np.linalg.norm(np.subtract(a.background_rgb, b.background_rgb))) / BACKGROUND_LEVELS)
    camera = min(1.0, float(np.abs(np.subtract(a.camera, b.camera)).max()))
    parts = [looks, _mean(places + missing), max(_mean(ways + missing), camera), colour]
    return float(np.mean(parts))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
