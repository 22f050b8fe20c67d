"""The dimensions that yes/no questions decide: which questions, about which frames, and how answers become values.

Pure: planned from the suite's entry and the length of the clip, scored from probabilities. No model, no pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from rushes.records import Outcome, Part, Question, Scored, Unscored
from rushes.roles import GivenAnswer
from rushes_vbench.metrics.core import Profile, not_applicable
from rushes_vbench.metrics.sampling import NUM_VLM_FRAMES, spread, spread_once, windows
from rushes_vbench.suite import SuiteEntry

CLOTHES: Final = (
    "Is there only one person from the beginning to the end of the video?",
    "Is it the same person from the beginning to the end of the video?",
    "Do the colours and patterns of the person's clothes stay the same from the beginning to the end of the video?",
)
"""The three questions of Human_Clothes, in our own wording."""
ONE_CREATURE: Final = "Is there only one creature in the video?"
"""The gate of Composition's fused creatures, in our own wording."""
INSTANCE: Final = (
    "Does any object or creature suddenly appear, vanish, merge with another one or split into several in this video?"
)
"""The question about each stretch of an Instance_Preservation clip, in our own wording; no is correct."""
WINDOW_S: Final = 2.0
STRIDE_S: Final = 1.0
"""Length and spacing of these stretches, seconds."""

QUESTION_DIMENSIONS: Final = frozenset(
    {"Human_Clothes", "Composition", "Dynamic_Spatial_Relationship", "Dynamic_Attribute", "Motion_Rationality"}
    | {"Mechanics", "Thermotics", "Material", "Instance_Preservation"}
)
"""Dimensions that this module plans and scores."""
_GATED: Final = frozenset({"Mechanics", "Thermotics", "Material"})


@dataclass(frozen=True)
class Ask:
    """A question about some frames of a clip."""

    question: Question
    """What to ask, and the answer for a perfect clip."""
    indices: tuple[int, ...]
    """Which frames to show, in order."""
    share: float = 1.0
    """Share of the clip's time that they represent."""


