"""What one judge is asked in a stage: the work, and what becomes of its replies; the same for each kind of feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rushes.records import KeyedRecord, Score
from rushes.store.advance import Work

P = TypeVar("P")
R = TypeVar("R", bound=KeyedRecord)


@dataclass(frozen=True)
class Asking(Generic[P, R]):
    """What one judge is asked about some clips."""

    table: str
    """Name of the table of its replies."""
    record_type: type[R]
    """What they are."""
    work: Sequence[Work[P]]
    """One piece for each reply."""
    ask: Callable[..., Any]
    """(judge, chunk of `work`, videos, name of the judge) -> a record or `Failed` for each piece; picklable."""
    chunk_size: int
    """Pieces of work for one call of `ask`."""
    grade: Callable[[Sequence[R]], Sequence[Score]]
    """The scores of all the clips, from the replies that exist."""
