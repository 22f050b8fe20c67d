"""The contents of the templates, prepared from `ReportData`: sums, orders and texts, no markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rushes.display.words import NARROW, duration, figure, score, signed
from rushes.judge.agreement import Agreement
from rushes.measure.shown import own_parts
from rushes.plan.reference import ReferenceCost
from rushes.records import CostEntry, Outcome, Question, Rejection, Scorecard, Scored, Unscored
from rushes.report.claims import TOO_FEW, verdict_word
from rushes.report.clips import MAX_BYTES, EmbeddedClip, embed
from rushes.report.data import Example, Missing
from rushes.roles import AccuracyRow, Video

if TYPE_CHECKING:
    from rushes.prompts.clip_rows import ClipRow


@dataclass(frozen=True)
class Mark:
    """The measurer's result for one question on one clip."""

    kind: str
    """"right", "wrong" or "unknown"."""
    words: str
    """Text for screen readers and the tool tip."""


@dataclass(frozen=True)
class CheckRow:
    """One question of an example with both clips' marks."""

    text: str
    """The question, or the name of a measured quantity."""
    expected: str
    """The answer for a right clip; empty for quantities."""
    before: Mark
    """Base model."""
    after: Mark
    """Tuned model."""


@dataclass(frozen=True, eq=False)
class ExampleCard:
    """An example ready to be shown."""

    example: Example
    """Prompt, seed, rule."""
    change: str
    """Score before and after, in words."""
    tone: str
    """"good", "bad" or "even"."""
    before: EmbeddedClip
    """Base model's clip."""
    after: EmbeddedClip
    """Tuned model's clip."""
    before_badge: Mark
    """The whole clip: right, or the number of right questions."""
    after_badge: Mark
    """The same for the tuned model's clip."""
    checks: tuple[CheckRow, ...]
    """Question by question."""


def example_groups(examples: Sequence[Example], max_bytes: int = MAX_BYTES) -> list[tuple[str, list[ExampleCard]]]:
    """Cards by dimension, in the order given."""
    return [
        (name, [_card(each, max_bytes) for each in group])
        for name, group in groupby(examples, key=lambda e: e.dimension)
    ]


def embedded(video: Video, max_bytes: int) -> EmbeddedClip:
    """A clip for the page."""
    return embed(video, max_bytes)


def _card(example: Example, max_bytes: int) -> ExampleCard:
    before, after = example.before.outcome, example.after.outcome
    change, tone = "not scored on both sides", "even"
    if isinstance(before, Scored) and isinstance(after, Scored):
        gain = after.value - before.value
        change = _change(before.value, after.value)
        tone = "good" if gain > 0 else "bad" if gain < 0 else "even"
    return ExampleCard(
        example=example,
        change=change,
        tone=tone,
        before=embed(example.before.video, max_bytes),
        after=embed(example.after.video, max_bytes),
        before_badge=_badge(before),
        after_badge=_badge(after),
        checks=_checks(before, after, example.questions),
    )


def _change(before: float, after: float) -> str:
    """The change in score; in words if a clip can only be right or wrong."""
    if {before, after} <= {0.0, 1.0}:
        now = "right" if after else "wrong"
        return f"{now} both times" if before == after else f"{'right' if before else 'wrong'} to {now}"
    return f"{score(before)} to {score(after)} ({signed(after - before)})"


def _badge(outcome: Outcome) -> Mark:
    if isinstance(outcome, Unscored):
        return Mark("unknown", f"not scored: {outcome.reason}")
    parts = own_parts(outcome)
    if not parts:
        return Mark("unknown", f"score {score(outcome.value)}")
    num_right = sum(part.value >= 0.5 for part in parts)
    kind = "right" if num_right == len(parts) else "wrong"
    return Mark(kind, f"{num_right} of {len(parts)} right")


def _checks(before: Outcome, after: Outcome, questions: Sequence[Question]) -> tuple[CheckRow, ...]:
    parts = [own_parts(side) if isinstance(side, Scored) else () for side in (before, after)]
    found = [{part.name: part.value for part in side} for side in parts]
    expected = {question.text: question.expected for question in questions}
    names = dict.fromkeys([*found[0], *found[1]])
    return tuple(
        CheckRow(name, expected.get(name, ""), *(_mark(side.get(name), expected.get(name)) for side in found))
        for name in names
    )


