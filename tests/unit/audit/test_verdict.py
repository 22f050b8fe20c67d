"""The table of expectations and the rule that turns numbers into a verdict."""

from __future__ import annotations

import pytest

from rushes.audit.cases import ASKED_AGAIN, PIXELS
from rushes.audit.expectations import Expectation, chosen_controls, table
from rushes.audit.records import Consistency, ControlResult, OtherOpinion, Rule
from rushes.audit.verdict import finding, judge_the_judge
from rushes.errors import RecipeError
from rushes.statistics.resampling import Estimate

RULE = Rule()


def auc(value: float, half_width: float = 0.05) -> Estimate:
    return Estimate(value=value, low=max(0.0, value - half_width), high=min(1.0, value + half_width))


def result(control: str, expected: Expectation, value: float | None, shift: float = -0.4) -> ControlResult:
    estimate = auc(value) if value is not None else None
    return ControlResult(
        control=control,
        expected=expected,
        num_clips=24 if value is not None else 0,
        num_prompts=24 if value is not None else 0,
        num_unscored=0 if value is not None else 24,
        unscored_reason="" if value is not None else "no server",
        auc=estimate,
        finding=finding(expected, estimate, shift, RULE),
    )


def verdict(*controls: ControlResult, **changes: object) -> tuple[str, tuple[str, ...]]:
    given = {
        "yes_bias": auc(0.0),
        "consistency": Consistency(
            num_questions=90, num_left_out=0, share_same=1.0, mean_difference=0.0, max_difference=0.0
        ),
        "others": (),
        "num_prompts": 24,
        "is_truth_known": True,
    } | changes
    return judge_the_judge(
        controls,
        given["yes_bias"],  # type: ignore[arg-type]
        given["consistency"],  # type: ignore[arg-type]
        given["others"],  # type: ignore[arg-type]
        num_prompts=given["num_prompts"],  # type: ignore[arg-type]
        is_truth_known=given["is_truth_known"],  # type: ignore[arg-type]
        rule=RULE,
    )


GOOD = (result("wrong_prompt", "separates", 0.97), result("compression", "same", 0.55, -0.01))


# ---------------------------------------------------------------------------------------------- the table


def test_every_pixel_control_is_in_the_table_and_the_other_way_round() -> None:
    assert set(chosen_controls()) == {*PIXELS, "wrong_prompt", "negated_question", ASKED_AGAIN}


@pytest.mark.parametrize(
    ("control", "dimension", "expected"),
    [
        ("shuffled_frames", "Composition", "open"),
        ("reversed_time", "Motion_Order_Understanding", "separates"),
        ("frozen_frame", "Camera_Motion", "separates"),
        ("reversed_time", "Mechanics", "open"),
        ("shuffled_frames", "Mechanics", "separates"),
        ("compression", "Camera_Motion", "same"),
        ("wrong_prompt", "Human_Anatomy", "open"),
        ("black_video", "Human_Anatomy", "separates"),
        ("reversed_time", "Human_Interaction", "open"),
        ("wrong_prompt", "a dimension of my own", "separates"),
        ("reversed_time", "a dimension of my own", "open"),
        ("asked_again", "a dimension of my own", "same"),
    ],
)
def test_expectations(control: str, dimension: str, expected: str) -> None:
    found = next(each for each in table().controls if each.name == control)
    assert table().expectation(found, dimension) == expected


def test_an_unknown_control_is_told_with_the_nearest_one() -> None:
    assert chosen_controls(["black_video", "wrong_prompt"]) == ("wrong_prompt", "black_video")
    with pytest.raises(RecipeError, match="did you mean 'frozen_frame'"):
        chosen_controls(["frozen_frames"])


# ---------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("expected", "estimate", "shift", "says"),
    [
        ("separates", auc(0.9), -0.4, "passes"),
        ("separates", auc(0.74), -0.4, "fails"),
        ("separates", auc(0.8, 0.35), -0.4, "unclear"),
        ("separates", auc(0.1), 0.4, "fails"),  # the wrong way round
        ("separates", None, 0.0, "not scored"),
        ("same", auc(0.6), -0.3, "passes"),
        ("same", auc(0.9), -0.3, "fails"),
        ("same", auc(0.1), 0.3, "fails"),
        ("same", auc(0.9), -0.01, "passes"),  # an AUC sees differences too small to matter
        ("same", auc(0.7, 0.3), -0.3, "unclear"),
        ("open", auc(0.1), 0.4, "open"),
        ("open", None, 0.0, "not scored"),
    ],
)
def test_findings(expected: Expectation, estimate: Estimate | None, shift: float, says: str) -> None:
    assert finding(expected, estimate, shift, RULE) == says


def test_nothing_against_it_is_trust() -> None:
    assert verdict(*GOOD) == ("trust", ())


def test_each_part_of_the_rule_can_condemn_alone() -> None:
    shaky = Consistency(num_questions=90, num_left_out=0, share_same=0.9, mean_difference=0.1, max_difference=0.9)
    people = OtherOpinion(
        source="labels.csv", is_people=True, num_questions=80, num_left_out=0, accuracy=auc(0.6), kappa=auc(0.2),
        correlation=None,
    )  # fmt: skip
    for words, (says, reasons) in {
        "black video: AUC 0.60": verdict(*GOOD, result("black_video", "separates", 0.6)),
        "where 0.50 is right": verdict(*GOOD, result("double_rate", "same", 0.9)),
        "says yes too easily": verdict(*GOOD, yes_bias=auc(0.3)),
        "says no too easily": verdict(*GOOD, yes_bias=Estimate(value=-0.3, low=-0.4, high=-0.2)),
        "90% of its answers": verdict(*GOOD, consistency=shaky),
        "kappa 0.20 with labels.csv": verdict(*GOOD, others=(people,)),
    }.items():
        assert says == "do not trust" and len(reasons) == 1 and words in reasons[0], (words, reasons)
    # A second judge may itself be wrong, so it is shown and does not condemn.
    second = people.model_copy(update={"is_people": False})
    assert verdict(*GOOD, others=(second,)) == ("trust", ())


def test_too_little_is_not_shown_rather_than_trusted() -> None:
    assert verdict(*GOOD, num_prompts=7)[0] == "not shown"
    says, reasons = verdict(*GOOD, result("black_video", "separates", None))
    assert says == "not shown" and "black video: not scored (no server)" in reasons[0]
    assert verdict(GOOD[1])[0] == "not shown"
    assert verdict()[0] == "not shown"
    wide = GOOD[0].model_copy(update={"auc": auc(0.8, 0.4), "finding": "unclear"})
    assert verdict(wide)[0] == "not shown"
    # A harmless control that cannot be asked costs nothing.
    assert verdict(*GOOD, result("half_the_frames", "same", None))[0] == "trust"


def test_clips_that_may_miss_their_prompts_do_not_condemn_the_judge() -> None:
    low = result("wrong_prompt", "separates", 0.6)
    says, reasons = verdict(low, is_truth_known=False, yes_bias=Estimate(value=-0.3, low=-0.4, high=-0.2))
    assert says == "not shown" and "clips themselves miss" in reasons[0] and len(reasons) == 2
    # What needs no truth still does.
    assert verdict(*GOOD, result("double_rate", "same", 0.9), is_truth_known=False)[0] == "do not trust"
