"""Which held-out prompts the comparison uses: more of what the run is aimed at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rushes.context import Workbench
from rushes.prompts.stage import PromptDesk
from rushes.recipe.diagnose import DiagnoseSpec
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Focus
from rushes.store.run import Run

FOCUS = Focus(
    dimension="Mechanics", baseline=0.4, low=0.3, high=0.5, gap=0.6, share=1.0, num_prompts=4, reason="weak"
)  # fmt: skip


@pytest.fixture
def desk_with(tmp_path: Path) -> Iterator[Callable[..., PromptDesk]]:
    with Run.open(tmp_path, Recipe()) as run:

        def build(**measure: object) -> PromptDesk:
            spec = MeasureSpec.model_validate({"num_prompts": 2, "num_diversity_prompts": 1, **measure})
            recipe = Recipe(diagnose=DiagnoseSpec(dimensions=("Mechanics", "Composition"), num_prompts=2), measure=spec)
            return PromptDesk(recipe, run, cast(Workbench, SimpleNamespace(vocabulary=None)))

        yield build


def counted(desk: PromptDesk) -> dict[str, int]:
    return dict(Counter(prompt.dimension for prompt in desk.compared([FOCUS])))


def test_the_focus_has_more_prompts_and_the_rest_as_many_as_ever(desk_with: Callable[..., PromptDesk]) -> None:
    plain, more = desk_with(), desk_with(num_extra_focus_prompts=3)
    assert counted(plain) == {"Mechanics": 2, "Composition": 2, "Diversity": 1}
    assert counted(more) == {"Mechanics": 5, "Composition": 2, "Diversity": 1}
    assert set(plain.held_out) <= set(more.held_out), "the same prompts and more, so that runs can be set side by side"
    assert {prompt.key for prompt in plain.compared([FOCUS])} <= {prompt.key for prompt in more.compared([FOCUS])}


def test_the_focus_alone(desk_with: Callable[..., PromptDesk]) -> None:
    assert counted(desk_with(only_focus=True, num_extra_focus_prompts=1)) == {"Mechanics": 3}
