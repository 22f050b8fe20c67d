"""Tells a moving camera from something large that moves before it. Pure.

A person close to the camera can have as many points as everything behind, and a fit to all points is then a fit to
neither. What tells the two apart is where they are: the background is seen all around the rim of the picture, a subject
in one place. So the motion of most of the rim is found first, each sector of it counting alike however much there is to
follow; what goes another way, and goes there together, is a subject, and its points are left out.

Only a rim that moves says so. Where it stands, or where much of what differs from it stands, nothing is left out: a
subtitle, a bonnet or the ground under clouds would be mistaken.

Legend: N points, S sectors of the rim, K models.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from rushes_vbench.metrics.camera_stretch import Stretch
    from rushes_vbench.metrics.models import F64, Flags

_RIMS: Final = (1 / 8, 1 / 6)
"""Width of the rim, as a share of the picture's height or width; the second where too little of the first is left."""
_SECTORS: Final = 12
_FEWEST: Final = 2
"""Fewest points of a sector that counts ..."""
_FEWEST_SECTORS: Final = 7
"""... and fewest such sectors, to tell what the rim does."""
_MOST_OF_RIM: Final = 0.5
"""Share of the rim that must follow one motion."""
_INSIDE: Final = 0.4
"""Share of the rim up to which what goes another way is a subject. Of two parts that both have more, ..."""
_MIDDLE: Final = 0.3
"""... the subject is the one that has so much more of the middle of the picture; of neither, nothing is left out."""
_FEWEST_MOVE: Final = 12
_TOGETHER: Final = 0.65
"""Share of the points that do not follow it, but move, that must move together to be a subject ..."""
_LEAST: Final = 0.06
"""... and share of all points that they must be."""
_NUM_MODELS: Final = 150
_LOOSE: Final = 0.25
"""A point follows a model if it ends this near, as a share of the typical motion of what does, or within the slowest
motion that counts."""
_NUM_SUBJECTS: Final = 3
_ROUNDS: Final = 3


def without_subjects(stretch: Stretch) -> Stretch:
    """The stretch without the points of up to three things that move by themselves before a moving camera.

    Each must be most of what is left that goes its own way: two of one size are taken for parts of the scene.

    Args:
        stretch: any number of points.
    """
    for _ in range(_NUM_SUBJECTS):
        subject_N = _subject(stretch)
        if subject_N is None:
            break
        left_N = ~subject_N
        stretch = replace(
            stretch,
            start_N2=stretch.start_N2[left_N],
            moved_N2=stretch.moved_N2[left_N],
            num_placed=stretch.num_placed - int(subject_N.sum()),
        )
    return stretch


def rim_weights(stretch: Stretch) -> F64:
    """A weight for each point: 0 inside; sectors of the rim count alike, their sum is 1. All 0 for too few sectors.

    Args:
        stretch: any number of points.
    """
    weight_N = np.zeros(len(stretch.start_N2))
    for rim in _RIMS:
        if not weight_N.any():
            weight_N = _weights(stretch, rim)
    return weight_N


def _weights(stretch: Stretch, rim: float) -> F64:
    height, width = stretch.size_px
    x_N, y_N = stretch.start_N2[:, 0] / width, stretch.start_N2[:, 1] / height
    outer_N = np.maximum(abs(x_N), abs(y_N)) > 0.5 - rim
    turn_N = np.arctan2(y_N, x_N) / (2 * np.pi) + 0.5
    sector_N = np.minimum((turn_N * _SECTORS).astype(np.int64), _SECTORS - 1)
    counts_S = np.bincount(sector_N[outer_N], minlength=_SECTORS)
    counts_S[counts_S < _FEWEST] = 0
    num_sectors = int((counts_S > 0).sum())
    if num_sectors < _FEWEST_SECTORS:
        return np.zeros(len(sector_N))
    each_S = np.where(counts_S > 0, 1.0 / np.maximum(counts_S, 1), 0.0) / num_sectors
    weight_N: F64 = np.where(outer_N, each_S[sector_N], 0.0)
    return weight_N


