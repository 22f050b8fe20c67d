"""The outcome of each case, and the table of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

_VARIES: Final = re.compile(r"'[^']*'|--set \S+|/\S+|\d[\d.]*")
"""What differs between faults of one kind."""
Kind = Literal["lost", "made up", "traceback", "leak"]
KINDS: Final[tuple[Kind, ...]] = ("lost", "made up", "traceback", "leak")
"""Work that is gone or a result that was not reached; a result that nothing supports; a bug shown to the user, a hang
or a crash; a secret or a control character in what is printed or stored."""


@dataclass(frozen=True)
class Fault:
    """What went wrong in a case."""

    kind: Kind
    detail: str


@dataclass(frozen=True)
class Outcome:
    """One case."""

    case: str
    """What was done, with what is needed to do it again."""
    faults: tuple[Fault, ...] = ()
    """Empty if Rushes survived it."""


@dataclass(frozen=True)
class Row:
    """One kind of trouble in the table."""

    name: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def num_survived(self) -> int:
        return sum(not outcome.faults for outcome in self.outcomes)

    def num_with(self, kind: Kind) -> int:
        """Cases with a fault of that kind."""
        return sum(any(fault.kind == kind for fault in outcome.faults) for outcome in self.outcomes)


def table(rows: Sequence[Row]) -> str:
    """A Markdown table."""
    titles = ("trouble", "tried", "survived", *KINDS, "seconds")
    lines = [titles, ("---", *("---:",) * (len(titles) - 1))]
    lines += [
        (
            row.name,
            str(len(row.outcomes)),
            str(row.num_survived),
            *(str(row.num_with(kind)) for kind in KINDS),
            f"{row.seconds:.0f}",
        )
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def faults_of(outcomes: Iterable[Outcome]) -> list[str]:
    """One line per fault, each different kind of text once."""
    seen: dict[tuple[str, str], str] = {}
    for outcome in outcomes:
        for fault in outcome.faults:
            seen.setdefault(
                (fault.kind, _VARIES.sub("*", fault.detail)[:45]), f"{fault.kind}: {outcome.case}: {fault.detail}"
            )
    return list(seen.values())