def plan(entry: SuiteEntry, num_frames: int, fps: float, profile: Profile) -> tuple[Ask, ...]:
    """Everything to ask about a clip, in order; empty if an Instance_Preservation clip is too short for a stretch.

    Args:
        entry: the suite's entry; its dimension is one of `QUESTION_DIMENSIONS`.
        num_frames: frames of the clip.
        fps: its frame rate; only Instance_Preservation uses it.
        profile: whose frames.

    Raises:
        ValueError: the dimension is not decided by questions.
    """
    name = entry.dimension
    if name not in QUESTION_DIMENSIONS:
        raise ValueError(f"{name} is not decided by yes/no questions")
    whole = tuple(_sampled(num_frames, profile))
    if name == "Instance_Preservation":
        return _instance_asks(num_frames, fps, profile)
    if name == "Dynamic_Spatial_Relationship":
        early, late = whole[: len(whole) // 2] or whole, _ending(whole, profile)
        texts = entry.reference[:2]
        return tuple(
            Ask(_question(text, name), shown, len(shown) / len(whole))
            for text, shown in zip(texts, (early, late), strict=True)
        )
    texts = {"Human_Clothes": CLOTHES, "Composition": _composition_texts(entry)}.get(name, entry.reference)
    return tuple(Ask(_question(text, name), whole) for text in texts)


def _sampled(num_frames: int, profile: Profile) -> list[int]:
    return (spread if profile == "compat" else spread_once)(num_frames, NUM_VLM_FRAMES)


def _ending(whole: tuple[int, ...], profile: Profile) -> tuple[int, ...]:
    """The last frame officially; the last eighth of the clip, at least two frames, in `fixed`."""
    return whole[-1:] if profile == "compat" else whole[-max(2, len(whole) // 8) :]


def _question(text: str, dimension: str, expected_yes: bool = True) -> Question:
    return Question(text=text, expected="yes" if expected_yes else "no", dimension=dimension, about="vbench2")


def _composition_texts(entry: SuiteEntry) -> tuple[str, ...]:
    seen = tuple(f"Is this in the video: {text}?" for text in entry.reference)
    return (ONE_CREATURE, *seen) if entry.one_creature else seen


def _instance_asks(num_frames: int, fps: float, profile: Profile) -> tuple[Ask, ...]:
    fixed = profile == "fixed"
    if fixed and num_frames < round(WINDOW_S * fps):
        return ()
    stretches = windows(num_frames, fps, length_s=WINDOW_S, stride_s=STRIDE_S, whole=fixed)
    num_shown = NUM_VLM_FRAMES // 2
    return tuple(
        Ask(
            _question(INSTANCE, "Instance_Preservation", expected_yes=False),
            tuple(stretch[i] for i in (spread_once if fixed else spread)(len(stretch), num_shown)),
            len(stretch) / num_frames,
        )
        for stretch in stretches
    )


class _Missing(Exception):
    """An answer that the score depends on is missing."""


def score(entry: SuiteEntry, asks: Sequence[Ask], answers: Sequence[GivenAnswer], profile: Profile) -> Outcome:
    """The value that the answers give.

    The answer to a question is yes if that is more probable. A missing answer makes the clip unscored only if the value
    depends on it.

    Args:
        entry: the suite's entry.
        asks: from `plan`.
        answers: one per ask, in order.
        profile: whose rules.
    """
    if len(asks) != len(answers):
        raise ValueError(f"expected {len(asks)} answers, got {len(answers)}")

    def yes(i: int) -> bool:
        p_yes = answers[i].p_yes
        if p_yes is None:
            raise _Missing(f"no answer to {asks[i].question.text!r}: {answers[i].unscored_reason}")
        return p_yes > 0.5

    try:
        value = _value(entry, len(asks), yes, answers, profile)
    except _Missing as missing:
        return Unscored(reason=str(missing))
    if isinstance(value, Unscored):
        return value
    return Scored(value=value, parts=_parts(asks, answers))


def _value(
    entry: SuiteEntry, n: int, yes: Callable[[int], bool], answers: Sequence[GivenAnswer], profile: Profile
) -> float | Unscored:
    name = entry.dimension
    if name == "Composition":
        return _composition(entry, yes, profile)
    if name == "Instance_Preservation":
        return _instance(n, yes, answers, profile)
    if name == "Human_Clothes" or (name in _GATED and n > 1):
        if not yes(0):
            return not_applicable("the first question, on which the others depend, was not answered yes")
        # Officially the third question of the physics dimensions is asked and then ignored.
        return float(all(yes(i) for i in range(1, 2 if name in _GATED and profile == "compat" else n)))
    return float(all(yes(i) for i in range(n)))


def _composition(entry: SuiteEntry, yes: Callable[[int], bool], profile: Profile) -> float:
    """A fused creature that appears as several officially still scores 1/n; in `fixed` it scores 0."""
    n, first = len(entry.reference), int(entry.one_creature)
    if entry.one_creature and not yes(0):
        return 1.0 / n if profile == "compat" else 0.0
    seen = sum(yes(first + i) for i in range(n))
    return float(seen == n) if entry.all_needed else seen / n


def _instance(n: int, yes: Callable[[int], bool], answers: Sequence[GivenAnswer], profile: Profile) -> float | Unscored:
    """Officially one flagged stretch fails the clip, and a clip too short for any stretch is clean.

    In `fixed` the share of clean stretches counts, so that a longer clip has no more ways to lose, and a clip too
    short for a stretch is not applicable.
    """
    if profile == "compat":
        flagged = any(given.p_yes is not None and given.p_yes > 0.5 for given in answers)
        return float(not flagged and not any([yes(i) for i in range(n)]))
    if n == 0:
        return not_applicable(f"the clip is shorter than a stretch of {WINDOW_S:g} seconds")
    return fmean(float(not yes(i)) for i in range(n))


def _parts(asks: Sequence[Ask], answers: Sequence[GivenAnswer]) -> tuple[Part, ...]:
    """Probability of the expected answer of every answered question; repeated texts are numbered."""
    texts = [ask.question.text for ask in asks]
    parts: list[Part] = []
    for i, (ask, given) in enumerate(zip(asks, answers, strict=True)):
        if given.p_yes is not None:
            number = f" ({i + 1} of {len(asks)})" if texts.count(texts[i]) > 1 else ""
            parts.append(Part(name=texts[i] + number, value=ask.question.p_expected(given.p_yes)))
    return tuple(parts)
