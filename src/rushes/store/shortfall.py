"""What stayed failed: how much of a stage, and the commonest reason, in words for errors and reports."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rushes.records import Failure

MAX_ATTEMPTS: Final = 3
"""How many runs may try a piece of work before it is given up."""
AGAIN: Final = "The same command tries"
"""In the words about failures that another run should try again."""
_SHOWN: Final = 300
_VARYING: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\d+")
"""What differs between messages of one reason: quoted texts, keys and numbers."""


def may_try_again(failure: Failure) -> bool:
    """Whether another run should try this work again."""
    return not failure.is_final and failure.attempt < MAX_ATTEMPTS


def failed_words(stage: str, num_total: int, failures: Sequence[Failure]) -> str:
    """How much failed and why: "2 of 120 answers failed: Http500: out of memory".

    Args:
        stage: the table: "answers".
        num_total: work of the stage, done or not.
        failures: at least one. Of several reasons, the commonest is named, with its count.
    """
    groups = Counter(_kind(each) for each in failures)
    kind, num = groups.most_common(1)[0]
    first = next(each for each in failures if _kind(each) == kind)
    mostly = f", {num} of them" if len(groups) > 1 else ""
    return f"{len(failures)} of {num_total} {stage.replace('_', ' ')} failed{mostly}: {reason_of(first)}"


def reason_of(failure: Failure) -> str:
    """Why it failed, on one line: "Http500: out of memory"."""
    # A server's text goes to terminals and logs: no control characters.
    said = " ".join("".join(each if each.isprintable() else " " for each in failure.message).split())
    shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
    return f"{failure.error_type}: {shown}" if shown else failure.error_type


def _kind(failure: Failure) -> tuple[str, str]:
    return failure.error_type, _VARYING.sub("#", failure.message)


class Shortfall:
    """What stayed failed in this session, stage by stage."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._keys: dict[str, set[str]] = {}
        self._failures: dict[str, dict[str, Failure]] = {}

    def note(self, stage: str, keys: Sequence[str], failures: Sequence[Failure]) -> None:
        """Remember how a stage ended.

        Args:
            stage: its table.
            keys: of all its work.
            failures: of what has no record.
        """
        self._keys.setdefault(stage, set()).update(keys)
        known = self._failures.setdefault(stage, {})
        for key in keys:
            known.pop(key, None)
        known.update({each.work_key: each for each in failures})

    @property
    def may_try_again(self) -> bool:
        """Whether some of it should be tried again by another run."""
        return any(may_try_again(each) for known in self._failures.values() for each in known.values())

    def reasons(self, stage: str) -> str:
        """How much of a stage failed, and why; empty if nothing did."""
        known = list(self._failures.get(stage, {}).values())
        return failed_words(stage, len(self._keys[stage]), known) if known else ""

    def words(self) -> tuple[str, ...]:
        """One note for each stage with failures: how much failed, why, and what comes next."""
        return tuple(
            f"{self.reasons(stage)}{_next(list(known.values()))}" for stage, known in self._failures.items() if known
        )


def _next(failures: Sequence[Failure]) -> str:
    num, them = sum(may_try_again(each) for each in failures), "it" if len(failures) == 1 else "them"
    if not num:
        return f". The run goes on without {them}."
    return f". {AGAIN} {them if num == len(failures) else f'{num} of them'} again."
