"""Errors a person can act on, and the few signals that pass between the store and the command line.

`UserError` and its subclasses are shown without a traceback; every other exception is a bug and is shown with one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from rushes.plain import safe

_NOT_GIVEN: Final = object()
_ALIKE: Final = 0.8
"""How much of two names must agree for one to be a misspelling of the other: `foo` is none of `floor`."""
_ALIKE_IN_LENGTH: Final = 0.75
"""The same for names of one length, or one letter apart: `sede` for `seed`."""
_BETWEEN: Final = re.compile(r"[\W_]+")


class UserError(Exception):
    """Something the user can fix: what is wrong, what was expected, what was found instead, what to do next.

    Example:
        UserError("train.steps is not a whole number", expected="an integer >= 1", got="many",
                  next_step="set train.steps in the recipe, for example: --set train.steps=200")
    """

    def __init__(
        self, problem: str, *, expected: str | None = None, got: object = _NOT_GIVEN, next_step: str | None = None
    ) -> None:
        self.problem = problem
        """One sentence that says what is wrong."""
        self.expected = expected
        """What would have been correct; None when the problem already states it."""
        self.got_repr = None if got is _NOT_GIVEN else repr(got)
        """repr() of the offending value; None when there is none to show."""
        self.next_step = next_step
        """What to type or change next."""
        super().__init__(problem)

    def __str__(self) -> str:
        return safe(in_lines(self.problem, self.expected, self.got_repr, self.next_step))

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default pickling, and errors come back from worker processes.
        return (_restore, (type(self), self.problem, dict(self.__dict__)))


def in_lines(problem: str, expected: str | None, got: str | None, next_step: str | None) -> str:
    """A problem and what belongs to it, one line each; parts that are None are left out."""
    parts = {"expected: ": expected, "got:      ": got, "next:     ": next_step}
    return "\n".join([problem, *(f"  {name}{text}" for name, text in parts.items() if text is not None)])


def _restore(cls: type[UserError], problem: str, state: dict[str, Any]) -> UserError:
    error = cls.__new__(cls)
    Exception.__init__(error, problem)
    error.__dict__.update(state)
    return error


class RecipeError(UserError):
    """The recipe asks for something unknown, of the wrong type, or impossible."""


class InputError(UserError):
    """A file or folder the user brought (videos, captions, weights) cannot be used."""


class StoreError(UserError):
    """A run folder cannot be read or written: disk full, read-only, made by a newer version, damaged."""


class RunLocked(StoreError):
    """Another process is working in this run folder."""


class RecipeChanged(StoreError):
    """The run folder was made by another recipe; `paths` names the keys that differ."""

    def __init__(self, problem: str, *, paths: tuple[str, ...], next_step: str) -> None:
        super().__init__(problem, next_step=next_step)
        self.paths = paths
        """Dotted key paths whose value differs, sorted."""


def command(*words: object) -> str:
    """A command of ours as it can be typed, whatever is in the names of its files: `rushes status 'my runs/x'`.

    Args:
        words: what follows `rushes`, unquoted.
    """
    return shlex.join(["rushes", *map(str, words)])


def resume_command(home: Path | str) -> str:
    """What to type to continue a run with the recipe that is stored in its folder."""
    return command("run", f"{home}/recipe.yaml", "--home", home)


def heal_command(home: str) -> str:
    """What to type where a run folder is damaged: it drops the damage, and makes again what is then missing."""
    return f"{command('check', home, '--heal')} && {resume_command(home)}"


def nearest(word: str, names: Collection[str]) -> str | None:
    """The name that somebody who typed `word` meant; None where none is so similar that it would be more than a guess.

    A name is similar that differs by a letter or two, by case, by signs or by `num_`, or that alone has all parts of
    the word: `rate` for `learning_rate`.

    Args:
        word: what was typed.
        names: those that exist.
    """
    close = {name: _likeness(word, name) for name in names}
    best = max(close, key=lambda name: close[name], default=None)
    if best is not None and close[best] >= _ALIKE:
        return best
    parts = _parts(word)
    having_all = [name for name in names if parts and parts <= _parts(name)]
    if having_all:
        return having_all[0] if len(having_all) == 1 else None
    return best if best is not None and close[best] >= _ALIKE_IN_LENGTH and abs(len(best) - len(word)) <= 1 else None


def _likeness(word: str, name: str) -> float:
    """How much of two names agrees, 0 to 1, without case, signs and the `num_` of counts."""
    one, other = ("".join(filter(str.isalnum, each.casefold().removeprefix("num_"))) for each in (word, name))
    return SequenceMatcher(None, one, other).ratio()


def _parts(name: str) -> set[str]:
    return {part for part in _BETWEEN.split(name.casefold()) if part}


class Damage(StoreError):
    """Something stored no longer is what was written. A run drops it and makes it again, see `rushes.store.heal`."""

    def __init__(self, problem: str, *, home: str, expected: str, place: str) -> None:
        super().__init__(
            problem,
            expected=expected,
            next_step=heal_command(home),
        )
        self.place = place
        """What is damaged: a path, or a record's table and key."""


class BlobCorrupt(Damage):
    """A stored file is missing, truncated or altered: its bytes no longer match its name."""

    def __init__(self, sha256: str, path: str, reason: str) -> None:
        super().__init__(
            f"stored file {path} is {reason}",
            home=str(Path(path).parents[2]) if len(Path(path).parents) > 2 else ".",
            expected=f"content with sha256 {sha256}",
            place=path,
        )
        self.sha256 = sha256
        """Hash the content should have (64 hex digits)."""
        self.path = path
        """Where the file is, or should be."""
        self.reason = reason
        """'missing', 'truncated', 'too long' or 'altered'."""


class FileCorrupt(Damage):
    """A file of the run folder itself (`derived/focus.json`, `header.json`) is not what was written."""

    def __init__(self, home: Path, path: Path, reason: str) -> None:
        super().__init__(f"{path} is {reason}", home=str(home), expected="the bytes that Rushes wrote", place=str(path))
        self.path = path
        """The file."""


class RecordCorrupt(Damage):
    """A record in the database is not what was written."""

    def __init__(self, home: Path, table: str, key: str) -> None:
        key = ascii(key)[1:-1]  # a damaged key may hold any character
        super().__init__(
            f"the record {table}/{key} in {home / 'records.sqlite'} is altered",
            home=str(home),
            expected="a record that matches its checksum",
            place=f"{table}/{key}",
        )


class DatabaseCorrupt(Damage):
    """The SQLite file of a run cannot be read as a database of Rushes."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged or the disk fails: {reason}",
            home=str(path.parent),
            expected="the database that Rushes wrote",
            place=str(path),
        )


class TrainingError(UserError):
    """Training cannot continue: repeated non-finite losses, too many unscored clips, no weight left."""


class StageFailed(UserError):
    """A whole stage fails, or several chunks of it in a row: a bug or a broken set-up, not bad luck.

    The message names the stage, how much failed and the commonest reason; a traceback follows where there is one.
    """


class Unfinished(UserError):
    """A run came to its end, but some of its work failed and should be tried again."""


class Stopped(Exception):
    """The user asked to stop (Ctrl-C or SIGTERM) and the current work is stored; run the same command to resume."""
