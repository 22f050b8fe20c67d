"""Damaged run folders: damage is noticed, and mended by the commands that are for it; it is never used in silence.

A run is stopped in the middle of training, or finished; one of its files is damaged; then the commands run that a user
would type, and the ones that the errors name. At the end the run must equal one that was never damaged.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.trouble.contents import contents, difference
from benchmarks.trouble.databases import HARMS
from benchmarks.trouble.kills import Straight, left_alone, recipe_of
from benchmarks.trouble.lives import Life, live
from benchmarks.trouble.places import Die, watch
from benchmarks.trouble.tally import Fault, Outcome
from rushes.cli.main import EXIT_USER_ERROR, main
from rushes.pipeline import improve
from rushes.recipe.template import recipe_yaml

_FAMILY: Final = "ltx"
"""One whose text states have two fields, so that the shelf has several files."""
_COMMAND: Final = re.compile(r"rushes ((?:check|run|repair) [^;,]*?)(?=[;,]|$| && | and | then |: )")
_MOST_COMMANDS: Final = 8


@dataclass(frozen=True)
class _Target:
    """What is damaged."""

    name: str
    pattern: str
    """Of the file, below the run folder."""
    in_training: bool = False
    """In a run that was stopped while it trained, rather than in a finished one."""
    how: tuple[str, ...] = ("flipped", "cut off", "empty", "longer", "zeroed end")


TARGETS: Final = (
    _Target("state of training", "scratch/*/state.safetensors", in_training=True),
    _Target("rows of the shelf", "scratch/*/text-*.safetensors", in_training=True),
    _Target("latents of the shelf", "scratch/*/latents-*.safetensors", in_training=True),
    _Target("tuned weights", "WEIGHTS"),
    _Target("derived records", "derived/*.json", how=("number", "cut off", "empty")),
    _Target("scorecard", "scorecard.json", how=("number", "cut off", "empty")),
    _Target("a clip's file", "blobs/??/*"),
    _Target("header", "header.json", how=("cut off", "empty")),
    _Target("manifest of the shelf", "scratch/*/*.rows.json", in_training=True),
    _Target("recipe", "recipe.yaml", how=("number", "cut off", "empty")),
    _Target("a checksum", "**/.*.sha256", how=("zeroed", "empty")),
)


@dataclass(frozen=True)
class _Bench:
    """What all cases share."""

    straight: Straight
    finished: Path
    """A run that is finished."""
    stopped: Path
    """The same, stopped in the middle of training."""
    file: Path
    """Its recipe."""
    log: Path


def damage(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Damage `count` run folders."""
    rng = random.Random(f"{seed}-damage")
    bench = _prepared(scratch)
    number = num_done = 0
    while num_done < count:
        target, look_first = _turn(number)
        home = scratch / "damaged"
        shutil.copytree(bench.stopped if target.in_training else bench.finished, home)
        what = _spoil(home, target, rng)
        if what is not None:
            faults = _mended(bench, home, look_first=look_first, is_used=True)
            yield Outcome(f"damage {seed}: number {number}, {target.name}: {what}", tuple(faults))
            num_done += 1
        shutil.rmtree(home)
        number += 1


