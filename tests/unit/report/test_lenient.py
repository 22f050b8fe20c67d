"""A judge that has become lenient is told of, in words."""

from __future__ import annotations

from rushes.judge.agreement import Agreement
from rushes.report.data import Missing
from rushes.report.html import render_report
from rushes.report.lenient import warnings
from tests.unit.report.synthetic_run import make_data


def of(lenient: int, name: str = "Camera_Motion") -> Agreement:
    return Agreement(name, num_both_right=80 - lenient, num_both_wrong=20, num_lenient=lenient)


def test_what_only_the_judge_calls_right_must_have_doubled() -> None:
    assert warnings([of(6)], [of(12)]) == (
        "Camera Motion: the judge alone calls 12 of 100 answers right, and before training 6 of 100. The model may "
        "have learned to please the judge there: look at its clips.",
    )
    assert warnings([of(6)], [of(11)]) == ()
    assert warnings([of(0)], [of(9)]) == (), "too few to say anything"
    assert warnings([of(0)], [of(10)]) != ()


def test_without_both_sides_nothing_is_said() -> None:
    assert warnings(Missing("no judge"), [of(30)]) == ()
    assert warnings([of(1, "Composition")], [of(30)]) == ()
    assert warnings([Agreement("Camera_Motion")], [of(30)]) == ()


def test_the_page_tells_of_it_beside_the_judge() -> None:
    page = render_report(make_data(agreement_before=(of(6),), agreement_after=(of(12),)))
    assert "the judge alone calls 12 of 100 answers right" in page
    assert "judge alone calls" not in render_report(make_data(agreement_before=(of(6),), agreement_after=(of(7),)))


def test_each_curve_is_explained_in_a_line() -> None:
    assert "Error on the real clips that are trained on. It should not rise." in render_report(make_data())
