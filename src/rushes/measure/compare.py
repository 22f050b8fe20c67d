"""Before against after: measurements of two models on the same prompts and seeds -> the scorecard. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import pstdev

from rushes.errors import UserError
from rushes.measure.coverage import coverage_of
from rushes.measure.leniency import leniency
from rushes.measure.notes import Behind, missing_focus, notes_of, too_few_prompts
from rushes.measure.pairs import DIVERSITY, Pair, Pairing
from rushes.records import (
    DimensionRow,
    DriftRow,
    Leniency,
    Measurement,
    Score,
    Scorecard,
    Scored,
    UnmeasuredDimension,
    Unscored,
)
from rushes.statistics.bootstrap import Means, cluster_means, mean_interval, mean_of
from rushes.statistics.comparison import Comparison, Decision, compare_gains, decide, paired_gains
from rushes.statistics.resampling import Estimate, Resampling


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


def compare(
    pairing: Pairing,
    clusters: Mapping[str, str],
    contest: Contest,
    how: Resampling,
    *,
    judged: Iterable[Score] = (),
    drift: Sequence[DriftRow] = (),
    notes: Sequence[str] = (),
) -> Scorecard:
    """The result of a run. The order of the measurements changes nothing.

    A pair counts only when both models have a score for the same prompt and seed; the others are left out of both
    means and counted. A dimension without two prompts to compare is reported as unmeasured, with the reason. Verdicts
    are those of `rushes.statistics.comparison.decide`: the dimensions together, the mean of the focus alone. There is
    no mean of the focus when one of its dimensions is unmeasured.

    Args:
        pairing: both models' measurements of the held-out prompts, brought together.
        clusters: key of each prompt -> what is resampled as one, see `rushes.measure.pairs.clusters_of`.
        contest: who is compared, and the focus dimensions.
        how: resamples, seed, confidence of the bootstrap.
        judged: the training judge's scores of those clips, where it was asked; never used for the gain.
        drift: rows of the drift panel, passed on.
        notes: warnings of earlier stages, shown first.

    Raises:
        UserError: there is not a single measurement.
        ValueError: the two models were not measured by one measurer.
        KeyError: a prompt has no cluster.
    """
    measurer = _measurer(pairing, notes)
    bench = _Bench(pairing, clusters, {score.clip_key: score for score in judged}, how)
    names = {each.dimension for each in pairing.measurements} | set(contest.focus)
    in_order = sorted(names, key=lambda name: (name not in contest.focus, name == DIVERSITY, name))
    found = {name: _compared(name, bench) for name in in_order}
    compared = {name: each for name, each in found.items() if isinstance(each, _Compared)}
    decisions = decide({name: each.comparison for name, each in compared.items()})
    rows = [_row(name, each, decisions[name], contest) for name, each in compared.items()]
    missing = sorted(set(contest.focus) - compared.keys())
    aimed_at = {} if missing else {name: compared[name].gains for name in sorted(contest.focus)}
    focus = compare_gains(aimed_at, how) if aimed_at else None
    return Scorecard(
        base_model=contest.base_model,
        tuned_model=contest.tuned_model,
        measurer=measurer,
        judge=contest.judge,
        rows=tuple(rows),
        unmeasured=tuple(each for each in found.values() if isinstance(each, UnmeasuredDimension)),
        drift=tuple(drift),
        focus_gain=focus.gain.value if focus else None,
        focus_num_prompts=len(set().union(*aimed_at.values())) if aimed_at else None,
        focus_gain_low=focus.gain.low if focus else None,
        focus_gain_high=focus.gain.high if focus else None,
        focus_p_value=focus.p_value if focus else None,
        focus_verdict=decide({"focus": focus})["focus"].verdict if focus else None,
        notes=(*notes, *missing_focus(missing), *_notes(rows, compared)),
    )


@dataclass(frozen=True)
class _Bench:
    """What every dimension is compared with."""

    pairing: Pairing
    clusters: Mapping[str, str]
    judged: Mapping[str, Score]
    how: Resampling


@dataclass(frozen=True)
class _Judged:
    """What the training judge says about the pairs of one dimension."""

    before: float
    after: float
    unit: str | None
    spread: float
    """Standard deviation of the base model's scores."""
    gain: Estimate | None


@dataclass(frozen=True)
class _Compared:
    """One dimension, before anything is decided."""

    before: float
    after: float
    gains: Means
    comparison: Comparison
    num_clips: int
    num_unscored: int
    judge: _Judged | None
    leniency: Leniency | None
    behind: Behind


