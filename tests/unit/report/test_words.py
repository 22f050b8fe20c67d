"""Figures read well, and a table says how to read it."""

from __future__ import annotations

import pytest

from rushes.display.words import duration, figure, percent, rule, signed, typeset


def test_the_rule_is_told_with_the_number_of_dimensions() -> None:
    assert rule(1) == "Intervals are 95 % for each dimension alone, resampling prompts."
    assert "corrected for 9 dimensions together" in rule(9) and "Losses are excluded by" in rule(9)
    assert "decided alone" in rule(9, has_focus=True) and "decided alone" not in rule(9)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (2.3456, "2.35"),
        (0.012345, "0.0123"),
        (1234.5, "1\u202f234"),
        (-3.1, "\u22123.10"),
        (2e-7, "2.00e\u221207"),
    ],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_shares_that_are_not_whole_never_read_as_whole() -> None:
    assert [percent(value) for value in (0.0, 0.001, 0.43, 0.998, 1.0)] == [
        "0\u202f%",
        "< 1\u202f%",
        "43\u202f%",
        "> 99\u202f%",
        "100\u202f%",
    ]


def test_minus_signs() -> None:
    assert signed(-0.042) == "\u22124.2"
    assert (
        typeset("fell by -3.1 to -4 (x-1, 2-3, a-b), 95 %") == "fell by \u22123.1 to \u22124 (x-1, 2-3, a-b), 95\u202f%"
    )
