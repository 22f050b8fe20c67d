"""An executor whose work leaves the process in everything but name."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rushes.execute import LocalExecutor
from rushes.roles import Done, Needs


class Travelling:
    """Sends call, items and results through pickle, as a cluster does, and works on a copy of the call."""

    def __init__(self) -> None:
        self.num_calls = 0

    def map(
        self, call: Callable[[Any], Any], items: Iterable[Any], *, needs: Needs | None = None
    ) -> Iterator[Done[Any]]:
        self.num_calls += 1
        assert needs == Needs(num_cpus=1.0, num_gpus=0.0)
        copy = pickle.loads(pickle.dumps(call))
        for done in LocalExecutor().map(copy, (pickle.loads(pickle.dumps(item)) for item in items)):
            yield pickle.loads(pickle.dumps(done))