def _mark(value: float | None, expected: str | None) -> Mark:
    if value is None:
        return Mark("unknown", "not measured")
    kind = "right" if value >= 0.5 else "wrong"
    if expected is None:
        return Mark(kind, f"{score(value)} of 100")
    opposite = "no" if expected == "yes" else "yes"
    return Mark(kind, f"{expected if kind == 'right' else opposite}, {'as' if kind == 'right' else 'not as'} expected")


# ---------------------------------------------------------------------------------------------- summary tiles


@dataclass(frozen=True)
class Tile:
    """A figure at the top of the page."""

    value: str
    """The figure."""
    caption: str
    """What it is."""
    tone: str = "even"
    """"good", "bad" or "even"."""


def tiles(scorecard: Scorecard) -> list[Tile]:
    """Number of dimensions by verdict, and the number of pairs behind them."""
    verdicts = Counter(verdict_word(row, scorecard) for row in scorecard.rows)
    num_clips = sum(row.num_clips for row in scorecard.rows)
    shown = [
        Tile(str(verdicts["better"]), "better", "good" if verdicts["better"] else "even"),
        Tile(str(verdicts["no clear change"]), "no clear change"),
        Tile(str(verdicts["worse"]), "worse", "bad" if verdicts["worse"] else "even"),
        Tile(f"{num_clips:,}".replace(",", NARROW), "pairs of held-out clips"),
    ]
    if not scorecard.rows:
        shown.clear()  # nothing was measured, so no zeros are shown
    if verdicts[TOO_FEW]:
        shown.append(Tile(str(verdicts[TOO_FEW]), TOO_FEW))
    if scorecard.unmeasured:
        shown.append(Tile(str(len(scorecard.unmeasured)), "not measured"))
    return shown


def are_equal(weights: Sequence[float]) -> bool:
    """Whether a histogram of them would be one column: it says no more than a sentence."""
    return not weights or max(weights) - min(weights) <= 1e-9 * max(abs(max(weights)), 1.0)


# ---------------------------------------------------------------------------------------------- judge


@dataclass(frozen=True)
class JudgeRow:
    """The training judge's accuracy and agreement in one dimension."""

    dimension: str
    """Quality dimension."""
    accuracy: AccuracyRow | None
    """On clips whose content is known."""
    agreement_before: Agreement | None
    """With the measurer, on the base model's clips."""
    agreement_after: Agreement | None
    """With the measurer, on the tuned model's clips."""


def judge_rows(
    accuracy: Sequence[AccuracyRow] | Missing,
    agreement_before: Sequence[Agreement] | Missing,
    agreement_after: Sequence[Agreement] | Missing,
) -> list[JudgeRow]:
    """All three by dimension, sorted by name."""
    right = {} if isinstance(accuracy, Missing) else {each.dimension: each for each in accuracy}
    before, after = (
        {} if isinstance(found, Missing) else {each.dimension: each for each in found}
        for found in (agreement_before, agreement_after)
    )
    names = sorted({*right, *before, *after})
    return [JudgeRow(name, right.get(name), before.get(name), after.get(name)) for name in names]


# ---------------------------------------------------------------------------------------------- real clips

MAX_CLIP_ROWS: Final = 40
"""Maximum number of files listed per outcome; the others are counted."""
MAX_REFUSED: Final = 100
"""The same for refused texts, per reason."""
_CLIP_OUTCOMES: Final = {
    "used": "used as they are",
    "cut": "used, cut to the model's shape",
    "dropped": "dropped",
    "left_over": "good, but not needed by the recipe",
    "other": "other files",
}


@dataclass(frozen=True)
class ClipGroup:
    """Files of a folder of real clips with the same outcome."""

    title: str
    """The outcome."""
    num_rows: int
    """Number of files."""
    shown: Sequence[ClipRow]
    """The first of them."""

    @property
    def num_more(self) -> int:
        """Number of files that are not listed."""
        return self.num_rows - len(self.shown)


