"""How often the measurer is right, against ground truth that only this program sees.

    python -m lab.validate_measurer --num-scenes 400

prints, per dimension, the percentage of questions answered correctly on rendered clips, clean and degraded, and the
percentage of false statements refused on clips that are wrong on purpose.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.degrade import CONDITIONS, WRONG
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.perception.answer import Unclear, answer
from rushes_sandbox.perception.observe import Observation, perceive
from rushes_sandbox.questions import Check, checks
from rushes_sandbox.render import render
from rushes_sandbox.scene import Scene

SEED = 20_000_003
Rng = np.random.Generator
OTHER = "other scene"


@dataclass
class Tally:
    """Right answers out of all, and examples of the wrong ones."""

    right: int = 0
    asked: int = 0
    mistakes: Counter[str] = field(default_factory=Counter)

    def add(self, check: Check, truth: bool, given: bool | Unclear) -> None:
        """Count one answer; `Unclear` is not right."""
        self.asked += 1
        if given is truth:
            self.right += 1
        else:
            said = given.reason if isinstance(given, Unclear) else "yes" if given else "no"
            self.mistakes[f"{check.kind} {check.when}: said {said}"] += 1

    @property
    def percent(self) -> float:
        """Percentage right; NaN when nothing was asked."""
        return 100.0 * self.right / self.asked if self.asked else float("nan")


def scenes(dimension: str, count: int, seed: int = SEED) -> Iterator[tuple[Scene, list[tuple[Check, bool]], Rng]]:
    """Seeded scenes of a dimension with their questions and a generator for what is done to them."""
    for index in range(count):
        rng = np.random.default_rng((seed, DIMENSIONS.index(dimension), index))
        scene = draw_scene(rng, dimension)
        yield scene, checks(scene, rng), rng


def right_answers(dimension: str, condition: str, count: int) -> Tally:
    """Ask every question of `count` scenes of a dimension, in clips degraded by a condition."""
    tally = Tally()
    for scene, asked, rng in scenes(dimension, count):
        seen = perceive(CONDITIONS[condition](render(scene), rng))
        for check, truth in asked:
            tally.add(check, truth, answer(check, seen))
    return tally


def refusals(dimension: str, wrong: str, count: int, condition: str = "all mild") -> Tally:
    """Ask true statements about scenes in clips that contradict them; only No is right."""
    tally = Tally()
    for scene, asked, rng in scenes(dimension, count):
        frames = WRONG[wrong].make(scene, rng)
        if frames is not None:
            seen = perceive(CONDITIONS[condition](frames, rng))
            _refuse(tally, seen, [c for c, truth in asked if truth and WRONG[wrong].belies(scene, c)])
    return tally


def other_scene(dimension: str, count: int, condition: str = "all mild") -> Tally:
    """Ask about scenes in clips of other scenes, of any dimension, that do not contain the thing in question."""
    tally = Tally()
    for scene, asked, rng in scenes(dimension, count):
        names = {t.name for t in scene.things}
        other = draw_scene(rng)
        while names & {t.name for t in other.things} or any(a.verb == "turn" for a in other.actions):
            other = draw_scene(rng)
        seen = perceive(CONDITIONS[condition](render(other), rng))
        _refuse(tally, seen, [c for c, truth in asked if truth and " " in c.subject])
    return tally


def _refuse(tally: Tally, seen: Observation, statements: Sequence[Check]) -> None:
    for check in statements:
        tally.add(check, False, answer(check, seen))


def _table(title: str, columns: Mapping[str, Callable[[str], Tally]], dimensions: Sequence[str]) -> None:
    """Compute and print a table; each cell also goes to stderr as soon as it is known."""
    tallies: dict[tuple[str, str], Tally] = {}
    for name, work in columns.items():
        for dimension in dimensions:
            tally = tallies[name, dimension] = work(dimension)
            print(f"{name}, {dimension}: {tally.right} of {tally.asked}", file=sys.stderr, flush=True)
    print(f"\n{title}\n{'':30s}" + "".join(f"{name:>14s}" for name in columns))
    for dimension in dimensions:
        values = [tallies[name, dimension].percent for name in columns]
        print(f"{dimension:30s}" + "".join(f"{'-' if np.isnan(v) else f'{v:.2f}':>14s}" for v in values))
    for (name, dimension), tally in tallies.items():
        if tally.mistakes:
            worst = ", ".join(f"{n} x {what}" for what, n in tally.mistakes.most_common(4))
            print(f"  {name}, {dimension}: {worst}")


def clip_ms(frames_THWC: NDArray[np.uint8], repeats: int = 5) -> float:
    """Median processor time of `perceive` on one clip, in milliseconds."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        perceive(frames_THWC)
        times.append(1000 * (time.process_time() - began))
    return float(np.median(times))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.validate_measurer",
        description="How often the measurer is right, against ground truth that only this program sees.",
    )
    parser.add_argument("--num-scenes", type=int, default=400, help="scenes per dimension and column")
    parser.add_argument("--only", choices=["right", "wrong"], help="print one table only")
    parser.add_argument("--dimensions", nargs="+", choices=DIMENSIONS, default=list(DIMENSIONS), metavar="DIMENSION")
    chosen = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    count, dimensions = chosen.num_scenes, chosen.dimensions
    if chosen.only != "wrong":
        right = {c: partial(right_answers, condition=c, count=count) for c in CONDITIONS}
        _table(f"questions answered right, percent ({count} scenes per cell)", right, dimensions)
    if chosen.only != "right":
        refused = {w: partial(refusals, wrong=w, count=count) for w in WRONG}
        refused[OTHER] = partial(other_scene, count=count)
        _table("false statements about wrong clips refused, percent (all mild)", refused, dimensions)
    times = [clip_ms(render(scene)) for d in dimensions for scene, _, _ in scenes(d, 1)]
    print(f"\nperceive: {np.median(times):.1f} ms of one core per clip, {max(times):.1f} ms at most")


if __name__ == "__main__":
    main()
