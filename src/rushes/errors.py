"""Errors a person can act on, and the few signals that pass between the store and the command line.

`UserError` and its subclasses are shown without a traceback; every other exception is a bug and is shown with one.
"""

from __future__ import annotations

from typing import Any, Final

_NOT_GIVEN: Final = object()


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
        return in_lines(self.problem, self.expected, self.got_repr, self.next_step)

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


class BlobCorrupt(StoreError):
    """A stored file is missing, truncated or altered: its bytes no longer match its name."""

    def __init__(self, sha256: str, path: str, reason: str) -> None:
        super().__init__(
            f"stored file {path} is {reason}",
            expected=f"content with sha256 {sha256}",
            next_step="run the same command again: what depends on the file is made again",
        )
        self.sha256 = sha256
        """Hash the content should have (64 hex digits)."""
        self.path = path
        """Where the file is, or should be."""
        self.reason = reason
        """'missing', 'truncated', 'too long' or 'altered'."""


class TrainingError(UserError):
    """Training cannot continue: repeated non-finite losses, too many unscored clips, no weight left."""


class StageFailed(Exception):
    """Every item of several chunks in a row failed: a bug or a broken set-up, not bad luck. Not a `UserError`."""


class Stopped(Exception):
    """The user asked to stop (Ctrl-C or SIGTERM) and the current work is stored; run the same command to resume."""
