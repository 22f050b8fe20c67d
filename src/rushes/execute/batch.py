"""One call for many requests, so that one bad request costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from rushes.errors import Stopped, UserError
from rushes.execute.machine import broken_library
from rushes.execute.work import Failed

Request = TypeVar("Request")

_MAX_ALONE: Final = 3
"""After this many consecutive failures of single requests, the rest of a failed batch is not tried one by one."""


def batch_or_alone(call: Callable[[Sequence[Request]], object], requests: Sequence[Request]) -> list[object]:
    """The result of `call` for each request, in order. If the whole batch fails, each request is tried alone.

    Args:
        call: takes requests and returns a list with one result each. If it raises (other than `UserError` and
            `Stopped`) or returns a list of another length, every request of that call is `Failed`.
        requests: at least one.

    Raises:
        UserError, Stopped: raised by the call.
    """
    together = _one_call(call, requests)
    if len(requests) == 1 or not all(isinstance(each, Failed) for each in together):
        return together
    results: list[object] = []
    failed_in_a_row = 0
    for request in requests:
        (alone,) = _one_call(call, [request])
        if isinstance(alone, Failed):
            alone = replace(alone, was_alone=True)
        results.append(alone)
        failed_in_a_row = failed_in_a_row + 1 if isinstance(alone, Failed) else 0
        if failed_in_a_row == _MAX_ALONE:
            return results + [alone] * (len(requests) - len(results))
    return results


def _one_call(call: Callable[[Sequence[Request]], object], requests: Sequence[Request]) -> list[object]:
    try:
        given = call(requests)
        if not isinstance(given, (list, tuple)) or len(given) != len(requests):
            size = f"a list of {len(given)}" if isinstance(given, (list, tuple)) else repr(given)[:80]
            raise TypeError(f"expected a list with one result for each of {len(requests)} requests, got {size}")
        return list(given)
    except (UserError, Stopped):
        raise
    except ImportError as error:
        raise broken_library(error) from error
    except Exception as error:
        return [Failed.of(error)] * len(requests)
