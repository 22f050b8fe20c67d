"""Distributed work: its results, what a worker needs, and the Protocol of an executor.

A failure is a value, `Failed`, in place of the result; an executor knows no stage.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, Protocol, TypeVar

from rushes.errors import Stopped, UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

Retry = Literal["counted", "free", "useless"]
"""Whether to try failed work again. "counted": it may succeed, and each try counts against the limit. "free": its
worker was taken away, which says nothing about the work. "useless": another try would give the same."""

MAX_TRIES: Final = 3
"""How often work that fails is tried before it is left out."""


@dataclass(frozen=True)
class Failed:
    """An item that could not be done, in place of its result."""

    error_type: str
    """Class name of the error."""
    message: str
    """The error's message."""
    trace: str = ""
    """Traceback as text; may be empty."""
    retry: Retry = "counted"
    """Whether another try may help."""
    was_alone: bool = False
    """It failed in a call of its own, after the call for a whole batch had failed."""
    ends: UserError | Stopped | None = None
    """The error that ends the stage, once the results that came before it are stored."""

    @classmethod
    def of(cls, error: BaseException, retry: Retry = "counted") -> Failed:
        """The value that stands for `error`."""
        trace = "".join(traceback.format_exception(error))[-8000:]
        return cls(error_type=type(error).__name__, message=str(error), trace=trace, retry=retry)


@dataclass(frozen=True)
class Done(Generic[Result_co]):
    """A finished item of `Executor.map`."""

    index: int
    """Position of the item in the input, from 0."""
    result: Result_co | Failed
    """What the call returned, or how it failed."""


@dataclass(frozen=True)
class Needs:
    """What one worker needs; an executor that cannot provide it raises before it starts."""

    num_cpus: float = 1.0
    """CPU cores per worker."""
    num_gpus: float = 0.0
    """GPUs per worker; may be a fraction."""
    tags: Mapping[str, float] = field(default_factory=dict[str, float])
    """Named resources of a cluster; empty for none."""


class Executor(Protocol):
    """Maps work over workers: a bounded number of items in flight, failures returned and not raised. Knows no stage."""

    def map(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, needs: Needs | None = None
    ) -> Iterator[Done[Result]]:
        """Results as they finish, in any order. An item is drawn only when a worker is free.

        Args:
            call: picklable; a `rushes.execute.Lazily` builds its model once in each worker.
            items: what to work on; drawn lazily, so that the caller stops the work by not iterating further.
            needs: resources per worker; None for one core.

        Raises:
            UserError: a call raised one, or the executor cannot provide `needs`; other errors are `Failed`.
        """
        ...
