"""Before against after: measurements of two models on the same prompts and seeds -> the scorecard. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.errors import UserError
from rushes.measure.pairs import DIVERSITY, Pair, Pairing
from rushes.records import DimensionRow, DriftRow, Measurement, Score, Scorecard, Scored, UnmeasuredDimension, Unscored
from rushes.statistics.bootstrap import Means, cluster_means, mean_interval, mean_of
from rushes.statistics.comparison import Comparison, Decision, compare_gains, decide, paired_gains
from rushes.statistics.power import fewest_prompts
from rushes.statistics.resampling import Estimate, Resampling

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
    are those of `rushes.statistics.comparison.decide`: the dimensions together, the mean of the focus alone.

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
    measurer = _measurer(pairing)
    bench = _Bench(pairing, clusters, {score.clip_key: score for score in judged}, how)
    names = {each.dimension for each in pairing.measurements} | set(contest.focus)
    in_order = sorted(names, key=lambda name: (name not in contest.focus, name == DIVERSITY, name))
    found = {name: _compared(name, bench) for name in in_order}
    compared = {name: each for name, each in found.items() if isinstance(each, _Compared)}
    decisions = decide({name: each.comparison for name, each in compared.items()})
    rows = {name: _row(name, each, decisions[name], contest) for name, each in compared.items()}
    aimed_at = {name: each.gains for name, each in compared.items() if name in contest.focus}
    focus = compare_gains(aimed_at, how) if aimed_at else None
    return Scorecard(
        base_model=contest.base_model,
        tuned_model=contest.tuned_model,
        measurer=measurer,
        judge=contest.judge,
        rows=tuple(rows.values()),
        unmeasured=tuple(each for each in found.values() if isinstance(each, UnmeasuredDimension)),
        drift=tuple(drift),
        focus_gain=focus.gain.value if focus else None,
        focus_gain_low=focus.gain.low if focus else None,
        focus_gain_high=focus.gain.high if focus else None,
        focus_p_value=focus.p_value if focus else None,
        focus_verdict=decide({"focus": focus})["focus"].verdict if focus else None,
        notes=(*notes, *(text for name, each in compared.items() for text in _warnings(rows[name], each, len(rows)))),
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
    num_unpaired: int
    judge: _Judged | None


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
    return _Compared(
        before=mean_of(cluster_means(before, clusters)),
        after=mean_of(cluster_means(after, clusters)),
        gains=gains,
        comparison=compare_gains({name: gains}, bench.how),
        num_clips=num_clips,
        num_unscored=sum(len(pair.seed_indices) for pair in both) - num_clips,
        num_unpaired=sum(len(each.subject) for each in bench.pairing.unpaired if each.dimension == name),
        judge=_judged(name, pairs, bench),
    )


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
        is_focus=name in contest.focus,
        verdict=decision.verdict,
    )


def _measurer(pairing: Pairing) -> str:
    names = sorted({each.measurer for each in pairing.measurements})
    if not names:
        raise UserError(
            "nothing was measured, so there is nothing to compare",
            expected="measurements of both models on the held-out prompts",
            next_step="look at what failed: rushes status",
        )
    if len(names) > 1:
        raise ValueError(f"both models must be measured by the same one measurer, got {names!r}")
    return names[0]


def _judged(name: str, pairs: Sequence[Pair], bench: _Bench) -> _Judged | None:
    """The judge's means over the pairs that it scored on both sides; None where there is none."""
    before, after, clusters = list[float](), list[float](), list[str]()
    for pair in pairs:
        sides = [_judge_mean(measurement.subject, bench.judged) for measurement in (pair.before, pair.after)]
        if sides[0] is not None and sides[1] is not None:
            before.append(sides[0])
            after.append(sides[1])
            clusters.append(bench.clusters[pair.prompt_key])
    if not clusters:
        return None
    gains = paired_gains(before, after, clusters)
    gain = mean_interval({name: gains}, bench.how) if len(gains) > 1 else None
    return _Judged(mean_of(cluster_means(before, clusters)), mean_of(cluster_means(after, clusters)), gain)


def _judge_mean(clip_keys: Sequence[str], scores: Mapping[str, Score]) -> float | None:
    """The judge's score of a single clip; None for takes measured together: no score is about them."""
    if len(clip_keys) != 1 or clip_keys[0] not in scores:
        return None
    outcome = scores[clip_keys[0]].outcome
    return outcome.value if isinstance(outcome, Scored) else None


# ---------------------------------------------------------------------------------------------- what a reader must see


def _warnings(row: DimensionRow, found: _Compared, num_compared: int) -> list[str]:
    interval = f"{points(row.gain)} points, 95 % interval {points(row.gain_low)} to {points(row.gain_high)}"
    texts = list[str]()
    if row.verdict == "worse":
        texts.append(f"{row.dimension} got worse: {interval}.")
    elif row.gain_high < 0:
        texts.append(
            f"{row.dimension} may have got worse: {interval}; not enough for a verdict among {num_compared} "
            f"dimension{'s' if num_compared > 1 else ''} (p {row.p_holm:.2f}, corrected)."
        )
    lost = row.before - row.after
    if row.dimension == DIVERSITY and lost > MAX_DIVERSITY_LOSS * row.before:
        texts.append(
            f"Diversity fell by {100 * lost / row.before:.1f} % of its value ({row.before:.3f} to {row.after:.3f}); "
            f"more than {100 * MAX_DIVERSITY_LOSS:.0f} % is too much."
        )
    if found.judge is not None and found.judge.gain is not None and _is_suspicious(row, found.judge.gain):
        texts.append(
            f"{row.dimension}: the judge sees {points(found.judge.gain.value)} points, the measurer does not "
            f"({interval}). The model may have learned to please the judge."
        )
    if row.num_prompts < FEW_PROMPTS:
        fewest = fewest_prompts()
        verdict = "" if row.num_prompts >= fewest else f", and a verdict takes at least {fewest}"
        texts.append(
            f"{row.dimension}: only {row.num_prompts} prompts; its interval is rough{verdict}. "
            "Raise measure.num_prompts."
        )
    if found.num_unpaired:
        texts.append(
            f"{row.dimension}: {found.num_unpaired} clips of one model lack their counterpart and are left out."
        )
    return texts


def _is_suspicious(row: DimensionRow, judge_gain: Estimate) -> bool:
    """A warning, not a verdict: both gains are taken by their own intervals, uncorrected."""
    clear = judge_gain.low > 0 and judge_gain.value >= HACKING_LEAST
    return clear and row.gain_low <= 0 and row.gain < HACKING_SHARE * judge_gain.value


def points(value: float) -> str:
    """A gain in points (hundredths of the score range) with its sign: `+4.2`, `-0.8`, `0.0`."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


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
