"""The public contract of judges of each kind: good ones pass, and each kind of bad one is caught by its own rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from rushes.feedback import GivenPreference, Gives, ScaleValue
from rushes.roles import Failed, GivenAnswer, Runtime, Spec
from rushes.testing import Check, judge_checks
from tests.support.fakes import HashJudgeSpec
from tests.support.raters import ChooserSpec, RaterSpec

Spoil = Callable[[list[Any], Sequence[Any]], Any]
GOOD: dict[Gives, Spec] = {"answers": HashJudgeSpec(), "scores": RaterSpec(), "preferences": ChooserSpec()}
METHODS = {"answers": "answer", "scores": "score", "preferences": "prefer"}


class Spoiled:
    """A judge whose replies are changed; it counts how often it was asked."""

    def __init__(self, kind: Gives, spoil: Spoil) -> None:
        good: Any = GOOD[kind]
        self._ask = getattr(good.build(Runtime()), METHODS[kind])
        self._spoil = spoil
        self.num = 0

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS.values():
            raise AttributeError(name)

        def ask(requests: Sequence[Any]) -> Any:
            self.num += 1
            return self._spoil(list(self._ask(requests)), requests)

        return ask


def spoiled(kind: Gives, spoil: Spoil) -> list[Check]:
    class SpoiledSpec(type(GOOD[kind])):  # type: ignore[misc]
        spec_name: ClassVar[str] = f"tests.spoiled-{kind}"

        def build(self, runtime: Runtime) -> Any:
            return Spoiled(kind, spoil)

    return judge_checks(SpoiledSpec())


def broken(checks: Sequence[Check]) -> dict[str, str]:
    """The rules that a judge breaks, with what is said about it."""
    found = {}
    for check in checks:
        try:
            check()
        except AssertionError as error:
            found[str(check)] = str(error)
    return found


def values(results: list[Any], by: Callable[[Any, int], Any]) -> list[Any]:
    return [by(given, place) for place, given in enumerate(results)]


def moved(given: Any, by: float) -> Any:
    """A reply whose number is another one."""
    if isinstance(given, GivenPreference):
        return GivenPreference((given.p_first or 0) * (1 - by))
    (first, *others) = given
    if isinstance(first, ScaleValue):
        return (ScaleValue(first.scale, (first.value or 0) + by), *others)
    return (GivenAnswer((first.p_yes or 0) * (1 - by)), *others)


class Counter:
    """Moves the replies of every later call."""

    def __init__(self) -> None:
        self.num = 0

    def __call__(self, results: list[Any], _: object) -> list[Any]:
        self.num += 1
        return values(results, lambda given, _: moved(given, 0.01 * self.num))


@pytest.mark.parametrize("kind", GOOD)
def test_good_judges_pass(kind: Gives) -> None:
    assert broken(judge_checks(GOOD[kind])) == {}


def test_a_judge_without_the_method_of_its_kind_is_told_which() -> None:
    class Wrong(RaterSpec):
        spec_name: ClassVar[str] = "tests.wrong-method"
        gives: ClassVar[Gives] = "preferences"

    found = broken([each for each in judge_checks(Wrong()) if "method" in str(each)])
    assert "prefer(requests), see rushes.feedback.PreferenceJudge" in found["the built judge has its method"]


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda results, _: results[:-1], "there is one reply for each request"),
        (lambda results, _: [None, *results[1:]], "replies have their form"),
        (lambda results, _: [Failed("X", "y") for _ in results], "some replies can be used"),
        (lambda results, _: values(results, lambda given, place: moved(given, 0.1 * place)), "the order of requests"),
        (lambda results, all: values(results, lambda given, _: moved(given, 0.1 * len(all))), "a request alone gets"),
    ],
)
def test_bad_judges_of_each_kind_are_caught(kind: Gives, spoil: Spoil, rule: str) -> None:
    assert any(name.startswith(rule) for name in broken(spoiled(kind, spoil)))


@pytest.mark.parametrize("kind", GOOD)
def test_a_judge_that_changes_its_mind_is_caught(kind: Gives) -> None:
    assert "asked again it says the same" in broken(spoiled(kind, Counter()))


@pytest.mark.parametrize("kind", GOOD)
def test_a_judge_that_paints_is_caught(kind: Gives) -> None:
    def paint(results: list[Any], requests: Sequence[Any]) -> list[Any]:
        for each in requests:
            frames = (each.first if kind == "preferences" else each.video).frames_THWC
            frames[:] = 255 - frames
        return results

    assert "frames are left as they are" in broken(spoiled(kind, paint))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            (ScaleValue("look", math.nan), ScaleValue("motion", 1.0)),
            "the value on look must be a finite number, got nan",
        ),
        ((ScaleValue("look", -math.inf), ScaleValue("motion", 1.0)), "got -inf"),
        ((ScaleValue("look", True), ScaleValue("motion", 1.0)), "got True (bool)"),
        ((ScaleValue("look", "7"), ScaleValue("motion", 1.0)), "got '7' (str)"),  # type: ignore[arg-type]
        ((ScaleValue("look", 1.0),), "gave no value on motion"),
        ((ScaleValue("look", 1.0), ScaleValue("look", 2.0)), "more than one value on look"),
        ((ScaleValue("look", 1.0), ScaleValue("mood", 2.0)), "not one of its scales look, motion"),
        ((ScaleValue("look", 1.0, "dark"), ScaleValue("motion", 1.0)), "both the value on look"),
        ((ScaleValue("look", None), ScaleValue("motion", 1.0)), "no reason"),
        ((1.0, 2.0), "instead of a ScaleValue"),
        (1.0, "instead of values"),
    ],
)
def test_bad_values_are_named(given: object, says: str) -> None:
    found = broken(spoiled("scores", lambda results, _: [given, *results[1:]] if results else []))
    assert says in found["replies have their form"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (GivenPreference(1.5), "p_first must be a number from 0 to 1, got 1.5"),
        (GivenPreference(math.nan), "finite"),
        (GivenPreference(True), "got True (bool)"),
        (GivenPreference(None), "no reason"),
        (0.5, "instead of a GivenPreference"),
    ],
)
def test_bad_preferences_are_named(given: object, says: str) -> None:
    found = broken(spoiled("preferences", lambda results, _: [given, *results[1:]] if results else []))
    assert says in found["replies have their form"]


def test_a_judge_that_hides_its_position_bias_is_caught() -> None:
    class Honest(ChooserSpec):
        spec_name: ClassVar[str] = "tests.no-bias"
        has_position_bias: ClassVar[bool] = False

    assert broken(judge_checks(Honest(bias=0.0))) == {}
    assert list(broken(judge_checks(Honest(bias=0.2)))) == ["both orders agree"]
