"""Every curve that training stores is explained where it is shown."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

from rushes.display.curves import meaning
from rushes.train import objectives
from rushes.train.state import NORM, RATE

MODULES = [
    importlib.import_module(f"rushes.train.objectives.{each.name}")
    for each in pkgutil.iter_modules(objectives.__path__)
]
NAMES = sorted(
    {
        name
        for module in MODULES
        for _, kind in inspect.getmembers(module, inspect.isclass)
        for name in getattr(kind, "names", ())
    }
)


def test_there_are_names_of_every_objective() -> None:
    assert {"weighted_flow", "crd", "dpo", "nft", "rvm", "awm", "art", "online", "reward_gradient"} <= set(NAMES)


@pytest.mark.parametrize(
    "name", [*NAMES, NORM, RATE, "real_flow", "held_out_own", "held_out_real", "distance_to_start"]
)
def test_a_curve_has_a_line_that_says_what_it_is(name: str) -> None:
    words = meaning(name)
    assert words.endswith(".") and 15 < len(words) < 180


def test_a_curve_of_a_plug_in_has_none() -> None:
    assert meaning("somebody_elses_term") == ""
