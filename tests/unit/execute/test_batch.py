"""One call for many requests: what was given before an error is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from rushes.errors import Stopped, UserError
from rushes.execute.batch import batch_or_alone
from rushes.execute.work import Failed, Retry

BROKE = UserError("no more credit")


def yields(error: Exception | None, num: int) -> Callable[[Sequence[int]], Iterator[int]]:
    """A call that gives ten times each request, and an error instead of result number `num`."""

    def call(requests: Sequence[int]) -> Iterator[int]:
        for place, request in enumerate(requests):
            if place == num and error is not None:
                raise error
            yield 10 * request

    return call


def kinds(results: Sequence[object]) -> list[object]:
    return [(each.error_type, each.ends, each.was_alone) if isinstance(each, Failed) else each for each in results]


@pytest.mark.parametrize("error", [BROKE, Stopped("by the user")])
def test_results_before_an_error_are_kept_and_the_error_ends_the_stage(error: Exception) -> None:
    found = kinds(batch_or_alone(yields(error, 2), [1, 2, 3, 4]))
    assert found == [10, 20, *[(type(error).__name__, error, False)] * 2]
    with pytest.raises(type(error)):
        batch_or_alone(yields(error, 0), [1, 2])
    assert batch_or_alone(yields(None, 0), [1, 2]) == [10, 20]


def test_what_an_ordinary_error_left_out_is_tried_alone() -> None:
    calls: list[list[int]] = []

    def call(requests: Sequence[int]) -> Iterator[int]:
        calls.append(list(requests))
        return yields(ValueError("odd"), 2)(requests)

    assert batch_or_alone(call, [1, 2, 3, 4]) == [10, 20, 30, 40]
    assert calls == [[1, 2, 3, 4], [3], [4]]


def test_what_was_given_alone_before_an_error_is_kept() -> None:
    def call(requests: Sequence[int]) -> list[int]:
        if len(requests) > 1:
            raise ValueError("too many at once")
        if requests[0] == 3:
            raise BROKE
        return [10 * requests[0]]

    assert kinds(batch_or_alone(call, [1, 2, 3, 4])) == [10, 20, *[("UserError", BROKE, False)] * 2]
    with pytest.raises(UserError):
        batch_or_alone(call, [3, 4])


@pytest.mark.parametrize("num", [0, 3])
def test_results_in_another_number_are_not_used(num: int) -> None:
    for results in ([10] * num, iter([10] * num)):
        found = batch_or_alone(lambda _, given=results: given, [1, 2])
        assert [isinstance(each, Failed) for each in found] == [True, True]


@pytest.mark.parametrize(("retry", "num_calls"), [("counted", 3), ("useless", 1)])
def test_what_would_fail_in_the_same_way_is_not_tried_alone(retry: Retry, num_calls: int) -> None:
    calls: list[list[int]] = []

    def call(requests: Sequence[int]) -> list[Failed]:
        calls.append(list(requests))
        return [Failed("Unusable", "no JSON", retry=retry) for _ in requests]

    assert all(isinstance(each, Failed) for each in batch_or_alone(call, [1, 2]))
    assert len(calls) == num_calls
