"""Which held-out prompts the comparison uses: more of what the run is aimed at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rushes.context import Context
from rushes.prompts.evaluation import Evaluation, compared, evaluation
from rushes.records import Focus, Prompt
from rushes.store.run import Run
from tests.support.sandbox_recipe import diagnose_spec, measure_spec, sandbox_recipe

FOCUS = Focus(
    dimension="Mechanics", baseline=0.4, low=0.3, high=0.5, gap=0.6, share=1.0, num_prompts=4, reason="weak"
)  # fmt: skip


Compared = tuple[Evaluation, tuple[Prompt, ...]]


@pytest.fixture
def compared_with(tmp_path: Path) -> Iterator[Callable[..., Compared]]:
    with Run.open(tmp_path, sandbox_recipe()) as run:

        def build(**measure: object) -> Compared:
            recipe = sandbox_recipe(
                diagnose=diagnose_spec(dimensions=("Mechanics", "Composition"), num_prompts=2),
                measure=measure_spec(**{"num_prompts": 2, "num_diversity_prompts": 1, **measure}),
            )
            context = Context(recipe, run)
            context.vocabulary = None  # any word may be written
            found = evaluation(context)
            return found, compared(recipe, found, [FOCUS.dimension])

        yield build


def counted(prompts: tuple[Prompt, ...]) -> dict[str, int]:
    return dict(Counter(prompt.dimension for prompt in prompts))


def test_the_focus_has_more_prompts_and_the_rest_as_many_as_ever(compared_with: Callable[..., Compared]) -> None:
    (plain, of_plain), (more, of_more) = compared_with(), compared_with(num_extra_focus_prompts=3)
    assert counted(of_plain) == {"Mechanics": 2, "Composition": 2, "Diversity": 1}
    assert counted(of_more) == {"Mechanics": 5, "Composition": 2, "Diversity": 1}
    assert set(plain.held_out) <= set(more.held_out), "the same prompts and more, so that runs can be set side by side"
    assert {prompt.key for prompt in of_plain} <= {prompt.key for prompt in of_more}


def test_the_focus_alone(compared_with: Callable[..., Compared]) -> None:
    assert counted(compared_with(only_focus=True, num_extra_focus_prompts=1)[1]) == {"Mechanics": 3}
