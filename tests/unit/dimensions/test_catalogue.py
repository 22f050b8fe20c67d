"""The catalogues: whole, in their own words, and in step with what the sandbox can generate and ask."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from rushes.dimensions import Dimension, catalogue
from rushes.errors import RecipeError
from rushes_sandbox.captions import base_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.scene import COLOURS, SHAPES
from tests.support.sandbox_recipe import CATALOGUE, VBENCH_CATALOGUE

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


def test_sandbox_catalogue_is_what_the_grammar_can_draw_and_diversity() -> None:
    assert {each.name for each in catalogue(CATALOGUE)} == set(DIMENSIONS) - {"Simple"} | {"Diversity"}
    assert [each.name for each in catalogue(CATALOGUE) if each.group] == ["Diversity"]


def test_sandbox_dimensions_are_counterparts_of_benchmark_dimensions_of_the_same_category() -> None:
    benchmark = {each.name: each.category for each in catalogue(VBENCH_CATALOGUE)}
    assert {each.name: each.category for each in catalogue(CATALOGUE)}.items() <= benchmark.items()


def test_benchmark_catalogue_has_all_eighteen_in_their_categories() -> None:
    found: dict[str, set[str]] = {}
    for each in catalogue(VBENCH_CATALOGUE):
        found.setdefault(each.category, set()).add(each.name)
    assert found == VBENCH_CATEGORIES
    assert [each.name for each in catalogue(VBENCH_CATALOGUE) if each.group] == ["Diversity"]


@pytest.mark.parametrize("name", [CATALOGUE, VBENCH_CATALOGUE])
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
    for dimension in catalogue(CATALOGUE):
        kinds = ("Simple", "Composition") if dimension.group else (dimension.name,)
        forms = {_form(base_prompt(draw_scene(rng, kind), rng)) for kind in kinds for _ in range(250)}
        for example in dimension.examples:
            assert _form(example) in forms, example


@pytest.mark.parametrize("name", ["../secrets", "no_such_package:dimensions.yaml", "rushes_sandbox:secrets.yaml"])
def test_unknown_catalogue_is_refused_with_what_one_looks_like(name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be read") as caught:
        catalogue(name)
    assert caught.value.expected == "a YAML file, or one inside an installed package: rushes_sandbox:dimensions.yaml"
    assert caught.value.got_repr == repr(name)
    assert "diagnose.catalogue" in (caught.value.next_step or "")


def test_aliases_in_a_catalogue_are_refused_since_a_few_lines_of_them_fill_any_memory(tmp_path: Path) -> None:
    bomb = ["- &a0 [x, x]", *(f"- &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 99))]
    (tmp_path / "bomb.yaml").write_text("\n".join(bomb))
    with pytest.raises(RecipeError, match="line 2 has an alias"):
        catalogue(str(tmp_path / "bomb.yaml"))


def test_example_questions_must_fit_the_examples() -> None:
    with pytest.raises(ValidationError, match="expected questions for each of 2 examples, got 1"):
        Dimension(name="Rain", description="It rains.", category="Own", examples=("a", "b"), example_questions=((),))
