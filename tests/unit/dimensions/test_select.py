"""Which dimensions a recipe means, and what it hears when it names one that is not there."""

from __future__ import annotations

import pytest

from rushes.dimensions import catalogue
from rushes.errors import RecipeError
from rushes.recipe.diagnose import DiagnoseSpec, DimensionSpec, ExampleSpec
from rushes.recipe.dimensions import known, probed
from tests.support.sandbox_recipe import CATALOGUE, VBENCH_CATALOGUE, diagnose_spec


def rain(name: str = "Rain", prompt: str = "rain falls on a red roof") -> DimensionSpec:
    example = ExampleSpec(prompt=prompt, questions={"Does it rain?": "yes", "Is it dry?": "no"})
    return DimensionSpec(name=name, description="It rains where it should.", examples=(example,))


def names(spec: DiagnoseSpec) -> list[str]:
    return [each.name for each in probed(spec)]


def test_by_default_everything_but_groups_is_probed_in_catalogue_order() -> None:
    assert names(diagnose_spec()) == [each.name for each in catalogue(CATALOGUE) if each.name != "Diversity"]


def test_named_dimensions_and_focus_are_probed_in_catalogue_order() -> None:
    spec = diagnose_spec(dimensions=("Mechanics", "Composition"), focus=("Camera_Motion",))
    assert names(spec) == ["Composition", "Camera_Motion", "Mechanics"]


def test_focus_alone_leaves_all_probed() -> None:
    assert names(diagnose_spec(focus=("Mechanics",))) == names(diagnose_spec())


def test_the_users_own_dimension_joins_with_its_examples_and_questions() -> None:
    spec = diagnose_spec(extra=(rain(),))
    own = known(spec)[-1]
    assert (own.name, own.category, own.vbench_name, own.group) == ("Rain", "Own", None, False)
    assert own.examples == ("rain falls on a red roof",)
    assert [(q.text, q.expected, q.dimension) for q in own.example_questions[0]] == [
        ("Does it rain?", "yes", "Rain"),
        ("Is it dry?", "no", "Rain"),
    ]
    assert names(spec)[-1] == "Rain"


def test_the_benchmarks_catalogue_can_be_chosen() -> None:
    assert "Thermotics" in names(diagnose_spec(catalogue=VBENCH_CATALOGUE))


@pytest.mark.parametrize(
    ("field", "typed", "near"),
    [("focus", "camera motion", "Camera_Motion"), ("dimensions", "Mecanics", "Mechanics"), ("focus", "rian", "Rain")],
)
def test_a_typo_is_named_with_its_place_and_the_nearest_name(field: str, typed: str, near: str) -> None:
    spec = diagnose_spec(**{field: (typed,), "extra": (rain(),)})
    with pytest.raises(RecipeError) as caught:
        probed(spec)
    assert f"diagnose.{field}[0]" in caught.value.problem
    assert caught.value.got_repr == repr(typed)
    assert caught.value.next_step == f"did you mean {near!r}?"


def test_a_name_like_no_other_is_told_how_to_bring_it() -> None:
    with pytest.raises(RecipeError, match="no such dimension") as caught:
        probed(diagnose_spec(focus=("Zzyzx",)))
    assert "diagnose.extra" in (caught.value.next_step or "")


def test_groups_and_doubles_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"diagnose.focus\[1\]: 'Diversity' is measured over takes"):
        probed(diagnose_spec(focus=("Mechanics", "Diversity")))
    with pytest.raises(RecipeError, match=r"diagnose.dimensions\[1\]: this dimension is named twice"):
        probed(diagnose_spec(dimensions=("Mechanics", "Mechanics")))


@pytest.mark.parametrize("name", ["Composition", "composition ", "RAIN"])
def test_a_taken_name_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"diagnose.extra\[1\].name: there is already"):
        known(diagnose_spec(extra=(rain(), rain(name))))


@pytest.mark.parametrize(
    ("extra", "where"),
    [(rain(name="  "), r"extra\[0\].name"), (rain(prompt=""), r"extra\[0\].examples\[0\].prompt")],
)
def test_empty_texts_are_refused(extra: DimensionSpec, where: str) -> None:
    with pytest.raises(RecipeError, match=f"{where} is empty"):
        known(diagnose_spec(extra=(extra,)))
