"""The way is short: how many of our own frames lie between `improve` and the loss, the sampler and the judge."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rushes
from rushes.generate.clips import PipelineGenerator
from rushes.pipeline import improve
from rushes.train import objective
from rushes.train.objectives import flow
from tests.support.fakes import HashJudge
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

LIMITS = {"the loss": 12, "the sampler's call": 10, "the judge's call": 10}
PACKAGE = Path(rushes.__file__).resolve().parent


def own_frames() -> list[str]:
    """Our own frames from `improve` to the caller of the function that is watched, by file and name."""
    stack = [each for each in traceback.extract_stack() if Path(each.filename).resolve().is_relative_to(PACKAGE)]
    names = [f"{Path(each.filename).relative_to(PACKAGE)}:{each.name}" for each in stack]
    return names[names.index("pipeline.py:improve") :]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The longest way to each place, in a run without progress display."""
    found: dict[str, list[str]] = {}

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            found[name] = max(found.get(name, []), own_frames(), key=len)
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module in (objective, flow):  # of real clips, and of own ones
            patch.setattr(module, "weighted_flow", watched("the loss", module.weighted_flow))
        patch.setattr(PipelineGenerator, "generate", watched("the sampler's call", PipelineGenerator.generate))
        patch.setattr(HashJudge, "answer", watched("the judge's call", HashJudge.answer))
        improve(tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("m"))), tmp_path_factory.mktemp("runs") / "run")
    return found


@pytest.mark.parametrize("place", LIMITS)
def test_the_way_is_short(ways: dict[str, list[str]], place: str) -> None:
    way = ways[place]
    assert len(way) <= LIMITS[place], f"{len(way)} frames to {place}: {' > '.join(way)}"
