"""The local executor: nothing beyond its workers in flight, failures as values, user errors up."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from functools import partial
from operator import add

import pytest

from rushes.errors import Stopped, UserError
from rushes.execute import Lazily, LocalExecutor
from rushes.roles import Executor, Failed


@pytest.mark.parametrize("num_workers", [1, 4])
def test_results_are_those_of_a_loop(num_workers: int) -> None:
    executor: Executor = LocalExecutor(num_workers)
    done = list(executor.map(lambda item: item * item, range(50)))
    assert sorted((d.index, d.result) for d in done if isinstance(d.result, int)) == [(i, i * i) for i in range(50)]


@pytest.mark.parametrize("num_workers", [1, 3])
def test_work_in_flight_is_bounded(num_workers: int) -> None:
    drawn = 0
    finished = 0
    most = 0

    def items() -> Iterator[int]:
        nonlocal drawn, most
        for item in range(30):
            drawn += 1
            most = max(most, drawn - finished)
            yield item

    for _ in LocalExecutor(num_workers).map(lambda item: time.sleep(0.001), items()):
        finished += 1
    assert (drawn, finished) == (30, 30)
    assert most <= num_workers + 1


@pytest.mark.parametrize("num_workers", [1, 3])
def test_failures_come_back_as_values(num_workers: int) -> None:
    done = {d.index: d.result for d in LocalExecutor(num_workers).map(lambda item: 1 // item, range(3))}
    assert done[1] == 1
    assert isinstance(done[0], Failed)
    assert done[0].error_type == "ZeroDivisionError"


@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("error", [UserError("no server"), Stopped("asked")])
def test_user_errors_and_stops_go_up_after_what_is_in_hand(num_workers: int, error: Exception) -> None:
    gate = threading.Event()

    def call(item: int) -> int:
        if item == 1:
            gate.set()
            raise error
        if item == 0 and num_workers > 1:
            assert gate.wait(5)
        return item

    done = LocalExecutor(num_workers).map(call, range(3))
    kept: list[int] = []
    with pytest.raises(type(error)):
        for one in done:
            kept.append(one.index)
    assert 0 in kept


def test_lazily_builds_once_and_only_when_needed() -> None:
    built: list[int] = []

    def build() -> int:
        built.append(1)
        return 10

    lazy: Lazily[int, int, int] = Lazily(build, add)
    assert built == []
    assert sorted(d.result for d in LocalExecutor(3).map(lazy, range(4)) if isinstance(d.result, int)) == [
        10,
        11,
        12,
        13,
    ]
    assert built == [1]


def test_lazily_travels_without_its_tool() -> None:
    lazy: Lazily[int, int, int] = Lazily(partial(int, "10"), add)
    assert lazy(1) == 11
    assert pickle.loads(pickle.dumps(lazy))(2) == 12
