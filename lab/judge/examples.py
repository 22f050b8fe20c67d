"""What the judge learns from: rendered clips, whole and broken, with questions answered from the exact truth.

Legend: B clips, Q questions a clip, T frames, G cells of the pointing grid along one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lab.judge.breakages import Staged, broken, stage
from lab.judge.distort import distorted
from rushes_sandbox.animate import F32
from rushes_sandbox.grammar import BALANCED, DIMENSIONS, draw_scene
from rushes_sandbox.questions import Check, Kind, ask, checks, plural
from rushes_sandbox.render import paint
from rushes_sandbox.scene import COLOURS, SHAPES, SIZE_PX, Scene
from rushes_sandbox.truth import Witness
from rushes_sandbox.vqa.language import KINDS, VALUES, WHENS, encode_question, pad_questions

Rng = np.random.Generator
GRID = 8
"""Cells of the pointing grid along one side."""
KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "Simple": ("exists", "moves"),
    "Composition": ("exists",),
    "Dynamic_Attribute": ("colour", "exists", "grows", "shrinks"),
    "Dynamic_Spatial_Relationship": ("relation",),
    "Motion_Order_Understanding": ("moves",),
    "Camera_Motion": ("camera", "exists"),
    "Instance_Preservation": ("count", "exists"),
    "Mechanics": ("moves", "exists", "faster", "bounces"),
    "Motion_Rationality": ("moves", "touches", "waits"),
}
"""Which kinds of check each dimension's scenes are asked."""


@dataclass(frozen=True)
class Asked:
    """One question with its true answer."""

    check: Check
    text: str
    answer: bool


@dataclass(frozen=True, eq=False)
class Example:
    """One clip with questions."""

    meant: Scene
    """The scene that its prompt describes."""
    staged: Staged
    """What it shows."""
    frames_THWC: NDArray[np.uint8]
    asked: tuple[Asked, ...]
    facts: Facts
    """What the clip shows, independent of any question."""
    pointing_Q2TN: F32
    """Per question, where its subject and the other thing are; N = G * G + 1, see `spread`."""


@dataclass(frozen=True)
class Mix:
    """How often a clip is broken or distorted, and how many questions it is asked."""

    broken: float = 0.5
    """Share of clips with at least one breakage."""
    twice: float = 0.2
    """Share of those with a second one."""
    distorted: float = 0.6
    """Share of clips whose pixels are distorted."""
    num_questions: int = 8


def draw_example(rng: Rng, mix: Mix, dimension: str | None = None) -> Example:
    """Draw, break, render and distort one clip, and ask about it; fewer questions if no more are well-posed."""
    asked: list[Asked] = []
    while not asked:  # A breakage can leave nothing to ask about.
        scene, staged = _draw(rng, mix, dimension or DIMENSIONS[int(rng.integers(len(DIMENSIONS)))])
        witness = Witness(staged.scene, staged.tracks)
        asked = ask_about(witness, scene, staged.scene, rng, mix.num_questions)
    frames = paint(staged.scene, staged.tracks)
    if rng.random() < mix.distorted:
        frames = distorted(frames, rng)
    return Example(scene, staged, frames, tuple(asked), find_facts(witness), _pointing(witness, asked))


def _draw(rng: Rng, mix: Mix, dimension: str) -> tuple[Scene, Staged]:
    """What a clip was meant to be, and what it shows."""
    scene = draw_scene(rng, dimension, BALANCED)
    staged = stage(scene)
    if rng.random() < mix.broken:
        staged = broken(staged, rng)
        if rng.random() < mix.twice:
            staged = broken(staged, rng)
    return scene, staged


def ask_again(example: Example, rng: Rng, mix: Mix) -> Example:
    """The same clip with newly drawn questions."""
    witness = Witness(example.staged.scene, example.staged.tracks)
    asked = ask_about(witness, example.meant, example.staged.scene, rng, mix.num_questions)
    if not asked:
        return example
    return replace(example, asked=tuple(asked), pointing_Q2TN=_pointing(witness, asked))


# ------------------------------------------------------------------------------------------------ which questions


