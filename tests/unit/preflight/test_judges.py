"""What is told about judges before a run: dimensions, scales, settings that do not fit, the measurer's own eyes."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Any, ClassVar

import pytest

from rushes.errors import RecipeError
from rushes.findings import Finding
from rushes.preflight import found_in_recipe
from rushes.recipe.load import load_recipe, parse_recipe
from rushes.records import Scale
from rushes.roles import Runtime, Spec
from tests.support.raters import Rater, RaterSpec

RATER = "judge.judge={use: 'tests.support.raters:RaterSpec'}"
CHOOSER = "judge.judge={use: 'tests.support.raters:ChooserSpec'}"
OWN = "judge.by_dimension={Composition: {use: 'tests.support.raters:RaterSpec'}}"


def findings(*overrides: str) -> dict[str, Finding]:
    recipe = load_recipe("sandbox", ["train.objective={kind: flow}", "weights={kind: rank}", *overrides])
    return {each.setting: each for each in found_in_recipe(recipe) if each.is_certain}


def cured(finding: Finding, *overrides: str) -> dict[str, Finding]:
    """What is still found after the next step, as it would be typed."""
    words = shlex.split(str(finding.next_step).partition(", ")[0] if "{" not in str(finding.next_step) else "")
    words = words or shlex.split(str(finding.next_step))
    steps = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert steps, finding
    return findings(*overrides, *steps)


@pytest.mark.parametrize("judge", [RATER, CHOOSER, OWN])
def test_judges_of_any_kind_can_begin(judge: str) -> None:
    assert findings(judge) == {}
    assert findings(judge, "weights={kind: exponential, temperature: 1.0}") == {}
    assert findings(judge, "train.objective={kind: dpo}", "weights={kind: uniform}") == {}


@pytest.mark.parametrize("judge", [RATER, CHOOSER, OWN])
@pytest.mark.parametrize(
    ("fault", "setting"),
    [
        ("weights={kind: raw}", "weights.kind"),
        ("weights={kind: filter}", "weights.kind"),
        ("generate.num_takes=1", "generate.num_takes"),
        ("generate.draft={num_takes: 2}", "generate.draft"),
        ("train.objective={kind: online}", "train.objective"),
    ],
)
def test_what_reads_scores_from_0_to_1_is_refused_with_a_setting_that_works(
    judge: str, fault: str, setting: str
) -> None:
    finding = findings(judge, fault)[setting]
    assert setting not in cured(finding, judge, fault)
    assert setting not in findings(fault), "a judge that answers may have it"


def test_a_dimension_that_does_not_exist_has_no_judge() -> None:
    finding = findings("judge.by_dimension={Compositon: {use: sandbox}}")["judge.by_dimension"]
    assert finding.next_step == "did you mean 'Composition'?"


def test_a_scale_that_does_not_exist_has_no_weight() -> None:
    found = findings(RATER, "judge.scales={lok: 1.0, motion: 1.0}")
    assert found.keys() == {"judge.scales"} and found["judge.scales"].next_step == "did you mean 'look'?"
    assert "judge.scales" in findings("judge.scales={look: 1.0}")
    found = findings(RATER, OWN, "judge.scales={lok: 1.0}")
    assert {"judge.judge", "judge.by_dimension.Composition"} < found.keys(), "none of their scales counts"
    assert "judge.judge" not in cured(found["judge.judge"], RATER, OWN)


def test_scales_that_are_none_are_found_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RaterSpec, "scales", ())
    assert "does not say on which scales" in findings(OWN)["judge.by_dimension.Composition"].problem


class SeesSpec(Spec):
    """A judge and a measurer that say what they see with."""

    spec_name: ClassVar[str] = "tests.sees"
    gives: ClassVar[str] = "scores"
    scales: ClassVar[tuple[Scale, ...]] = RaterSpec().scales
    flow_in: str = ""

    def sees_with(self, dimension: str) -> Collection[str]:
        return ("raft",) if dimension == self.flow_in else ("pixels " + type(self).__name__,)

    def build(self, runtime: Runtime) -> Any:
        return Rater()


class SeesMeasurerSpec(SeesSpec):
    spec_name: ClassVar[str] = "tests.sees-measurer"


def test_no_measurer_sees_with_what_the_judge_of_the_dimension_sees_with() -> None:
    sees = "{use: 'tests.unit.preflight.test_judges:%s', options: {flow_in: %s}}"
    judge = f"judge.judge={sees % ('SeesSpec', 'Composition')}"
    apart = f"measure.measurer={sees % ('SeesMeasurerSpec', 'Camera_Motion')}"
    assert "measure.measurer" not in findings(judge, apart), "each sees with it, in another dimension"
    both = f"measure.measurer={sees % ('SeesMeasurerSpec', 'Composition')}"
    finding = findings(judge, both)["measure.measurer"]
    assert "in Composition it sees with raft, as judge.judge does" in finding.problem
    assert "measure.measurer" not in findings(judge, both, "judge.by_dimension={Composition: {use: sandbox}}")
    assert "measure.measurer" not in findings(judge, both, "measure.same_model_as_judge=true")


def test_the_model_of_a_dimension_s_judge_may_not_measure() -> None:
    model = "model: {kind: server, model: eyes-7b}"
    with pytest.raises(RecipeError, match=r"names the model of judge\.by_dimension\.Mechanics, 'eyes-7b'"):
        load_recipe(
            "sandbox",
            [f"judge.by_dimension={{Mechanics: {{kind: vlm, {model}}}}}", f"measure.measurer={{kind: vlm, {model}}}"],
        )


def test_the_default_judge_has_two_names_and_one_meaning() -> None:
    one = load_recipe("sandbox", [RATER])
    for overrides in (
        ["judge.default={use: 'tests.support.raters:RaterSpec'}"],
        ["judge.default.use=tests.support.raters:RaterSpec"],
    ):
        assert load_recipe("sandbox", overrides) == one
    written = "from: sandbox\njudge: {default: {use: 'tests.support.raters:RaterSpec'}, by_dimension: {}}\n"
    assert parse_recipe(written, source="r", default_name="sandbox").judge == one.judge
    with pytest.raises(RecipeError, match=r"judge\.default and judge\.judge are one setting"):
        parse_recipe("judge: {default: {use: sandbox}, judge: {use: sandbox}}\n", source="r")
