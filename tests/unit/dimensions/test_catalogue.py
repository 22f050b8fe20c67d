"""The catalogues: whole, in their own words, and in step with what the sandbox can film and ask."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pydantic import ValidationError

from rushes.dimensions import Dimension, catalogue
from rushes.errors import RecipeError
from rushes_sandbox.captions import base_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.scene import COLOURS, SHAPES

VBENCH_CATEGORIES = {
    "Creativity": {"Composition", "Diversity"},
    "Commonsense": {"Instance_Preservation", "Motion_Rationality"},
    "Controllability": {
        "Camera_Motion",
        "Complex_Landscape",
        "Complex_Plot",
        "Dynamic_Attribute",
        "Dynamic_Spatial_Relationship",
        "Human_Interaction",
        "Motion_Order_Understanding",
    },
    "Human Fidelity": {"Human_Anatomy", "Human_Clothes", "Human_Identity"},
    "Physics": {"Material", "Mechanics", "Multi-View_Consistency", "Thermotics"},
}
"""The benchmark's own grouping of its eighteen dimensions."""


def test_sandbox_catalogue_is_what_the_grammar_can_film_and_diversity() -> None:
    assert {each.name for each in catalogue("sandbox")} == set(DIMENSIONS) - {"Simple"} | {"Diversity"}
    assert [each.name for each in catalogue("sandbox") if each.group] == ["Diversity"]


def test_sandbox_dimensions_are_counterparts_of_benchmark_dimensions_of_the_same_category() -> None:
    benchmark = {each.name: each.category for each in catalogue("vbench2")}
    assert {each.vbench_name: each.category for each in catalogue("sandbox")}.items() <= benchmark.items()


def test_benchmark_catalogue_has_all_eighteen_in_their_categories() -> None:
    found: dict[str, set[str]] = {}
    for each in catalogue("vbench2"):
        found.setdefault(each.category, set()).add(each.name)
    assert found == VBENCH_CATEGORIES
    assert [each.name for each in catalogue("vbench2") if each.group] == ["Diversity"]


@pytest.mark.parametrize("name", ["sandbox", "vbench2"])
def test_every_dimension_says_what_it_means_and_how_it_fails(name: str) -> None:
    dimensions = catalogue(name)
    assert len({each.name for each in dimensions}) == len(dimensions)
    assert len({each.description for each in dimensions}) == len(dimensions)
    for each in dimensions:
        assert each.description.endswith(".") and len(each.description.split()) >= 8, each.name
        assert len(each.failure_modes) >= 2 and len(each.examples) >= 2, each.name


def _form(text: str) -> str:
    """A sandbox sentence with its colours and shapes taken out."""
    return re.sub(rf"\b({'|'.join(SHAPES)})(e?s)?\b", r"S\2", re.sub(rf"\b({'|'.join(COLOURS)})\b", "C", text))


def test_sandbox_seed_prompts_are_sentences_that_the_grammar_says_of_that_dimension() -> None:
    rng = np.random.default_rng(0)
    for dimension in catalogue("sandbox"):
        kinds = ("Simple", "Composition") if dimension.group else (dimension.name,)
        forms = {_form(base_prompt(draw_scene(rng, kind), rng)) for kind in kinds for _ in range(250)}
        for example in dimension.examples:
            assert _form(example) in forms, example


def test_unknown_catalogue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RecipeError) as caught:
        catalogue("../secrets")
    assert caught.value.expected == "sandbox or vbench2"
    assert caught.value.got_repr == "'../secrets'"


def test_example_questions_must_fit_the_examples() -> None:
    with pytest.raises(ValidationError, match="expected questions for each of 2 examples, got 1"):
        Dimension(name="Rain", description="It rains.", category="Own", examples=("a", "b"), example_questions=((),))
