"""How many sandbox clips per second one core renders. Run by `make bench`; prints one line per kind of scene."""

from __future__ import annotations

import time

import numpy as np

from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.render import render

NUM_CLIPS = 100
NUM_REPEATS = 3


def clips_per_second(dimension: str) -> float:
    """Best of a few repeats, by processor time, which other programs on the machine hardly affect."""
    rng = np.random.default_rng(0)
    scenes = [draw_scene(rng, dimension) for _ in range(NUM_CLIPS)]
    render(scenes[0])
    seconds = []
    for _ in range(NUM_REPEATS):
        start = time.process_time()
        for scene in scenes:
            render(scene)
        seconds.append(time.process_time() - start)
    return NUM_CLIPS / min(seconds)


def main() -> None:
    """Print clips per second for each kind of scene, and for all of them in equal parts."""
    rates = {dimension: clips_per_second(dimension) for dimension in DIMENSIONS}
    for dimension, rate in rates.items():
        print(f"render {dimension:32s} {rate:7.0f} clips/s")
    print(f"render {'all, in equal parts':32s} {len(rates) / sum(1 / rate for rate in rates.values()):7.0f} clips/s")


if __name__ == "__main__":
    main()
