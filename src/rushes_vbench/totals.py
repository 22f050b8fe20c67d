"""Categories and the total of the benchmark, from the scores of dimensions. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rushes.statistics.bootstrap import DEFAULT, SCORE_BOUNDS, Means, cluster_means, mean_interval
from rushes.statistics.resampling import Estimate, Resampling
from rushes_vbench.catalogue import by_category, facts, share_of_total
from rushes_vbench.values import ModelValues


def official_totals(means: Mapping[str, float]) -> dict[str, float]:
    """Category scores and the total as the official script computes them: a dimension that is missing counts as 0.

    Args:
        means: per exact identifier, the score, 0 to 1.

    Returns:
        The five categories in the benchmark's order, then "Total".
    """
    found = {
        category: math.fsum(means.get(name, 0.0) for name in names) / len(names)
        for category, names in by_category().items()
    }
    return {**found, "Total": math.fsum(found.values()) / len(found)}


def sum_intervals(values: ModelValues, how: Resampling = DEFAULT) -> dict[str, Estimate]:
    """One model's categories and total with their intervals, of those whose dimensions all have two prompts or more.

    Means are over prompts, and the dimension's clips without a value are left out, so they can differ a little from the
    official ones, which are over clips.

    Args:
        values: of one model.
        how: resamples, seed, confidence.
    """
    means: dict[str, Means] = {}
    for name, found in values.dimensions.items():
        scored = [(each.prompt, each.value) for each in found.values if each.value is not None]
        if len({prompt for prompt, _ in scored}) > 1:
            means[name] = cluster_means([value for _, value in scored], [prompt for prompt, _ in scored])
    return {
        name: mean_interval({each: means[each] for each in shares}, how, shares=shares, bounds=SCORE_BOUNDS)
        for name, shares in shares_of(means).items()
    }


def shares_of(measured: Iterable[str]) -> dict[str, dict[str, float]]:
    """Weights of the dimensions in every category, and in the total, whose dimensions are all there."""
    measured = set(measured)
    shares = {
        category: dict.fromkeys(names, 1.0 / len(names))
        for category, names in by_category().items()
        if measured.issuperset(names)
    }
    if measured.issuperset(facts()):
        shares["Total"] = {name: share_of_total(name) for name in facts()}
    return shares
