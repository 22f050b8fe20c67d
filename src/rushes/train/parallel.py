"""How one step is shared by several processes: who computes which rows, and how the parts become the whole batch again.

`Alone` is one process, for which all of it is nothing; `together.Together` is several. The loop knows only `Parallel`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from rushes.train.network import Network


class Parallel(Protocol):
    """One of the processes that train together. Every method is called by all of them, in the same order."""

    @property
    def rank(self) -> int:
        """Which one, from 0; the first alone writes files and talks to the user."""
        ...

    @property
    def num_processes(self) -> int:
        """How many there are."""
        ...

    @property
    def is_sharded(self) -> bool:
        """True where every process holds a part of each weight, False where each holds all of them."""
        ...

    def divide(self, network: Network) -> None:
        """Leave each process its part of every weight, on its device; once, where `is_sharded`, before any use."""
        ...

    def wrap(self, network: Network, idle: Callable[[], Collection[str]]) -> Network:
        """The network with gradients shared between the processes; once, before the optimiser is made.

        Args:
            network: as it is in one process.
            idle: tells which trained parameters get no gradient in a step; called where that matters.
        """
        ...

    def syncing(self, network: Network, last: bool) -> AbstractContextManager[None]:
        """Around one micro-batch: gradients have to be those of all processes only after the last of a step."""
        ...

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """What every process gave, by rank, in float64; all give equally many."""
        ...

    def of_first(self, value: bool) -> bool:
        """What the first process says."""
        ...

    def decided(self, name: str, decide: Callable[[], str]) -> str:
        """The first process decides, all get its text. A name is used once."""
        ...

    def whole(self, value: Tensor) -> Tensor:
        """A tensor without its division between processes."""
        ...

    def part(self, value: Tensor, like: Tensor) -> Tensor:
        """A whole tensor divided as `like` is; every process has the whole one."""
        ...

    def collected(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors on the first process, nothing on the others; divided ones arrive in main memory."""
        ...


def rows_of(rank: int, num_processes: int, num_rows: int) -> slice:
    """The rows of a batch that a process computes: equal parts in order; `num_rows` is a multiple of the processes."""
    size = num_rows // num_processes
    return slice(rank * size, (rank + 1) * size)


@dataclass(frozen=True)
class Alone:
    """One process: everything is whole already."""

    rank: int = 0
    num_processes: int = 1
    is_sharded: bool = False

    def divide(self, network: Network) -> None:
        """Nothing to do."""

    def wrap(self, network: Network, idle: Callable[[], Collection[str]]) -> Network:
        """The network as it is."""
        return network

    def syncing(self, network: Network, last: bool) -> AbstractContextManager[None]:
        """Nothing to do."""
        return contextlib.nullcontext()

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """These values."""
        return [list(values)]

    def of_first(self, value: bool) -> bool:
        """This value."""
        return value

    def decided(self, name: str, decide: Callable[[], str]) -> str:
        """Decide."""
        return decide()

    def whole(self, value: Tensor) -> Tensor:
        """As it is."""
        return value

    def part(self, value: Tensor, like: Tensor) -> Tensor:
        """As it is."""
        return value

    def collected(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As they are."""
        return dict(tensors)


ALONE = Alone()
"""What training uses unless it is told otherwise."""