def _subject(stretch: Stretch) -> Flags | None:
    """The points of a subject; None if there is none, or if it cannot be told from the background."""
    weight_N = rim_weights(stretch)
    if not weight_N.any():
        return None
    length_N = np.linalg.norm(stretch.moved_N2, axis=1)
    follows_N = _follows(stretch, _best(stretch, weight_N), weight_N > 0)
    if float(weight_N[follows_N].sum()) < _MOST_OF_RIM:
        return None
    if float(np.median(length_N[follows_N & (weight_N > 0)])) < stretch.near_px:
        return None
    apart_N = ~follows_N & (length_N >= stretch.still_px)
    fewest = max(_FEWEST_MOVE, _LEAST * len(apart_N))
    if apart_N.sum() < fewest or (~follows_N & ~apart_N).sum() > apart_N.sum() / 2:
        return None
    together_N: Flags = apart_N & _follows(stretch, _best(stretch, apart_N / apart_N.sum()), apart_N)
    if together_N.sum() < max(fewest, _TOGETHER * apart_N.sum()):
        return None
    if float(weight_N[together_N].sum()) <= _INSIDE:
        return together_N
    inner_N = (abs(stretch.start_N2) < np.array(stretch.size_px[::-1]) / 4).all(axis=1)
    more = float(together_N[inner_N].mean() - follows_N[inner_N].mean()) if inner_N.any() else 0.0
    return together_N if more >= _MIDDLE else follows_N if more <= -_MIDDLE else None


def _best(stretch: Stretch, weight_N: F64) -> F64:
    """The 3 x 2 matrix that most of the weight follows: the best similarity through two points, then fitted."""
    some = np.flatnonzero(weight_N)
    start_N2, moved_N2, share_N = stretch.start_N2[some], stretch.moved_N2[some], weight_N[some]
    pairs_K2 = np.random.default_rng(0).choice(len(some), (_NUM_MODELS, 2), p=share_N / share_N.sum())
    models_K32 = _similarities(start_N2[pairs_K2], moved_N2[pairs_K2])
    design_N3 = np.column_stack([np.ones(len(some)), start_N2])
    limit = max(stretch.near_px, _LOOSE * float(np.median(np.linalg.norm(moved_N2, axis=1))))
    error_KN = np.linalg.norm(design_N3 @ models_K32 - moved_N2, axis=2)
    best: F64 = models_K32[int(((error_KN < limit) * share_N).sum(axis=1).argmax())]
    for _ in range(_ROUNDS):
        near_N = np.linalg.norm(design_N3 @ best - moved_N2, axis=1) < limit
        if near_N.sum() < _FEWEST_MOVE:
            break
        root_N = np.sqrt(share_N[near_N])[:, None]
        best = np.linalg.lstsq(design_N3[near_N] * root_N, moved_N2[near_N] * root_N, rcond=None)[0]
    return best


def _similarities(start_K22: F64, moved_K22: F64) -> F64:
    """The shift, growth and turn that each two points show; the shift alone where they are in one place. K, 3, 2."""
    (across_K, along_K), (right_K, down_K) = (
        (start_K22[:, 1] - start_K22[:, 0]).T,
        (moved_K22[:, 1] - moved_K22[:, 0]).T,
    )
    square_K = across_K**2 + along_K**2
    scale_K = np.where(square_K >= 1.0, 1.0 / np.maximum(square_K, 1.0), 0.0)
    grow_K = (right_K * across_K + down_K * along_K) * scale_K
    turn_K = (down_K * across_K - right_K * along_K) * scale_K
    linear_K22 = np.stack([np.stack([grow_K, turn_K], axis=1), np.stack([-turn_K, grow_K], axis=1)], axis=1)
    shift_K12 = moved_K22[:, :1] - start_K22[:, :1] @ linear_K22
    found: F64 = np.concatenate([shift_K12, linear_K22], axis=1)
    return found


def _follows(stretch: Stretch, model_32: F64, some_N: Flags) -> Flags:
    """The points that end near where a model says; how near is by the typical motion of some of them."""
    design_N3 = np.column_stack([np.ones(len(some_N)), stretch.start_N2])
    error_N = np.linalg.norm(design_N3 @ model_32 - stretch.moved_N2, axis=1)
    typical = float(np.median(np.linalg.norm(stretch.moved_N2[some_N], axis=1)))
    follows_N: Flags = error_N < max(stretch.near_px, _LOOSE * typical)
    return follows_N
