"""Dimensions decided by yes/no questions: plans, and values of scripted answers."""

from __future__ import annotations

import pytest

from rushes.records import Outcome, Scored, Unscored
from rushes.roles import GivenAnswer
from rushes_vbench.metrics.core import Profile, is_not_applicable
from rushes_vbench.metrics.questions import CLOTHES, INSTANCE, ONE_CREATURE, plan, score
from rushes_vbench.suite import SuiteEntry
from tests.support.vbench_clips import entry

BOTH: tuple[Profile, ...] = ("compat", "fixed")


def scored(
    item: SuiteEntry, profile: Profile, *p_yes: float | None, num_frames: int = 81, fps: float = 16.0
) -> Outcome:
    asks = plan(item, num_frames, fps, profile)
    answers = [GivenAnswer(p) if p is not None else GivenAnswer(None, "no idea") for p in p_yes]
    return score(item, asks, answers, profile)


def value(outcome: Outcome) -> float | None:
    return outcome.value if isinstance(outcome, Scored) else None


@pytest.mark.parametrize("profile", BOTH)
def test_clothes(profile: Profile) -> None:
    item = entry("Human_Clothes")
    assert [ask.question.text for ask in plan(item, 81, 16.0, profile)] == list(CLOTHES)
    assert value(scored(item, profile, 0.9, 0.8, 0.6)) == 1.0
    assert value(scored(item, profile, 0.9, 0.8, 0.4)) == 0.0
    assert value(scored(item, profile, 0.9, 0.1, 0.9)) == 0.0
    assert is_not_applicable(scored(item, profile, 0.5, 0.9, 0.9))


@pytest.mark.parametrize("profile", BOTH)
def test_a_failed_gate_needs_no_further_answers_but_an_open_one_does(profile: Profile) -> None:
    item = entry("Human_Clothes")
    assert is_not_applicable(scored(item, profile, 0.1, None, None))
    unknown = scored(item, profile, 0.9, 0.9, None)
    assert isinstance(unknown, Unscored) and "no idea" in unknown.reason and not is_not_applicable(unknown)
    assert value(scored(item, profile, 0.9, 0.2, None)) == 0.0


@pytest.mark.parametrize("name", ["Mechanics", "Thermotics", "Material"])
def test_physics(name: str) -> None:
    for profile in BOTH:
        assert value(scored(entry(name, "a?"), profile, 0.7)) == 1.0
        assert value(scored(entry(name, "a?"), profile, 0.3)) == 0.0
        assert value(scored(entry(name, "a?", "b?"), profile, 0.7, 0.7)) == 1.0
        assert value(scored(entry(name, "a?", "b?"), profile, 0.7, 0.2)) == 0.0
        assert is_not_applicable(scored(entry(name, "a?", "b?"), profile, 0.2, 0.9))
    third = entry(name, "a?", "b?", "c?")
    assert value(scored(third, "compat", 0.9, 0.9, 0.1)) == 1.0
    assert value(scored(third, "fixed", 0.9, 0.9, 0.1)) == 0.0


@pytest.mark.parametrize("profile", BOTH)
@pytest.mark.parametrize("name", ["Motion_Rationality", "Dynamic_Attribute"])
def test_all_must_be_yes(profile: Profile, name: str) -> None:
    item = entry(name, "a?", "b?", "c?")
    assert value(scored(item, profile, 0.9, 0.9, 0.9)) == 1.0
    assert value(scored(item, profile, 0.9, 0.9, 0.5)) == 0.0


def test_composition() -> None:
    plain, whole = entry("Composition", "wings", "a lion"), entry("Composition", "wings", "a lion", all_of=True)
    fused = entry("Composition", "wings", "a lion", fused=True)
    for profile in BOTH:
        assert value(scored(plain, profile, 0.9, 0.1)) == 0.5
        assert value(scored(whole, profile, 0.9, 0.1)) == 0.0
        assert value(scored(whole, profile, 0.9, 0.9)) == 1.0
        assert value(scored(fused, profile, 0.9, 0.9, 0.1)) == 0.5
        assert plan(fused, 81, 16.0, profile)[0].question.text == ONE_CREATURE
    assert value(scored(fused, "compat", 0.1, 0.9, 0.9)) == 0.5
    assert value(scored(fused, "fixed", 0.1, 0.9, 0.9)) == 0.0


def test_spatial_relationship_looks_at_the_beginning_and_the_end() -> None:
    item = entry("Dynamic_Spatial_Relationship", "left?", "front?")
    start, end = plan(item, 81, 16.0, "compat")
    assert len(start.indices) == 32 and start.indices[-1] < 41
    assert end.indices == (80,)
    start, end = plan(item, 81, 16.0, "fixed")
    assert len(end.indices) == 8 and end.indices[-1] == 80 and max(start.indices) < min(end.indices)
    assert value(scored(item, "fixed", 0.9, 0.9)) == 1.0
    assert value(scored(item, "fixed", 0.9, 0.1)) == 0.0
    for num_frames in (2, 3, 5):
        assert all(ask.indices for ask in plan(item, num_frames, 16.0, "fixed"))


def test_instance_preservation() -> None:
    item = entry("Instance_Preservation", "1.red ball")
    asks = plan(item, 80, 16.0, "compat")
    assert len(asks) == 4 and {ask.question.text for ask in asks} == {INSTANCE}
    assert all(len(ask.indices) == 32 and ask.question.expected == "no" for ask in asks)
    assert value(scored(item, "compat", 0.1, 0.1, 0.1, 0.1, num_frames=80)) == 1.0
    assert value(scored(item, "compat", 0.1, 0.9, 0.1, 0.1, num_frames=80)) == 0.0
    assert value(scored(item, "compat", 0.1, 0.9, None, 0.1, num_frames=80)) == 0.0
    assert isinstance(scored(item, "compat", 0.1, None, 0.1, 0.1, num_frames=80), Unscored)
    assert value(scored(item, "compat", num_frames=20)) == 1.0
    assert value(scored(item, "fixed", 0.1, 0.9, 0.1, 0.1, num_frames=80)) == 0.75
    short = scored(item, "fixed", num_frames=31)
    assert is_not_applicable(short) and isinstance(short, Unscored) and "2 seconds" in short.reason
    assert value(scored(item, "fixed", 0.9, num_frames=32)) == 0.0
    found = scored(item, "fixed", 0.25, 0.9, 0.1, 0.1, num_frames=80)
    assert isinstance(found, Scored) and found.parts[0].value == 0.75 and "(1 of 4)" in found.parts[0].name


def test_misuse() -> None:
    with pytest.raises(ValueError, match="not decided by yes/no questions"):
        plan(entry("Camera_Motion", "static"), 81, 16.0, "fixed")
    with pytest.raises(ValueError, match="expected 1 answers"):
        scored(entry("Mechanics", "a?"), "fixed")