def databases(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Damage `count` databases, each kind of harm in turn."""
    bench = _prepared(scratch)
    for number in range(count):
        round_, which = divmod(number, len(HARMS))
        harm, look_first = HARMS[which], (seed + round_ + which) % 2 == 0
        home = scratch / "damaged"
        shutil.copytree(bench.stopped if harm.in_training else bench.finished, home)
        harm.do(home / "records.sqlite", random.Random(f"{seed}-{number}-{harm.name}"))
        faults = _mended(bench, home, look_first=look_first, is_used=harm.must_show)
        yield Outcome(f"databases {seed}: number {number}, {harm.name}", tuple(faults))
        shutil.rmtree(home, ignore_errors=True)


def _turn(number: int) -> tuple[_Target, bool]:
    """What is damaged, and whether a check looks for it before a resume meets it: for each target, both in turn."""
    turn, which = divmod(number, len(TARGETS))
    return TARGETS[which], (turn + which) % 2 == 0


def _prepared(scratch: Path) -> _Bench:
    recipe = recipe_of(_FAMILY, scratch)
    straight = left_alone(recipe, scratch)
    file, stopped = scratch / "recipe.yaml", scratch / "stopped"
    file.write_text(recipe_yaml(recipe), encoding="utf-8")
    place = next(each for each in sorted(straight.passed) if each.startswith("after replace") and "state" in each)
    life = live(partial(_stop, straight, stopped, place), scratch / "log.txt")
    if not life.was_killed:
        raise RuntimeError(f"training did not reach its second state: {life.said}")
    return _Bench(straight, scratch / "straight", stopped, file, scratch / "log.txt")


def _stop(straight: Straight, home: Path, place: str) -> None:
    watch(home, Die(place, 2))
    improve(straight.recipe, home)


# ---------------------------------------------------------------------------------------------- damage


def _spoil(home: Path, target: _Target, rng: random.Random) -> str | None:
    """Damage a file; what was done, or None if this version has no such file."""
    files = _weights(home) if target.pattern == "WEIGHTS" else sorted(home.glob(target.pattern))
    files = [path for path in files if path.is_file() and path.stat().st_size > 1]
    if not files:
        return None
    path, how = rng.choice(files), rng.choice(target.how)
    data = path.read_bytes()
    spoiled = _HOW[how](data, rng)
    if spoiled == data:
        return None
    path.write_bytes(spoiled)
    return f"{how}, {path.relative_to(home)}"


def _weights(home: Path) -> list[Path]:
    """The stored files that the checkpoint's record names."""
    with sqlite3.connect(f"file:{home / 'records.sqlite'}?mode=ro", uri=True) as database:
        bodies = [body for (body,) in database.execute("SELECT body FROM records WHERE name = 'checkpoints'")]
    return [path for path in sorted((home / "blobs").glob("??/*.safetensors")) if any(path.stem in b for b in bodies)]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(data)
    spoiled[rng.randrange(len(data) // 2, len(data))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _number(data: bytes, rng: random.Random) -> bytes:
    """Another digit somewhere in a JSON file."""
    places = [at for at in range(len(data)) if data[at : at + 1].isdigit()] or [0]
    at = rng.choice(places)
    return data[:at] + str((data[at] - 48 + 5) % 10).encode() + data[at + 1 :]


_HOW: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "flipped": _flipped,
    "number": _number,
    "cut off": lambda data, rng: data[: rng.randrange(1, len(data))],
    "empty": lambda data, rng: b"",
    "zeroed": lambda data, rng: bytes(len(data)),
    "longer": lambda data, rng: data + b"x",
    "zeroed end": lambda data, rng: data[: -min(16, len(data) // 2)] + bytes(min(16, len(data) // 2)),
}

# ---------------------------------------------------------------------------------------------- what a user does


def _mended(bench: _Bench, home: Path, *, look_first: bool, is_used: bool = False) -> list[Fault]:
    """Do what a user does, and what the errors say; what is wrong in the end.

    Args:
        bench: what the run must equal in the end.
        home: the damaged run folder.
        look_first: `rushes check` comes first, rather than a resume.
        is_used: every byte of what is damaged counts, so that a check must find it.
    """
    run = ["run", str(bench.file), "--home", str(home)]
    look = [["check", str(home)], ["check", str(home), "--heal"], run]
    if not look_first:
        (home / "done").unlink(missing_ok=True)
    commands, said = look if look_first else [run, *look], ""
    for _ in range(_MOST_COMMANDS):
        if not commands:
            break
        command, *commands = commands
        life = live(partial(main, command), bench.log)
        said = life.last_line
        if life.bug:
            return [Fault("traceback", f"rushes {command[0]}: {life.bug}")]
        if look_first and command == look[0] and life.exit_code == 0:
            # A run that was stopped lacks records anyway, and what its log lost with the damage is made again.
            missed = difference(bench.straight.contents, contents(home)) if (home / "done").exists() else ""
            if missed or is_used:
                return [Fault("made up", f"rushes check finds nothing: {missed}")]
        if life.exit_code == EXIT_USER_ERROR and command[0] == "run":
            commands = [*_followed(life, home, run), *commands]
    if not (home / "done").exists():
        return [Fault("lost", f"nothing that was named mends it: {said}")]
    gap = difference(bench.straight.contents, contents(home))
    return [Fault("made up", f"the damage stays, or was used in silence: {gap}")] if gap else []


def _followed(life: Life, home: Path, run: list[str]) -> list[list[str]]:
    """What the error's next step says, done; the commands that come after it."""
    step = " ".join(life.said.partition("next:")[2].split())
    named = [found.split() for found in _COMMAND.findall(step)]
    checks = [words for words in named if words[0] == "check"]
    if checks:
        return [[word.strip("`'\"") for word in words] for words in checks] + [run]
    if "move this run folder away" in step or "start a new run folder" in step:
        shutil.rmtree(home)
    elif "delete that file" in step:
        problem = life.said.partition("next:")[0]
        for path in sorted(home.rglob("*")):
            if path.is_file() and str(path) in problem:
                os.unlink(path)
    return [run]
