"""The contract of the role Executor: a loop's results, bounded in flight, failures as values, one tool a worker."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rushes.errors import Stopped, UserError
from rushes.execute import Lazily
from rushes.roles import Executor, Failed

SLOWEST_S = 300.0
"""How long a call here waits for another one at most."""


def check_executor(executor: Executor, num_workers: int, folder: Path) -> None:
    """Put an executor through the contract.

    Args:
        executor: ready to work.
        num_workers: how many workers it has.
        folder: an empty folder that all workers see.
    """
    _check_results(executor)
    _check_failures(executor)
    _check_bound(executor, num_workers)
    _check_stopping_to_draw(executor)
    _check_tool(executor, num_workers, folder)
    for error in (UserError("no server", expected="one", got=3, next_step="start it"), Stopped("asked")):
        _check_raised(executor, error, num_workers, folder / type(error).__name__)


def _square(item: int) -> int:
    return item * item


def _check_results(executor: Executor) -> None:
    done = {each.index: each.result for each in executor.map(_square, range(7))}
    assert done == {i: i * i for i in range(7)}, f"expected the results of a loop, got {done!r}"
    assert list(executor.map(_square, [])) == [], "no items must give no results"


def _inverse(item: int) -> int:
    return 6 // item


def _check_failures(executor: Executor) -> None:
    done = {each.index: each.result for each in executor.map(_inverse, [1, 0, 2])}
    assert (done[0], done[2]) == (6, 3), f"one failure must not cost the others, got {done!r}"
    failed = done[1]
    assert isinstance(failed, Failed), f"expected a Failed in the place of the result, got {failed!r}"
    assert failed.error_type == "ZeroDivisionError", f"expected the error's own name, got {failed.error_type!r}"
    assert "_inverse" in failed.trace, "the traceback must lead to the line that failed"


def _check_bound(executor: Executor, num_workers: int) -> None:
    num_drawn = num_done = most = 0

    def items() -> Iterator[int]:
        nonlocal num_drawn, most
        for item in range(3 * num_workers + 2):
            num_drawn += 1
            most = max(most, num_drawn - num_done)
            yield item

    for _ in executor.map(_square, items()):
        num_done += 1
    assert num_drawn == num_done == 3 * num_workers + 2, f"{num_drawn} items drawn, {num_done} results"
    # The result that is being looked at has left its worker, so one more may be under way.
    assert most <= num_workers + 1, f"{most} items in flight with {num_workers} workers"


def _check_stopping_to_draw(executor: Executor) -> None:
    asked_to_stop = False

    def items() -> Iterator[int]:
        for item in range(1000):
            if asked_to_stop:
                return
            yield item

    num_done = 0
    for _ in executor.map(_square, items()):
        num_done += 1
        asked_to_stop = True
    assert 1 <= num_done < 100, f"when no more items are drawn, the work must end; {num_done} were done"


def _build(folder: Path) -> int:
    (folder / f"{os.getpid()}-{uuid.uuid4().hex}").touch()
    return 10


def _add(tool: int, item: int) -> int:
    return tool + item


def _check_tool(executor: Executor, num_workers: int, folder: Path) -> None:
    built = folder / "built"
    built.mkdir()
    call: Callable[[int], int] = Lazily(partial(_build, built), _add)
    assert list(executor.map(call, [])) == [] and not list(built.iterdir()), "nothing to do must build no tool"
    results = sorted(each.result for each in executor.map(call, range(8)) if isinstance(each.result, int))
    assert results == list(range(10, 18)), f"expected the tool's results, got {results!r}"
    num_built = len(list(built.iterdir()))
    assert 1 <= num_built <= num_workers, f"expected one tool per worker, {num_built} built by {num_workers}"


def _first_fails(item: int, *, error: Exception, folder: Path, together: bool) -> int:
    if item == 0:
        if together:
            _wait_for(folder / "second has begun")
        raise error
    if item == 1:
        (folder / "second has begun").touch()
    return item


def _wait_for(file: Path) -> None:
    until = time.monotonic() + SLOWEST_S
    while not file.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{file.name}: waited for {SLOWEST_S:g} s")
        time.sleep(0.01)


def _check_raised(executor: Executor, error: Exception, num_workers: int, folder: Path) -> None:
    folder.mkdir()
    together = num_workers > 1
    call = partial(_first_fails, error=error, folder=folder, together=together)
    kept: list[int] = []
    try:
        for each in executor.map(call, range(20)):
            kept.append(each.index)
    except (UserError, Stopped) as raised:
        assert type(raised) is type(error) and str(raised) == str(error), f"expected {error!r}, got {raised!r}"
    else:
        raise AssertionError(f"{type(error).__name__} must go up, not come back as a value")
    if together:
        assert 1 in kept, "what another worker had in hand must still come back before the error goes up"
    assert 0 not in kept and len(kept) < 20, f"after the error no more items may be drawn; {len(kept)} came back"
