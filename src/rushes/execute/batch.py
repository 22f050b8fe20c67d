"""One call for many requests: one bad request costs only itself, and what was given before an error is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Self, TypeVar

from rushes.errors import Stopped, UserError
from rushes.execute.machine import broken_library
from rushes.execute.work import Failed

Request = TypeVar("Request")
Call = Callable[[Sequence[Request]], object]
"""Takes requests and gives one result each, in order: a list, or an iterator that yields them as they are there."""

_MAX_ALONE: Final = 3
"""After this many consecutive failures of single requests, the rest of a failed batch is not tried one by one."""


def batch_or_alone(call: Call[Request], requests: Sequence[Request]) -> list[object]:
    """The result of `call` for each request, in order; a list of another length is an error of the call.

    Where an error left some requests without a result, or all failed, each of these is tried alone; what fails again
    is `Failed`. `UserError` and `Stopped` end the work instead: the requests without a result are then `Failed` with
    that error (`Failed.ends`), beside the results that came before it.

    Args:
        call: does the work.
        requests: at least one.

    Raises:
        UserError, Stopped: raised by the call before it gave a result.
    """
    with _Taking(len(requests)) as taking:
        taking.take(call(requests))
    results = _filled(taking.given, len(requests), taking.error)
    first = 0 if taking.error is None else len(taking.given)
    if len(requests) == 1 or not all(map(_may_succeed_alone, results[first:])):
        return results
    failed_in_a_row = 0
    for i in range(first, len(requests)):
        with _Taking(1) as taking:
            taking.take(call([requests[i]]))
        if isinstance(taking.error, (UserError, Stopped)):
            return _filled([*results[:i]], len(requests), taking.error)
        (result,) = _filled(taking.given, 1, taking.error)
        results[i] = replace(result, was_alone=True) if isinstance(result, Failed) else result
        failed_in_a_row = failed_in_a_row + 1 if isinstance(result, Failed) else 0
        if failed_in_a_row == _MAX_ALONE:
            return [*results[:i], *[results[i]] * (len(requests) - i)]
    return results


def _may_succeed_alone(result: object) -> bool:
    return isinstance(result, Failed) and result.ends is None and result.retry != "useless"


class _Taking:
    """What a call gave, and the error that ended it; a block, so that the call stands in the caller's own frame."""

    def __init__(self, num: int) -> None:
        self.num = num
        self.given: list[object] = []
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, Exception):
            self.error = broken_library(error) if isinstance(error, ImportError) else error
        return isinstance(error, Exception)

    def take(self, found: object) -> None:
        """All results; what an iterator gave before an error stays."""
        if not isinstance(found, (list, tuple, Iterator)):
            raise _unfit(repr(found)[:80], self.num)
        for each in islice(found, self.num + 1):
            self.given.append(each)
        if len(self.given) != self.num:
            num = len(self.given) if isinstance(found, Iterator) else len(found)
            self.given = []
            raise _unfit(f"a list of {num}", self.num)


def _filled(given: list[object], num: int, error: Exception | None) -> list[object]:
    """One result per request: `Failed` where an error left none; the error is raised if it leaves nothing to keep."""
    if error is None:
        return given
    ends = error if isinstance(error, (UserError, Stopped)) else None
    if ends is not None and all(isinstance(each, Failed) for each in given):
        raise ends
    return [*given, *[replace(Failed.of(error), ends=ends)] * (num - len(given))]


def _unfit(got: str, num: int) -> TypeError:
    return TypeError(f"expected a list with one result for each of {num} requests, got {got}")
