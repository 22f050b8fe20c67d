"""How well a camera's path shows the motion that was asked for: a number from 0 to 1. Pure.

Takes of one prompt differ by degrees, and a judge that only says right or wrong leaves most groups of takes without
anything to learn from. So the score is graded. It does not reward speed: above twice the slowest speed that counts as
a motion, only the share of the asked motion in all motion matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rushes_vbench.metrics.camera_path import RESTLESS, SLOWEST_ORBIT_PER_S, CameraPath, strengths
from rushes_vbench.metrics.camera_stretch import SLOWEST_PER_S

_TOGETHER: Final[Mapping[str, frozenset[str]]] = {
    "orbits": frozenset({"pan_left", "pan_right"}),
    "oblique": frozenset({"tilt_up", "zoom_in"}),
}
"""What else belongs to a motion: an orbit shifts the picture sideways, an oblique shot is a tilt with a zoom."""


def motion_score(path: CameraPath, label: str) -> float:
    """0 where the motion is absent or reversed, 1 where it is the only one; 1/2 at the limit of the labels.

    Args:
        path: of the camera, per second.
        label: the benchmark's name of the motion.
    """
    strength = strengths(path)
    roll = abs(path.roll) / 2
    if label == "static":
        fastest = max(*strength.values(), roll, path.speed / RESTLESS)
        return max(0.0, 1.0 - fastest / (2 * SLOWEST_PER_S))
    parts = _TOGETHER[label] if label == "oblique" else frozenset({label})
    asked = min(strength.get(part, 0.0) for part in parts)
    others = [value for name, value in strength.items() if name not in parts | _TOGETHER.get(label, frozenset())]
    if asked <= 0.0:
        return 0.0
    slowest = SLOWEST_ORBIT_PER_S if label == "orbits" else SLOWEST_PER_S
    return min(1.0, asked / (2 * slowest)) * asked / (asked + max([*others, roll]))
