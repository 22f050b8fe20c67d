"""Runs of every model family that are killed again and again, and must end like one that was left alone.

In every family each kind of write is met by a kill: within a run the kills are drawn in the order in which a run passes
their places, so that each is still ahead when its process starts. The others come from the clock.
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
from benchmarks.trouble.places import Die, Note, kind_of, read_places, watch
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
_MOST_RUNS: Final = 12
"""Runs of a family after which a kind of write that no kill met is named instead."""


@dataclass(frozen=True)
class Straight:
    """A run that was left alone."""

    recipe: Recipe
    contents: dict[str, str]
    passed: tuple[str, ...]
    """The places where it could have died, in order."""
    seconds: float


@dataclass(frozen=True)
class Doom:
    """How a process dies."""

    what: str
    """In words."""
    kind: str
    """The kind of write that it meets; empty for a kill by the clock."""
    begin: Callable[[Path], None]
    """What the process does first so that it dies later; gets the run folder."""


@dataclass(frozen=True)
class Dooms:
    """Draws how the processes of a run die."""

    straight: Straight
    rng: random.Random
    used: Counter[str]
    """How often each place was drawn, in all families together."""
    unmet: set[str]
    """Kinds of write that no kill of this family has met so far."""

    def draw(self, count: int) -> list[Doom]:
        """For one run: `count` kills at most, at least one."""
        if not self.unmet:
            return [self._by_the_clock() for _ in range(count)]
        kinds = self.rng.sample(sorted(self.unmet), min(count, len(self.unmet)))
        dooms, start = list[Doom](), 0
        for at in sorted(self._moment(kind) for kind in kinds):
            place = self.straight.passed[at]
            # A resumed run passes only what is ahead of the place where the last process died.
            nth = self.straight.passed[start : at + 1].count(place)
            dooms.append(Doom(f"{place}, time {nth}", kind_of(place), partial(watch, on_place=Die(place, nth))))
            start = at + 1
        return dooms

    def _moment(self, kind: str) -> int:
        """A number in `passed`. Rare places are as likely as frequent ones, since a fault hides at the rare ones."""
        places = [place for place in sorted(set(self.straight.passed)) if kind_of(place) == kind]
        fewest = min(self.used[place] for place in places)
        place = self.rng.choice([place for place in places if self.used[place] == fewest])
        self.used[place] += 1
        return self.rng.choice([at for at, each in enumerate(self.straight.passed) if each == place])

    def _by_the_clock(self) -> Doom:
        delay_s = self.rng.uniform(0.0, self.straight.seconds / 2)
        return Doom(f"after {delay_s:.3f} s", "", partial(_by_the_clock, delay_s))


def kills(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Kill runs, `count` times in all, in equal parts over the families; one outcome per kill.

    It takes a few more where a family has kinds of write that none has met.
    """
    shares = [count // len(TINY) + (number < count % len(TINY)) for number in range(len(TINY))]
    used = Counter[str]()
    for number, (name, share) in enumerate(zip(TINY, shares, strict=True)):
        if share:
            folder, by_adapter = scratch / name, number % 2 == 1
            straight = left_alone(recipe_of(name, folder, by_adapter=by_adapter), folder)
            unmet = {kind_of(place) for place in straight.passed}
            dooms = Dooms(straight, random.Random(f"{seed}-{name}"), used, unmet)
            yield from family(dooms, share, folder, name)
            shutil.rmtree(folder)


def family(dooms: Dooms, count: int, folder: Path, name: str) -> Iterator[Outcome]:
    """Kill runs of one family; for `count` of at least the kinds of write, until each was met."""
    left, meets_all = count, count >= len(dooms.unmet)
    for run in range(1, count + _MOST_RUNS):
        if left <= 0 and not (meets_all and dooms.unmet and run <= _MOST_RUNS):
            break
        outcomes = _one_run(dooms, min(left, KILLS_PER_RUN) if left > 0 else 1, folder / f"run-{run}", f"{name} {run}")
        yield from outcomes
        left -= len(outcomes)
    if meets_all and dooms.unmet:
        yield Outcome(f"kills {name}", (Fault("lost", f"no kill met {', '.join(sorted(dooms.unmet))}"),))


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


def _one_run(dooms: Dooms, count: int, home: Path, case: str) -> list[Outcome]:
    """Kill one run up to `count` times and let it end; an outcome per kill."""
    log, deaths, faults = home.with_suffix(".log"), list[str](), list[Fault]()
    waiting = dooms.draw(count)
    for _ in range(LIVES_PER_RUN):
        if (home / "done").exists() and not waiting:
            break
        doom = waiting.pop(0) if waiting else None
        life = live(partial(_doomed, dooms.straight.recipe, home, doom), log)
        if life.was_killed and doom is not None:
            deaths.append(doom.what)
            dooms.unmet.discard(doom.kind)
        elif life.exit_code != 0:
            faults = [*faults, _fault(life)]
    faults = faults or _compared(dooms.straight, home)
    shutil.rmtree(home, ignore_errors=True)
    return [Outcome(f"kills {case}: killed {'; '.join(deaths)}", tuple(faults)) for _ in deaths]


def _fault(life: Life) -> Fault:
    return Fault("traceback", life.bug) if life.bug else Fault("lost", f"refuses to resume: {life.last_line}")


def _compared(straight: Straight, home: Path) -> list[Fault]:
    if not (home / "done").exists():
        return [Fault("lost", "never done")]
    gap = difference(straight.contents, contents(home))
    return [Fault("lost", f"ends with other results: {gap}")] if gap else []


def _doomed(recipe: Recipe, home: Path, doom: Doom | None) -> None:
    if doom is not None:
        doom.begin(home)
    improve(recipe, home)


def _by_the_clock(delay_s: float, home: Path) -> None:
    timer = threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()
