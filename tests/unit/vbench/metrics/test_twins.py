"""Negated twins: a judge that likes to say yes is seen, and averaging takes a constant liking out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from rushes.audit.negation import negated
from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes_vbench.metrics.asking import by_questions
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.metrics.questions import Ask
from rushes_vbench.metrics.together import alone
from rushes_vbench.metrics.twins import Twins, averaged, twins_of, with_twins, yes_bias
from tests.support.judged import make_question
from tests.support.vbench_clips import entry

CLIP = Video(np.zeros((20, 32, 48, 3), np.uint8), 8.0)
PLAIN, OPEN = "Does the ball fall? (yes or no)", "Is it red or blue?"


class Biased:
    """Knows how probable yes is, and says it a bit too often."""

    def __init__(self, truth: float, bias: float, *, deaf: bool = False) -> None:
        self.truth, self.bias, self.deaf, self.seen = truth, bias, deaf, list[str]()

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [tuple(self._one(question.text) for question in request.questions) for request in requests]

    def _one(self, text: str) -> GivenAnswer:
        self.seen.append(text)
        turned = text.startswith("Is it false")
        if turned and self.deaf:
            return GivenAnswer(None, "it does not read that")
        return GivenAnswer((1.0 - self.truth if turned else self.truth) + self.bias)


def scored(truth: float, bias: float, twins: Twins, *texts: str, deaf: bool = False) -> tuple[Outcome, Biased]:
    judge = Biased(truth, bias, deaf=deaf)
    return alone(by_questions(CLIP, entry("Material", *(texts or (PLAIN,))), "fixed", judge, twins)), judge


def test_a_liking_for_yes_is_seen_and_averaged_out() -> None:
    alone, asked_once = scored(0.4, 0.2, "none")
    probed, asked_twice = scored(0.4, 0.2, "probe")
    mean, _ = scored(0.4, 0.2, "average")
    assert asked_once.seen == [PLAIN] and asked_twice.seen == [PLAIN, negated(PLAIN)]
    assert isinstance(alone, Scored) and isinstance(probed, Scored) and isinstance(mean, Scored)
    assert (alone.value, probed.value, mean.value) == (1.0, 1.0, 0.0)
    assert [part.value for part in probed.parts] == pytest.approx([0.6, 0.2])
    assert mean.parts[0].value == pytest.approx(0.4)
    bias = yes_bias([probed, Unscored(reason="x"), alone])
    assert bias is not None and (bias.value, bias.num_pairs) == (pytest.approx(0.4), 1)
    assert yes_bias([alone]) is None


def test_no_liking_is_no_bias_and_naysayers_are_negative() -> None:
    fair, nay = (scored(0.7, bias, "probe")[0] for bias in (0.0, -0.1))
    for outcome, value in ((fair, 0.0), (nay, -0.2)):
        bias = yes_bias([outcome])
        assert bias is not None and bias.value == pytest.approx(value, abs=1e-9)


def test_what_cannot_be_turned_round_is_asked_once() -> None:
    found, judge = scored(0.9, 0.0, "average", OPEN, PLAIN)
    assert judge.seen == [OPEN, PLAIN, negated(PLAIN)]
    assert isinstance(found, Scored) and found.value == 1.0 and len(found.parts) == 3


def test_a_twin_without_an_answer_changes_nothing() -> None:
    found, _ = scored(0.9, 0.0, "average", deaf=True)
    assert isinstance(found, Scored) and [part.value for part in found.parts] == [0.9]
    assert averaged(GivenAnswer(None, "none"), GivenAnswer(0.5)) == GivenAnswer(None, "none")


def test_a_question_that_expects_no_has_a_twin_that_expects_yes() -> None:
    ask = Ask(make_question("Does it vanish?", "no"), (0, 1), 0.5)
    (twin,) = twins_of([ask])
    assert twin is not None and twin.question.expected == "yes" and (twin.indices, twin.share) == ((0, 1), 0.5)
    (part,) = with_twins(Scored(value=1.0), [twin], [GivenAnswer(0.8)]).parts  # type: ignore[union-attr]
    assert part.value == 0.8


def test_the_official_profile_asks_once() -> None:
    assert VBenchMeasurerSpec.model_validate({"negated_twins": "probe"}).negated_twins == "probe"
    with pytest.raises(ValidationError, match="profile compat asks what the official code asks"):
        VBenchMeasurerSpec.model_validate({"profile": "compat", "negated_twins": "probe"})
