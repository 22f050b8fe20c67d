"""Runs of every model family that are killed again and again, and must end like one that was left alone.

The kills are drawn from the places where a file changes, those first that saw the fewest kills so far in any family,
and from the clock.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.trouble.contents import contents, difference
from benchmarks.trouble.lives import Life, live
from benchmarks.trouble.places import Die, Note, read_places, watch
from benchmarks.trouble.tally import Fault, Outcome
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import small

KILLS_PER_RUN: Final = 5
"""Kills of one run before it is left alone and compared."""
LIVES_PER_RUN: Final = 12
"""Processes after which a run that is still not finished counts as lost."""
_BY_THE_CLOCK: Final = 0.2
"""Share of the kills at a random moment instead of at a place."""


@dataclass(frozen=True)
class Straight:
    """A run that was left alone."""

    recipe: Recipe
    contents: dict[str, str]
    places: dict[str, int]
    """How often each place was passed."""
    seconds: float


@dataclass(frozen=True)
class Dooms:
    """Draws how the next process dies."""

    straight: Straight
    rng: random.Random
    used: Counter[str]
    """How often each place was drawn, in all families together."""

    def draw(self, home: Path) -> tuple[Callable[[], None], str]:
        """What a child does first so that it dies later, and in words."""
        if self.rng.random() < _BY_THE_CLOCK:
            delay_s = self.rng.uniform(0.0, self.straight.seconds / 2)
            return partial(_by_the_clock, delay_s), f"after {delay_s:.3f} s"
        fewest = min(self.used[place] for place in self.straight.places)
        place = self.rng.choice([place for place in sorted(self.straight.places) if self.used[place] == fewest])
        self.used[place] += 1
        nth = self.rng.randint(1, self.straight.places[place])
        return partial(watch, home, Die(place, nth)), f"{place}, time {nth}"


def kills(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Kill runs, `count` times in all, in equal parts over the families; one outcome per kill."""
    shares = [count // len(TINY) + (number < count % len(TINY)) for number in range(len(TINY))]
    used = Counter[str]()
    for number, (name, share) in enumerate(zip(TINY, shares, strict=True)):
        if share:
            folder, by_adapter = scratch / name, number % 2 == 1
            straight = left_alone(recipe_of(name, folder, by_adapter=by_adapter), folder)
            yield from _family(straight, Dooms(straight, random.Random(f"{seed}-{name}"), used), share, folder, name)
            shutil.rmtree(folder)


def _family(straight: Straight, dooms: Dooms, count: int, folder: Path, name: str) -> Iterator[Outcome]:
    left, run = count, 0
    while left:
        run += 1
        outcomes = _one_run(straight, dooms, min(left, KILLS_PER_RUN), folder / f"run-{run}", f"{name} run {run}")
        yield from outcomes
        left -= len(outcomes)


def recipe_of(name: str, folder: Path, *, by_adapter: bool = False) -> Recipe:
    """A small recipe of that family, its model saved; it trains long enough to be stopped between two steps."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = small(TINY[name], TINY[name].save(folder / "model"))
    lora = LoraSpec(rank=2, alpha=2) if by_adapter else recipe.train.lora
    train = recipe.train.model_copy(update={"num_steps": 4, "checkpoint_every": 1, "lora": lora})
    return recipe.model_copy(update={"train": train})


def left_alone(recipe: Recipe, folder: Path) -> Straight:
    """The run that nothing interrupts.

    Raises:
        RuntimeError: it does not end well, so there is nothing to compare with.
    """
    home, places = folder / "straight", folder / "places.txt"
    began = time.monotonic()
    life = live(partial(_noted, recipe, home, places), folder / "straight.log")
    if life.exit_code != 0:
        raise RuntimeError(f"the run that is left alone fails: {life.said}")
    return Straight(recipe, contents(home), read_places(places), time.monotonic() - began)


def _noted(recipe: Recipe, home: Path, places: Path) -> None:
    note = Note()
    watch(home, note)
    improve(recipe, home)
    note.save(places)


def _one_run(straight: Straight, dooms: Dooms, count: int, home: Path, case: str) -> list[Outcome]:
    """Kill one run up to `count` times, at least once, and let it end; an outcome per kill."""
    log, deaths, faults = home.with_suffix(".log"), list[str](), list[Fault]()
    for _ in range(LIVES_PER_RUN):
        if (home / "done").exists():
            break
        doom, what = dooms.draw(home) if len(deaths) < count else (_nothing, "")
        life = live(partial(_doomed, straight.recipe, home, doom), log)
        if life.was_killed:
            deaths.append(what)
        elif life.exit_code != 0:
            faults = [*faults, _fault(life)]
    faults = faults or _compared(straight, home)
    shutil.rmtree(home, ignore_errors=True)
    return [Outcome(f"kills {case}: killed {'; '.join(deaths)}", tuple(faults)) for _ in deaths]


def _fault(life: Life) -> Fault:
    return Fault("traceback", life.bug) if life.bug else Fault("lost", f"refuses to resume: {life.last_line}")


def _compared(straight: Straight, home: Path) -> list[Fault]:
    if not (home / "done").exists():
        return [Fault("lost", "never done")]
    gap = difference(straight.contents, contents(home))
    return [Fault("lost", f"ends with other results: {gap}")] if gap else []


def _doomed(recipe: Recipe, home: Path, doom: Callable[[], None]) -> None:
    doom()
    improve(recipe, home)


def _by_the_clock(delay_s: float) -> None:
    timer = threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def _nothing() -> None:
    """Live."""
