"""Work in this process: sequentially, or on a few threads. Never more items in flight than there are workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rushes.errors import Stopped, UserError
from rushes.execute.machine import broken_library
from rushes.execute.work import Done, Failed, Needs

Item = TypeVar("Item")
Result = TypeVar("Result")
Tool = TypeVar("Tool")


@dataclass(frozen=True)
class LocalExecutor:
    """An `Executor` in this process."""

    num_workers: int = 1
    """1 works in the calling thread; more use threads, which help when work waits for a server."""

    def map(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, needs: Needs | None = None
    ) -> Iterator[Done[Result]]:
        """Results as they finish; see `Executor`. `needs` is ignored: this process cannot change its resources."""
        if self.num_workers <= 1:
            for index, item in enumerate(items):
                yield Done(index, outcome(call, item))
        else:
            yield from self._map_threads(call, items)

    def _map_threads(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Done[Result]]:
        source = enumerate(items)
        in_flight: dict[Future[Result | Failed], int] = {}
        raised: BaseException | None = None
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="rushes") as pool:
            while True:
                while (
                    raised is None and len(in_flight) < self.num_workers and (drawn := next(source, None)) is not None
                ):
                    in_flight[pool.submit(outcome, call, drawn[1])] = drawn[0]
                if not in_flight:
                    break
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    index = in_flight.pop(future)
                    error = future.exception()
                    if error is None:
                        yield Done(index, future.result())
                    else:
                        # The other workers' current items are still stored before the error is raised.
                        raised = raised or error
        if raised is not None:
            raise raised


def outcome(call: Callable[[Item], Result], item: Item) -> Result | Failed:
    """The result of a call, or `Failed` if it raises; `UserError` and `Stopped` are raised.

    Raises:
        UserError: raised by the call; or a library is missing or broken, which no other item would survive either.
    """
    try:
        return call(item)
    except (UserError, Stopped):
        raise
    except ImportError as error:
        raise broken_library(error) from error
    except Exception as error:
        return Failed.of(error)


class Lazily(Generic[Tool, Item, Result]):
    """A call with a tool that is built on first use, once per process, so that a finished run loads no model.

    Example:
        do = Lazily(partial(spec.build, runtime), sample)     # sample(generator, chunk) -> records
    """

    def __init__(self, build: Callable[[], Tool], call: Callable[[Tool, Item], Result]) -> None:
        """Remember what to build and what to call.

        Args:
            build: makes the tool (loads the model); picklable if work is sent to other processes.
            call: works on one item with the tool.
        """
        self._begin(build, call)

    def _begin(self, build: Callable[[], Tool], call: Callable[[Tool, Item], Result]) -> None:
        self._build = build
        self._call = call
        self._lock = threading.Lock()
        self._built: list[Tool] = []

    def tool(self) -> Tool:
        """The tool, built on first access."""
        with self._lock:
            if not self._built:
                self._built.append(self._build())
            return self._built[0]

    def __call__(self, item: Item) -> Result:
        return self._call(self.tool(), item)

    def __getstate__(self) -> dict[str, Any]:
        return {"build": self._build, "call": self._call}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(state["build"], state["call"])
