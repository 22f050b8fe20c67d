"""Before against after: measurements of two models on the same prompts and seeds -> the scorecard. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rushes.errors import UserError
from rushes.measure.pairs import DIVERSITY, Pair, Pairing, pair_up
from rushes.recipe.measure import MeasureSpec
from rushes.records import (
    Clip,
    DimensionRow,
    DriftRow,
    Measurement,
    Score,
    Scorecard,
    Scored,
    UnmeasuredDimension,
    Unscored,
)
from rushes.statistics.bootstrap import F64, Interval, Resampling, gain_interval, mean_gain_interval, prompt_means

MAX_DIVERSITY_LOSS: Final = 0.05
"""Share of its value that Diversity may lose before the scorecard warns."""
FEW_PROMPTS: Final = 8
"""Below this many prompts an interval is not to be trusted."""
HACKING_SHARE: Final = 0.5
"""The judge's gain is called suspicious when the measurer sees less than this share of it, and no clear gain."""
HACKING_LEAST: Final = 0.02
"""A smaller gain of the judge's is not worth a warning, however clear it is."""


@dataclass(frozen=True)
class Contest:
    """Who is compared, and by whom.

    Example: `Contest(base_model="sandbox-base", tuned_model="5a" * 32, judge="sandbox-vqa", focus=("Composition",))`.
    """

    base_model: str
    """Name of the untouched weights."""
    tuned_model: str
    """Key of the checkpoint compared."""
    judge: str
    """Name of the judge whose scores were trained on."""
    focus: tuple[str, ...]
    """Dimensions that the run was aimed at."""


@dataclass(frozen=True)
class _Judged:
    """What the training judge says about the pairs of one dimension."""

    before: float
    after: float
    gain: Interval | None


def compare(
    before: Iterable[Measurement],
    after: Iterable[Measurement],
    *,
    clips: Iterable[Clip],
    contest: Contest,
    spec: MeasureSpec,
    judged: Iterable[Score] = (),
    drift: Sequence[DriftRow] = (),
    notes: Sequence[str] = (),
    seed: int = 0,
) -> Scorecard:
    """The result of a run. The order of the measurements changes nothing.

    A pair counts only when both models have a score for the same prompt and seed; the others are left out of both
    means and counted. A dimension without two prompts to compare is reported as unmeasured, with the reason.

    Args:
        before: the base model's measurements on the held-out prompts.
        after: the tuned model's, on the same prompts and seeds.
        clips: the clips measured, of both models.
        contest: who is compared, and the focus dimensions.
        spec: how many resamples.
        judged: the training judge's scores of those clips, where it was asked; never used for the gain.
        drift: rows of the drift panel, passed on.
        notes: warnings of earlier stages, shown first.
        seed: root of the bootstrap's random choices.

    Raises:
        UserError: there is not a single measurement.
        ValueError: see `pair_up`; or the two models were not measured by one measurer.
    """
    sides = tuple(before), tuple(after)
    bench = _Bench(
        pairing=pair_up(*sides, clips),
        judged={score.clip_key: score for score in judged},
        contest=contest,
        how=Resampling(num_resamples=spec.num_bootstrap, seed=seed),
    )
    names = {each.dimension for side in sides for each in side} | set(contest.focus)
    in_order = sorted(names, key=lambda name: (name not in contest.focus, name == DIVERSITY, name))
    found = [_compared(name, bench, sides) for name in in_order]
    compared = [each for each in found if isinstance(each, _Compared)]
    gains = {each.row.dimension: each.gains_N for each in compared if each.row.is_focus}
    focus = mean_gain_interval(gains, bench.how) if gains else None
    return Scorecard(
        base_model=contest.base_model,
        tuned_model=contest.tuned_model,
        measurer=_measurer(*sides),
        judge=contest.judge,
        rows=tuple(each.row for each in compared),
        unmeasured=tuple(each for each in found if isinstance(each, UnmeasuredDimension)),
        drift=tuple(drift),
        focus_gain=focus.mean if focus else None,
        focus_gain_low=focus.low if focus else None,
        focus_gain_high=focus.high if focus else None,
        notes=(*notes, *(warning for each in compared for warning in each.warnings)),
    )


@dataclass(frozen=True)
class _Bench:
    """What every dimension is compared with."""

    pairing: Pairing
    judged: Mapping[str, Score]
    contest: Contest
    how: Resampling


@dataclass(frozen=True, eq=False)
class _Compared:
    """One dimension's row, its gain per prompt, and its warnings."""

    row: DimensionRow
    gains_N: F64
    warnings: list[str]


_Sides = tuple[tuple[Measurement, ...], tuple[Measurement, ...]]


def _compared(name: str, bench: _Bench, sides: _Sides) -> _Compared | UnmeasuredDimension:
    pairs = [pair for pair in bench.pairing.of(name) if pair.scores is not None]
    if len({pair.prompt_key for pair in pairs}) < 2:
        return UnmeasuredDimension(dimension=name, reason=_reason(name, sides, bench.pairing))
    judge = _judged(name, pairs, bench.judged, bench.how)
    row = _row(name, pairs, bench, judge)
    return _Compared(row, _prompt_gains(pairs), _warnings(row, judge, _num_unpaired(bench.pairing, name)))


def _measurer(before: Sequence[Measurement], after: Sequence[Measurement]) -> str:
    names = sorted({each.measurer for each in (*before, *after)})
    if not names:
        raise UserError(
            "nothing was measured, so there is nothing to compare",
            expected="measurements of both models on the held-out prompts",
            next_step="look at what failed: rushes status",
        )
    if len(names) > 1:
        raise ValueError(f"both models must be measured by the same one measurer, got {names!r}")
    return names[0]


