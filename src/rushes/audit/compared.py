"""Judges of values and of preferences under audit: each changed clip against the unchanged one.

They are audited as judges that answer, with another score: the share of comparisons with the unchanged clip that a clip
wins. The unchanged clip itself has 1/2, so a control that should separate has a share near 0, and its AUC is the share
of the clips that the judge puts above their changed version, ties counted half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rushes.audit.cases import ASKED_AGAIN, ORIGINAL, Shown
from rushes.execute.batch import batch_or_alone
from rushes.feedback import PreferenceJudge, PreferenceRequest, ScoreJudge, ScoreRequest, has_position_bias, scales_of
from rushes.judge.check import CheckedValue, checked_preference, checked_values
from rushes.judge.ratings import weights_of_scales
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes.store.video import pixel_hash

Values = Mapping[str, CheckedValue]
"""What a judge says about one clip, by scale."""
EVEN, NO_QUESTIONS = 0.5, "this judge is asked no questions"
NO_PAIR = "this judge compares two clips, and the control changes none"


@dataclass(frozen=True)
class Side:
    """A clip with a text."""

    pixels: str
    """Hash of its frames."""
    text: str
    again: bool = False
    """True where it is asked about once more."""


def said(request: JudgeRequest, share: float | str) -> tuple[GivenAnswer, ...]:
    """A share of comparisons won as answers: each expected answer has it as its probability; or the reason for none."""
    if isinstance(share, str):
        return (GivenAnswer(None, share),) * len(request.questions)
    return tuple(GivenAnswer(share if each.expected == "yes" else 1.0 - share) for each in request.questions)


@dataclass(frozen=True)
class ScoresAsAnswers:
    """A `Judge` made of one that gives scores: a scale counts by its weight, and only beyond its repeat error."""

    spec: JudgeSpec
    judge: ScoreJudge
    _known: dict[tuple[str, str], Values] = field(default_factory=dict[tuple[str, str], Values])
    """What was said about a clip and a text the first time it was asked."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        shown = [(each, _sides(each)) for each in requests if isinstance(each, Shown)]
        wanted: dict[Side, ScoreRequest] = {}
        for each, sides in shown:
            for side, video in sides:
                if side.again or (side.pixels, side.text) not in self._known:
                    wanted.setdefault(side, ScoreRequest(video, side.text, each.questions[0].dimension))
        given = batch_or_alone(self.judge.score, list(wanted.values())) if wanted else []
        names = [scale.name for scale in scales_of(resolved(self.spec.judge, JUDGE))]
        found: dict[Side, Values | Failed] = {
            side: reply if isinstance(reply, Failed) else checked_values(reply, names)
            for side, reply in zip(wanted, given, strict=True)
        }
        for side, values in found.items():
            if not side.again and not isinstance(values, Failed):
                self._known[side.pixels, side.text] = values
        return [self._one(each, [side for side, _ in sides], found) for each, sides in shown]

    def _one(
        self, shown: Shown, sides: Sequence[Side], found: Mapping[Side, Values | Failed]
    ) -> tuple[GivenAnswer, ...] | Failed:
        if not sides:
            return said(shown, NO_QUESTIONS)
        both: list[Values] = []
        for side in sides:
            values = found[side] if side in found else self._known[side.pixels, side.text]
            if isinstance(values, Failed):
                return values
            both.append(values)
        unchanged, own = both
        return said(shown, self._share(own, unchanged))

    def _share(self, own: Values, other: Values) -> float | str:
        """Which part of the weight of all scales prefers the first; 1/2 where they are equal."""
        weights = weights_of_scales(self.spec)
        errors = {scale.name: scale.repeat_error or 0.0 for scale in scales_of(resolved(self.spec.judge, JUDGE))}
        won = 0.0
        for name, weight in weights.items():
            a, b = own[name], other[name]
            if a.value is None or b.value is None:
                return f"{name}: {a.unscored_reason or b.unscored_reason}"
            won += weight * (0.0 if abs(a.value - b.value) <= errors[name] else math.copysign(1.0, a.value - b.value))
        return EVEN + won / math.fsum(weights.values()) / 2


def _sides(shown: Shown) -> list[tuple[Side, Video]]:
    """The unchanged clip, and the one to compare with it; none where only questions were changed."""
    if shown.control == "negated_question":
        return []
    own = Side(pixel_hash(shown.video), shown.text, again=shown.control == ASKED_AGAIN)
    return [(Side(pixel_hash(shown.original), shown.original_text), shown.original), (own, shown.video)]


@dataclass(frozen=True)
class PreferencesAsAnswers:
    """A `Judge` made of one that gives preferences: the changed clip against the unchanged one, in both orders."""

    spec: JudgeSpec
    judge: PreferenceJudge

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        shown = [each for each in requests if isinstance(each, Shown)]
        pairs = [each for each in shown if each.video is not each.original and each.text == each.original_text]
        both = has_position_bias(resolved(self.spec.judge, JUDGE))
        asked: list[PreferenceRequest] = []
        for each in pairs:
            dimension = each.questions[0].dimension
            asked.append(PreferenceRequest(each.video, each.original, each.text, dimension))
            asked += [PreferenceRequest(each.original, each.video, each.text, dimension)] if both else []
        given = batch_or_alone(self.judge.prefer, asked) if asked else []
        step = 2 if both else 1
        replies = {id(each): given[step * at : step * at + step] for at, each in enumerate(pairs)}
        return [self._one(each, replies.get(id(each))) for each in shown]

    def _one(self, shown: Shown, replies: Sequence[object] | None) -> tuple[GivenAnswer, ...] | Failed:
        if shown.control == ORIGINAL:
            return said(shown, EVEN)
        if replies is None:
            return said(shown, NO_QUESTIONS if shown.control == "negated_question" else NO_PAIR)
        for each in replies:
            if isinstance(each, Failed):
                return each
        found = [checked_preference(each) for each in replies]
        missing = [each.unscored_reason for each in found if each.unscored_reason is not None]
        shares = [
            each.value if at == 0 else 1.0 - each.value for at, each in enumerate(found) if each.value is not None
        ]
        return said(shown, missing[0] if missing else math.fsum(shares) / len(shares))
