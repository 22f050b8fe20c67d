"""A piece of work with its key, and the place where `advance` computes and reports it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rushes.execute.local import LocalExecutor
from rushes.execute.progress import OnProgress
from rushes.execute.stop import StopSignal
from rushes.execute.work import Executor, Failed, Needs
from rushes.records import KeyedRecord
from rushes.store.events import EventLog
from rushes.store.shortfall import Shortfall

R = TypeVar("R", bound=KeyedRecord)
PayloadT_co = TypeVar("PayloadT_co", covariant=True)


@dataclass(frozen=True)
class Work(Generic[PayloadT_co]):
    """A piece of work: the key of its record, and the input for making it."""

    key: str
    """Work key, known before the work."""
    payload: PayloadT_co
    """The input of `do`; must be picklable if work is sent to other processes."""


@dataclass(frozen=True)
class Place:
    """Where chunks are computed, and where progress is reported. Does not affect results."""

    executor: Executor = field(default_factory=LocalExecutor)
    """Runs the chunks; by default one after the other in this process."""
    needs: Needs | None = None
    """Resources per worker, for executors that share machines."""
    device: str = "cpu"
    """Where the time is spent, for the cost ledger."""
    stop: StopSignal = field(default_factory=StopSignal)
    """Checked between chunks."""
    on_progress: OnProgress | None = None
    """Called before the first chunk and after each."""
    during: str = ""
    """The stage of the run that the work is part of, for the display."""
    log: EventLog | None = None
    """The run's event log; failures and the start and end of the stage are written there."""
    shortfall: Shortfall = field(default_factory=Shortfall)
    """Takes note of what stayed failed."""
    is_counted: bool = True
    """False leaves the time out of the run's ledger: what is made beside a run is none of its cost."""


@dataclass(frozen=True)
class Made(Generic[R]):
    """What a worker returns for one chunk."""

    results: tuple[R | Failed, ...]
    seconds: float
