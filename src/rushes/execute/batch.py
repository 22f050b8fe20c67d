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
    results: list[object] = [Failed("NotTried", "")] * len(requests)
    groups = [range(len(requests))]
    failed_in_a_row = 0
    for group in groups:
        try:
            given = _checked(call([requests[i] for i in group]), len(group))
        except (UserError, Stopped):
            raise
        except ImportError as error:
            raise broken_library(error) from error
        except Exception as error:
            given = [Failed.of(error)] * len(group)
        is_alone, failed = group is not groups[0], [each for each in given if isinstance(each, Failed)]
        for i, result in zip(group, given, strict=True):
            results[i] = replace(result, was_alone=True) if is_alone and isinstance(result, Failed) else result
        if not is_alone and len(requests) > 1 and len(failed) == len(requests):
            groups += [range(i, i + 1) for i in group]
        failed_in_a_row = failed_in_a_row + 1 if is_alone and failed else 0
        if failed_in_a_row == _MAX_ALONE:
            rest = len(requests) - group.stop
            return [*results[: group.stop], *[results[group.start]] * rest]
    return results


def _checked(given: object, num: int) -> list[object]:
    if not isinstance(given, (list, tuple)) or len(given) != num:
        size = f"a list of {len(given)}" if isinstance(given, (list, tuple)) else repr(given)[:80]
        raise TypeError(f"expected a list with one result for each of {num} requests, got {size}")
    return list(given)