def _compared(name: str, bench: _Bench) -> _Compared | UnmeasuredDimension:
    both = bench.pairing.of(name)
    pairs = [pair for pair in both if pair.scores is not None]
    clusters = [bench.clusters[pair.prompt_key] for pair in pairs]
    if len(set(clusters)) < 2:
        return UnmeasuredDimension(dimension=name, reason=_reason(name, bench.pairing))
    scores = [pair.scores for pair in pairs if pair.scores is not None]
    before, after = [score for score, _ in scores], [score for _, score in scores]
    gains = paired_gains(before, after, clusters)
    num_clips = sum(len(pair.seed_indices) for pair in pairs)
    judge = _judged(name, pairs, bench)
    return _Compared(
        before=mean_of(cluster_means(before, clusters)),
        after=mean_of(cluster_means(after, clusters)),
        gains=gains,
        comparison=compare_gains({name: gains}, bench.how),
        num_clips=num_clips,
        num_unscored=sum(len(pair.seed_indices) for pair in both) - num_clips,
        judge=judge,
        leniency=leniency(pairs, bench.judged, bench.clusters, bench.how),
        behind=Behind(
            judge_gain=judge.gain if judge else None,
            judge_unit=judge.unit if judge else None,
            judge_spread=judge.spread if judge else 0.0,
            base=coverage_of([_score_of(pair.before) for pair in both]),
            tuned=coverage_of([_score_of(pair.after) for pair in both]),
            num_unpaired=sum(len(each.subject) for each in bench.pairing.unpaired if each.dimension == name),
        ),
    )


def _score_of(measurement: Measurement) -> float | None:
    return measurement.outcome.value if isinstance(measurement.outcome, Scored) else None


def _row(name: str, found: _Compared, decision: Decision, contest: Contest) -> DimensionRow:
    gain = found.comparison.gain
    return DimensionRow(
        dimension=name,
        before=found.before,
        after=found.after,
        gain=gain.value,
        gain_low=gain.low,
        gain_high=gain.high,
        p_holm=decision.p_holm,
        num_prompts=len(found.gains),
        num_clips=found.num_clips,
        num_unscored=found.num_unscored,
        judge_before=found.judge.before if found.judge else None,
        judge_after=found.judge.after if found.judge else None,
        judge_unit=found.judge.unit if found.judge else None,
        leniency=found.leniency,
        is_focus=name in contest.focus,
        verdict=decision.verdict,
    )


def _notes(rows: Sequence[DimensionRow], compared: Mapping[str, _Compared]) -> Iterator[str]:
    for row in rows:
        yield from notes_of(row, compared[row.dimension].behind, len(rows))
    yield from too_few_prompts(rows)


def _measurer(pairing: Pairing, notes: Sequence[str]) -> str:
    names = sorted({each.measurer for each in pairing.measurements})
    if not names:
        raise UserError(
            "nothing was measured, so there is nothing to compare",
            expected="measurements of both models on the held-out prompts",
            got="; ".join(notes) or "none, and no reason why",
            next_step="correct what the reasons name, or measure.measurer; then run the same command again",
        )
    if len(names) > 1:
        raise ValueError(f"both models must be measured by the same one measurer, got {names!r}")
    return names[0]


def _judged(name: str, pairs: Sequence[Pair], bench: _Bench) -> _Judged | None:
    """The judge's means over the pairs that it scored on both sides; None where there is none."""
    before, after, clusters, units = list[float](), list[float](), list[str](), set[str | None]()
    for pair in pairs:
        sides = [_judge_score(measurement.subject, bench.judged) for measurement in (pair.before, pair.after)]
        if sides[0] is not None and sides[1] is not None:
            before.append(sides[0].value)
            after.append(sides[1].value)
            units.update(side.unit for side in sides if side is not None)
            clusters.append(bench.clusters[pair.prompt_key])
    if len(units) != 1:
        return None
    gains, (unit,) = paired_gains(before, after, clusters), units
    return _Judged(
        before=mean_of(cluster_means(before, clusters)),
        after=mean_of(cluster_means(after, clusters)),
        unit=unit,
        spread=pstdev(before),
        gain=_gain(name, gains, unit, bench.how) if len(gains) > 1 else None,
    )


def _gain(name: str, gains: Means, unit: str | None, how: Resampling) -> Estimate:
    """The mean gain; gains that are not of shares are divided by the largest one, since intervals need a range."""
    largest = 1.0 if unit is None else max(map(abs, gains.values())) or 1.0
    found = mean_interval({name: {cluster: gain / largest for cluster, gain in gains.items()}}, how)
    ends = {end: largest * getattr(found, end) for end in ("value", "low", "high")}
    return found if unit is None else found.model_copy(update=ends)


def _judge_score(clip_keys: Sequence[str], scores: Mapping[str, Score]) -> Scored | None:
    """The judge's score of a single clip; None for takes measured together: no score is about them."""
    if len(clip_keys) != 1 or clip_keys[0] not in scores:
        return None
    outcome = scores[clip_keys[0]].outcome
    return outcome if isinstance(outcome, Scored) else None


def _reason(name: str, pairing: Pairing) -> str:
    """Why a dimension cannot be compared, in words."""
    pairs = pairing.of(name)
    if not pairs:
        sides = (("base", pairing.only_before), ("tuned", pairing.only_after))
        lacking = [who for who, side in sides if not _are_of(side, name)]
        if lacking:
            return f"nothing was measured of the {' or the '.join(lacking)} model"
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


def _are_of(measurements: Iterable[Measurement], name: str) -> bool:
    return any(each.dimension == name for each in measurements)