def _scores(pairs: Sequence[Pair]) -> tuple[list[float], list[float]]:
    """Scores before and after of pairs that have both."""
    both = [pair.scores for pair in pairs if pair.scores is not None]
    return [before for before, _ in both], [after for _, after in both]


def _prompt_gains(pairs: Sequence[Pair]) -> F64:
    before, after = _scores(pairs)
    return prompt_means([b - a for a, b in zip(before, after, strict=True)], [pair.prompt_key for pair in pairs])


def _row(name: str, pairs: Sequence[Pair], bench: _Bench, judge: _Judged | None) -> DimensionRow:
    """The row of a dimension from its scored pairs, at least two prompts."""
    before, after = _scores(pairs)
    prompts = [pair.prompt_key for pair in pairs]
    gain = gain_interval(before, after, prompts, bench.how, name=name)
    unscored = [pair for pair in bench.pairing.of(name) if pair.scores is None]
    return DimensionRow(
        dimension=name,
        before=float(prompt_means(before, prompts).mean()),
        after=float(prompt_means(after, prompts).mean()),
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        num_prompts=len(set(prompts)),
        num_clips=sum(len(pair.seed_indices) for pair in pairs),
        num_unscored=sum(len(pair.seed_indices) for pair in unscored),
        judge_before=judge.before if judge else None,
        judge_after=judge.after if judge else None,
        is_focus=name in bench.contest.focus,
        verdict=_verdict(gain),
    )


def _verdict(gain: Interval) -> Literal["better", "worse", "no clear change"]:
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no clear change"


def _judged(name: str, pairs: Sequence[Pair], scores: Mapping[str, Score], how: Resampling) -> _Judged | None:
    """The judge's means over the pairs that it scored on both sides; None where there is none."""
    before, after, prompts = list[float](), list[float](), list[str]()
    for pair in pairs:
        sides = [_judge_mean(measurement.subject, scores) for measurement in (pair.before, pair.after)]
        if sides[0] is not None and sides[1] is not None:
            before.append(sides[0])
            after.append(sides[1])
            prompts.append(pair.prompt_key)
    if not prompts:
        return None
    gain = gain_interval(before, after, prompts, how, name=name) if len(set(prompts)) > 1 else None
    return _Judged(float(prompt_means(before, prompts).mean()), float(prompt_means(after, prompts).mean()), gain)


def _judge_mean(clip_keys: Sequence[str], scores: Mapping[str, Score]) -> float | None:
    """The judge's score of a single clip; None for takes measured together: no score is about them."""
    if len(clip_keys) != 1 or clip_keys[0] not in scores:
        return None
    outcome = scores[clip_keys[0]].outcome
    return outcome.value if isinstance(outcome, Scored) else None


# ---------------------------------------------------------------------------------------------- what a reader must see


def _num_unpaired(pairing: Pairing, name: str) -> int:
    return sum(len(each.subject) for each in pairing.unpaired if each.dimension == name)


def _warnings(row: DimensionRow, judge: _Judged | None, num_unpaired: int) -> list[str]:
    interval = f"{points(row.gain)} points, 95 % interval {points(row.gain_low)} to {points(row.gain_high)}"
    found = list[str]()
    if row.verdict == "worse":
        found.append(f"{row.dimension} got worse: {interval}.")
    lost = row.before - row.after
    if row.dimension == DIVERSITY and lost > MAX_DIVERSITY_LOSS * row.before:
        found.append(
            f"Diversity fell by {100 * lost / row.before:.1f} % of its value ({row.before:.3f} to {row.after:.3f}); "
            f"more than {100 * MAX_DIVERSITY_LOSS:.0f} % is too much."
        )
    if judge is not None and judge.gain is not None and _is_suspicious(row, judge.gain):
        found.append(
            f"{row.dimension}: the judge sees {points(judge.gain.mean)} points, the measurer does not ({interval}). "
            "The model may have learned to please the judge."
        )
    if row.num_prompts < FEW_PROMPTS:
        found.append(
            f"{row.dimension}: only {row.num_prompts} prompts; its interval is rough. Raise measure.num_prompts."
        )
    if num_unpaired:
        found.append(f"{row.dimension}: {num_unpaired} clips of one model lack their counterpart and are left out.")
    return found


def _is_suspicious(row: DimensionRow, judge_gain: Interval) -> bool:
    clear = judge_gain.low > 0 and judge_gain.mean >= HACKING_LEAST
    return clear and row.verdict != "better" and row.gain < HACKING_SHARE * judge_gain.mean


def points(value: float) -> str:
    """A gain in points (hundredths of the score range) with its sign: `+4.2`, `-0.8`, `0.0`."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _reason(name: str, sides: _Sides, pairing: Pairing) -> str:
    """Why a dimension cannot be compared, in words."""
    num_before, num_after = (sum(each.dimension == name for each in side) for side in sides)
    if not num_before or not num_after:
        lacking = [who for who, num in (("base", num_before), ("tuned", num_after)) if not num]
        return f"nothing was measured of the {' or the '.join(lacking)} model"
    pairs = pairing.of(name)
    if not pairs:
        return "the two models share no prompt and seed"
    unscored = Counter(
        outcome.reason
        for pair in pairs
        for outcome in (pair.before.outcome, pair.after.outcome)
        if isinstance(outcome, Unscored)
    )
    if all(pair.scores is None for pair in pairs):
        reason, count = unscored.most_common(1)[0]
        return f"all {len(pairs)} pairs have an unscored side; most often ({count} x): {reason}"
    return f"only one prompt is scored on both sides ({len(pairs)} pairs); an interval needs two"
