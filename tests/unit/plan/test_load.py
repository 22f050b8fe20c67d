"""What is said about other work on the machine."""

from __future__ import annotations

import os

import pytest

from rushes.cli.plan import _tried
from rushes.plan.load import busy_words
from rushes.plan.prices import Prices
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("load", "said"), [(0.1, None), (1.9, None), (2.0, "too long"), (11.0, "perhaps 3.0 times")])
def test_a_busy_machine_is_named_with_its_factor(four_cores: pytest.MonkeyPatch, load: float, said: str | None) -> None:
    four_cores.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    words = busy_words()
    assert words is None if said is None else words is not None and said in words


def test_a_system_that_does_not_tell_is_not_called_busy(four_cores: pytest.MonkeyPatch) -> None:
    def unknown() -> tuple[float, float, float]:
        raise OSError

    four_cores.setattr(os, "getloadavg", unknown)
    assert busy_words() is None


def test_a_trial_is_announced_before_it_begins_on_a_busy_machine(
    four_cores: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    four_cores.setattr(os, "getloadavg", lambda: (11.0, 0.0, 0.0))
    said: list[str] = []

    def trial(_: Recipe) -> Prices:
        said.append(" ".join(capsys.readouterr().err.split()))
        return Prices({})

    assert _tried(trial, load_recipe("sandbox")) == Prices({})
    assert "--no-calibrate" in said[0] and "perhaps 3.0 times" in said[0]
