"""Several models on the same held-out prompts and seeds, against one of them: paired gains with intervals. Pure.

A side is one model of one run. Intervals and verdicts are those of every scorecard (docs/design/007); runs that differ
in their seed alone are also taken together, with the variance between seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.records import Change, Measurement, Scored
from rushes.statistics.bootstrap import cluster_means, mean_of
from rushes.statistics.comparison import Comparison, compare_gains, decide, paired_gains
from rushes.statistics.seeds import compare_seeds
from rushes.view.held_out import Measured

Spot = tuple[str, str, tuple[int, ...]]
"""Dimension, text of the prompt, takes: what is the same for two sides."""
MEAN: Final = "mean of all"
"""In the place of a dimension: their mean."""


@dataclass(frozen=True, eq=False)
class Side:
    """One model of one run.

    Example: `Side("demo-1a2b3c4d", "5a..", "runs/demo: step 200", spots)`.
    """

    run: str
    """Name of the run in addresses."""
    model: str
    """The weights."""
    label: str
    """For people."""
    spots: Mapping[Spot, Measurement]
    """What was measured."""

    @property
    def id(self) -> str:
        """In addresses."""
        return f"{self.run}:{self.model}"


@dataclass(frozen=True)
class Gain:
    """One side against the reference in one dimension."""

    label: str
    """The side, or the seeds that are taken together."""
    before: float | None
    """Mean of the reference; None for seeds together."""
    after: float | None
    comparison: Comparison
    verdict: Change
    num_prompts: int
    is_pooled: bool = False


def sides_of(run: str, label: str, found: Measured) -> list[Side]:
    """The models of a run that have held-out measurements."""
    sides = []
    for model, measurements in found.by_model.items():
        spots = {_spot(each, found): each for each in measurements}
        sides.append(Side(run, model, f"{label}: {found.names[model]}", spots))
    return sides


def _spot(each: Measurement, found: Measured) -> Spot:
    takes = tuple(sorted(found.clips[key].seed_index for key in each.subject))
    return each.dimension, found.prompts[each.prompt_key].text, takes


def gains_of(reference: Side, side: Side) -> dict[str, dict[str, float]]:
    """Per dimension, the mean gain of each prompt that both have a score for; dimensions with fewer than two are left
    out, since an interval needs two."""
    pairs = _both(reference, side)
    found = {
        name: paired_gains([b for _, b, _ in own], [a for _, _, a in own], [text for text, _, _ in own])
        for name, own in pairs.items()
    }
    return {name: each for name, each in found.items() if len(each) > 1}


def _both(reference: Side, side: Side) -> dict[str, list[tuple[str, float, float]]]:
    found: dict[str, list[tuple[str, float, float]]] = {}
    for spot in sorted(reference.spots.keys() & side.spots.keys()):
        one, other = reference.spots[spot].outcome, side.spots[spot].outcome
        if isinstance(one, Scored) and isinstance(other, Scored):
            found.setdefault(spot[0], []).append((spot[1], one.value, other.value))
    return found


def table(reference: Side, sides: Sequence[Side], groups: Iterable[Sequence[Side]]) -> dict[str, list[Gain]]:
    """Per dimension, and for their mean, every side against the reference, then every group of seeds.

    Args:
        reference: what all are compared with.
        sides: the others.
        groups: sides that differ in the seed of their training alone, two or more each.
    """
    found: dict[str, list[Gain]] = {}
    for side in sides:
        gains, pairs = gains_of(reference, side), _both(reference, side)
        comparisons = {name: compare_gains({name: each}) for name, each in gains.items()}
        verdicts = decide(comparisons) if comparisons else {}
        for name, each in gains.items():
            texts = [text for text, _, _ in pairs[name]]
            before = mean_of(cluster_means([value for _, value, _ in pairs[name]], texts))
            after = mean_of(cluster_means([value for _, _, value in pairs[name]], texts))
            found.setdefault(name, []).append(
                Gain(side.label, before, after, comparisons[name], verdicts[name].verdict, len(each))
            )
        if len(gains) > 1:
            mean = compare_gains(gains)
            num = len({text for each in gains.values() for text in each})
            found.setdefault(MEAN, []).append(
                Gain(side.label, None, None, mean, decide({MEAN: mean})[MEAN].verdict, num)
            )
    for group in groups:
        for name, gain in _pooled(reference, group).items():
            found.setdefault(name, []).append(gain)
    return {name: found[name] for name in sorted(found, key=lambda each: (each != MEAN, each))}


def _pooled(reference: Side, group: Sequence[Side]) -> dict[str, Gain]:
    runs = [gains for side in group if (gains := gains_of(reference, side))]
    if len(runs) < 2:
        return {}
    label = f"{len(runs)} seeds together"
    common = sorted(set.intersection(*(set(each) for each in runs)))
    comparisons = {name: compare_seeds([{name: each[name]} for each in runs]) for name in common}
    verdicts = decide(comparisons) if comparisons else {}
    found = {
        name: Gain(label, None, None, each, verdicts[name].verdict, len(runs[0][name]), is_pooled=True)
        for name, each in comparisons.items()
    }
    if len(common) > 1:
        mean = compare_seeds([{name: each[name] for name in common} for each in runs])
        verdict = decide({MEAN: mean})[MEAN].verdict
        found[MEAN] = Gain(label, None, None, mean, verdict, max(map(len, runs[0].values())), is_pooled=True)
    return found
