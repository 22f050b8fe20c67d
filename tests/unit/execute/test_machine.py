"""A fault of the machine ends the work; it is never one more failed item."""

from __future__ import annotations

import importlib

import pytest

from rushes.errors import UserError
from rushes.execute.batch import batch_or_alone
from rushes.execute.local import LocalExecutor
from rushes.execute.machine import check_device


def needs_a_library(_: object) -> object:
    return importlib.import_module("rushes_needs_this_but_nobody_has_it")


def test_a_missing_library_is_no_failed_item() -> None:
    for workers in (1, 2):
        with pytest.raises(UserError, match="nobody_has_it"):
            list(LocalExecutor(workers).map(needs_a_library, [1, 2, 3]))
    with pytest.raises(UserError, match="rushes doctor"):
        batch_or_alone(needs_a_library, [1, 2, 3])


def test_the_cpu_is_always_there_and_nonsense_never() -> None:
    check_device("cpu")
    for wrong in ("gpu", "cuda:x", ""):
        with pytest.raises(UserError, match="kind of device"):
            check_device(wrong)
