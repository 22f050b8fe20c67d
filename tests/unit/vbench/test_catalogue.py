"""Facts about the dimensions: complete, and in step with one another."""

from __future__ import annotations

import math

import pytest

from rushes.errors import InputError
from rushes_vbench.catalogue import by_category, dimensions, facts, identifier, named, share_of_total


def test_numbers_of_the_complete_suite() -> None:
    assert len(facts()) == 18 and list(facts()) == [each.name for each in dimensions()]
    assert sum(fact.num_prompts for fact in facts().values()) == 1230
    assert sum(fact.num_videos for fact in facts().values()) == 3860
    assert facts()["Diversity"].num_rows == 10 and facts()["Material"].num_rows == 150


def test_shares_make_up_the_total_as_the_benchmark_says() -> None:
    assert math.isclose(sum(share_of_total(name) for name in facts()), 1.0)
    said = {"Human_Anatomy": 0.0667, "Diversity": 0.1, "Camera_Motion": 0.0286, "Material": 0.05}
    assert {name: round(share_of_total(name), 4) for name in said} == said
    assert [len(names) for names in by_category().values()] == [2, 2, 7, 3, 4]


def test_dimensions_that_leave_clips_out_and_those_that_compare_takes() -> None:
    assert {name for name, fact in facts().items() if fact.may_be_invalid} == {
        *("Human_Identity", "Human_Clothes", "Motion_Order_Understanding"),
        *("Mechanics", "Thermotics", "Material", "Multi-View_Consistency"),
    }
    assert [name for name, fact in facts().items() if fact.equal_lengths] == ["Diversity"]


@pytest.mark.parametrize(
    "spelling", ["Multi-View_Consistency", "Multi-View Consistency", "multi_view_consistency", "Multi View Consistency"]
)
def test_spellings_of_the_official_files(spelling: str) -> None:
    assert identifier(spelling) == named(spelling) == "Multi-View_Consistency"


def test_unknown_dimension_is_named_with_the_known_ones() -> None:
    assert identifier("Beauty") is None
    with pytest.raises(InputError, match="no such dimension") as caught:
        named("Beauty")
    assert caught.value.expected is not None and "Human_Anatomy" in caught.value.expected