def ask_about(witness: Witness, meant: Scene, shown: Scene, rng: Rng, count: int) -> list[Asked]:
    """Questions about a clip that was meant as one scene and shows another; yes and no are about equally frequent.

    The questions of its prompt come first, then others of its dimension, then any.
    """
    own = [check for check, _ in checks(meant, rng)]
    own = [own[int(i)] for i in rng.permutation(len(own))]
    found: dict[Check, bool] = {}
    for check in own[: count // 2]:
        answer = witness.answer(check)
        if answer is not None:
            found[check] = answer
    names = list(dict.fromkeys(thing.name for scene in (meant, shown) for thing in scene.things))
    for attempt in range(3 * count):
        if len(found) >= count:
            break
        of_dimension = attempt % 3 != 2
        kinds = KINDS_OF[meant.dimension] if of_dimension else KINDS
        wanted = 2 * sum(found.values()) <= len(found)
        _add(found, witness, _alternatives(kinds[int(rng.integers(len(kinds)))], names, rng), wanted, rng)
    return [Asked(check, ask(check, rng), answer) for check, answer in found.items()]


def _add(found: dict[Check, bool], witness: Witness, options: Sequence[Check], wanted: bool, rng: Rng) -> None:
    """Add the first of some alternatives, in random order, whose answer is the wanted one, else the last answered."""
    last: tuple[Check, bool] | None = None
    for i in rng.permutation(len(options)):
        check = options[int(i)]
        answer = witness.answer(check) if check not in found else None
        if answer is not None:
            last = (check, answer)
            if answer is wanted:
                break
    # Keep an unwanted answer sometimes; otherwise kinds whose answer is mostly no would never be asked.
    if last is not None and (last[1] is wanted or rng.random() < 0.25):
        found[last[0]] = last[1]


def _alternatives(kind: Kind, names: Sequence[str], rng: Rng) -> list[Check]:
    """Checks that differ in one place only: the thing, the value asked about, or the other thing."""
    subject, other = _name(names, rng), _name(names, rng)
    if kind == "exists":
        return [Check(kind, name) for name in _once(*names, *(_lookalike(name, rng) for name in names))]
    if kind == "camera":
        return [Check(kind, value=value) for value in VALUES[kind]]
    if kind == "colour":
        subject = subject.split()[1]
    if kind == "count":
        subject = plural(subject)
    if kind in VALUES:
        whens = WHENS.get(kind, ("",))
        when = whens[int(rng.integers(len(whens)))]
        about = other if kind == "relation" else ""
        return [Check(kind, subject, about, value, when) for value in VALUES[kind]]
    if kind in ("waits", "touches"):
        return [Check(kind, a, b) for a in _once(*names, subject) for b in _once(*names, other) if a != b]
    return [Check(kind, name) for name in _once(*names, subject)]


def _once(*names: str) -> list[str]:
    """Each name once, in order: the order of a set differs between processes, and checks are drawn by position."""
    return list(dict.fromkeys(names))


def _name(names: Sequence[str], rng: Rng) -> str:
    name = names[int(rng.integers(len(names)))]
    return _lookalike(name, rng) if rng.random() < 0.15 else name


def _lookalike(name: str, rng: Rng) -> str:
    """The same shape in another colour, or the same colour in another shape."""
    colour, shape = name.split()
    if rng.random() < 0.5:
        return f"{COLOURS[int(rng.integers(len(COLOURS)))]} {shape}"
    return f"{colour} {SHAPES[int(rng.integers(len(SHAPES)))]}"


# ------------------------------------------------------------------------------------------------ where to look


def _pointing(witness: Witness, asked: Sequence[Asked]) -> F32:
    """Where each question's two things are: (Q, 2, T, G * G + 1), see `spread`."""
    names = {name for one in asked for name in (one.check.subject, one.check.other)}
    where = {name: spread(witness, name) for name in names}
    return np.stack([np.stack([where[one.check.subject], where[one.check.other]]) for one in asked])


def spread(witness: Witness, name: str) -> F32:
    """Where the things called `name` are: (T, G * G + 1). Each row sums to 1; the last cell means nowhere.

    A thing between cells is shared among the four around it, so that the mean over cells is its exact position.
    """
    x_KT, y_KT, seen_KT = witness.places(name)
    out = np.zeros((x_KT.shape[1], GRID * GRID + 1), np.float32)
    col_KT, row_KT = (np.clip((v + SIZE_PX / 2) * GRID / SIZE_PX - 0.5, 0, GRID - 1.001) for v in (x_KT, y_KT))
    for k, t in zip(*np.nonzero(seen_KT), strict=True):
        col, row = int(col_KT[k, t]), int(row_KT[k, t])
        u, v = col_KT[k, t] - col, row_KT[k, t] - row
        at = row * GRID + col
        out[t, [at, at + 1, at + GRID, at + GRID + 1]] += ((1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v)
    out[:, -1] = out[:, :-1].sum(1) == 0
    shares: F32 = out / out.sum(1, keepdims=True)
    return shares


@dataclass(frozen=True, eq=False)
class Facts:
    """What a clip shows, cell by cell and frame by frame."""

    cells_TN: NDArray[np.int64]
    """What is in each of the G * G cells: 0 for nothing, -1 for the rim of a thing or an unclear cell.

    The cell nearest to the middle of a thing holds 1 + its colour * number of shapes + its shape.
    """
    size_TN: F32
    """Logarithm of the radius, in cells, of the thing whose middle is in a cell; 0 elsewhere."""
    camera_T2: F32
    """How far the camera pans, in pixels, and the logarithm of how much it zooms, per frame."""


def find_facts(witness: Witness) -> Facts:
    """What a clip shows, without a question."""
    scene, t = witness.scene, witness.tracks
    x_KT, y_KT = (t.x_KT - t.camera_x_T) * t.zoom_T, t.y_KT * t.zoom_T
    colour_KT, seen_KT = witness.colours()
    middle_G = (np.arange(GRID) + 0.5) * SIZE_PX / GRID - SIZE_PX / 2
    far_KTGG = np.hypot(y_KT[..., None, None] - middle_G[:, None], x_KT[..., None, None] - middle_G)
    radius_KT = t.radius_KT * t.zoom_T
    rim_KTGG = far_KTGG < (radius_KT + SIZE_PX / GRID / 2)[..., None, None]
    out_TN = np.where((rim_KTGG & seen_KT[..., None, None]).any(0), -1, 0).reshape(x_KT.shape[1], -1)
    nearest_KT = far_KTGG.reshape(*x_KT.shape, -1).argmin(-1)
    size_TN = np.zeros(out_TN.shape, np.float32)
    for k, thing in enumerate(scene.things):
        sure_T = np.flatnonzero(colour_KT[k] >= 0)
        kind_T = 1 + colour_KT[k, sure_T] * len(SHAPES) + SHAPES.index(thing.shape)
        out_TN[sure_T, nearest_KT[k, sure_T]] = kind_T
        size_TN[sure_T, nearest_KT[k, sure_T]] = np.log(radius_KT[k, sure_T] * GRID / SIZE_PX)
    camera_T2 = np.stack([np.gradient(t.camera_x_T), np.gradient(np.log(t.zoom_T))], -1)
    return Facts(out_TN, size_TN, camera_T2.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples as arrays; a clip with fewer questions than wanted has some repeated."""

    frames_BTHWC: NDArray[np.uint8]
    words_BQL: NDArray[np.int64]
    answer_BQ: F32
    """1 for yes, 0 for no."""
    cells_BTN: NDArray[np.int64]
    size_BTN: F32
    camera_BT2: F32
    pointing_BQ2TN: F32


def make_batch(examples: Sequence[Example], ids: dict[str, int], num_questions: int) -> Batch:
    """Put examples into arrays of `num_questions` questions each."""
    words, answers, pointing = [], [], []
    for example in examples:
        rows = [encode_question(one.text, ids) for one in example.asked]
        padded = pad_questions([row for row in rows if not isinstance(row, str)])
        order = np.arange(num_questions) % len(example.asked)
        words.append(padded[order])
        answers.append(np.array([one.answer for one in example.asked], np.float32)[order])
        pointing.append(example.pointing_Q2TN[order])
    return Batch(
        frames_BTHWC=np.stack([example.frames_THWC for example in examples]),
        words_BQL=np.stack(words),
        answer_BQ=np.stack(answers),
        cells_BTN=np.stack([example.facts.cells_TN for example in examples]),
        size_BTN=np.stack([example.facts.size_TN for example in examples]),
        camera_BT2=np.stack([example.facts.camera_T2 for example in examples]),
        pointing_BQ2TN=np.stack(pointing),
    )