def clip_sentence(rows: Sequence[ClipRow]) -> str:
    """The number of files by outcome, in one line."""
    counts = Counter[str](row.outcome for row in rows)
    parts = [f"{counts[outcome]} {words}" for outcome, words in _CLIP_OUTCOMES.items() if counts[outcome]]
    return f"{len(rows)} files and metadata rows: {'; '.join(parts) or 'none'}."


def clip_groups(rows: Sequence[ClipRow]) -> list[ClipGroup]:
    """Files to list: first the dropped ones, then those that were cut."""
    found = []
    for outcome in ("dropped", "cut"):
        alike = [row for row in rows if row.outcome == outcome]
        if alike:
            found.append(ClipGroup(_CLIP_OUTCOMES[outcome], len(alike), alike[:MAX_CLIP_ROWS]))
    return found


# ---------------------------------------------------------------------------------------------- rejections and costs


@dataclass(frozen=True)
class RefusedGroup:
    """Texts that were refused for the same reason."""

    reason: str
    """Why."""
    num: int
    """How many."""
    shown: Sequence[Rejection]
    """The first of them: a page about a million clips must not list a million texts."""

    @property
    def num_more(self) -> int:
        """Number of texts that are not listed."""
        return self.num - len(self.shown)


def rejections_by_reason(rejections: Sequence[Rejection]) -> list[RefusedGroup]:
    """Most frequent reason first."""
    found: dict[str, list[Rejection]] = {}
    for rejection in rejections:
        found.setdefault(rejection.reason, []).append(rejection)
    groups = [RefusedGroup(reason, len(alike), alike[:MAX_REFUSED]) for reason, alike in found.items()]
    return sorted(groups, key=lambda group: (-group.num, group.reason))


@dataclass(frozen=True)
class CostRow:
    """What one stage cost on one device."""

    stage: str
    """Stage."""
    device: str
    """Where it ran."""
    seconds: float
    """Wall-clock seconds, all entries summed."""
    num_items: int
    """Records added."""
    share: float
    """Share of the whole run's time, 0 to 1."""
    reference: ReferenceCost | None = None
    """The stage on the reference GPU, in its first row; None in its other rows, and if nothing was estimated."""

    @property
    def on_reference(self) -> str:
        """Time on the reference GPU, in words: an estimate, a lower bound, or "unknown"."""
        if self.reference is None:
            return ""
        if self.reference.seconds is None:
            return "unknown"
        seconds = self.reference.seconds
        words = duration(seconds) if seconds >= 0.05 else f"{figure(1000 * seconds)} ms"
        return f"{'at least' if self.reference.is_at_least else 'about'} {words}"

    @property
    def pace(self) -> str:
        """Time per record, in words; empty without records."""
        if not self.num_items:
            return ""
        each = self.seconds / self.num_items
        return f"{duration(each)} each" if each >= 1 else f"{figure(1000 * each)} ms each"


def cost_rows(costs: Sequence[CostEntry], reference: Sequence[ReferenceCost] | Missing = ()) -> list[CostRow]:
    """Entries of the same stage and device summed, in the order in which they first appear."""
    known = {} if isinstance(reference, Missing) else {each.stage: each for each in reference}
    on_reference: dict[str, ReferenceCost] = {}
    if known:
        none = {entry.stage: ReferenceCost(entry.stage, None, False, "this stage is not counted") for entry in costs}
        on_reference = none | known
    sums: dict[tuple[str, str], tuple[float, int]] = {}
    for entry in costs:
        seconds, num_items = sums.get((entry.stage, entry.device), (0.0, 0))
        sums[(entry.stage, entry.device)] = (seconds + entry.seconds, num_items + entry.num_items)
    total = sum(seconds for seconds, _ in sums.values()) or 1.0
    return [
        CostRow(stage, device, seconds, num_items, seconds / total, on_reference.pop(stage, None))
        for (stage, device), (seconds, num_items) in sums.items()
    ]
