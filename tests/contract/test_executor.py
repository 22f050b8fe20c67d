"""The executor's contract: those built in pass, and bad ones are caught for their own reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rushes.execute import LocalExecutor
from rushes.roles import Done, Executor, Needs
from tests.contract.executor import check_executor


@pytest.mark.parametrize("num_workers", [1, 3])
def test_the_local_executor_passes(num_workers: int, tmp_path: Path) -> None:
    check_executor(LocalExecutor(num_workers), num_workers, tmp_path)


class Spoiled:
    """The local executor with one thing wrong."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def map(
        self, call: Callable[[Any], Any], items: Iterable[Any], *, needs: Needs | None = None
    ) -> Iterator[Done[Any]]:
        if self.fault == "draws all at once":
            items = list(items)
        inner: Executor = LocalExecutor(1)
        for done in inner.map(call, items):
            if self.fault == "loses failures" and not isinstance(done.result, int):
                continue
            yield Done(done.index + 1, done.result) if self.fault == "moves results" else done


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("moves results", "the results of a loop"),
        ("loses failures", "'?1'?"),
        ("draws all at once", "in flight"),
    ],
)
def test_a_bad_executor_is_caught(fault: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, KeyError), match=said):
        check_executor(Spoiled(fault), 1, tmp_path)
