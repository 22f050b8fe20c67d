"""Whether the training judge became more lenient than the measurer: on the same questions, before and after. Pure.

A model that learns to please its judge makes clips that the judge calls right and the measurer calls wrong. The share
of such questions says so even where both see a gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rushes.measure.pairs import Pair
from rushes.records import Leniency, Measurement, Score, Scored
from rushes.records.derived import FEWEST_PROMPTS
from rushes.statistics.bootstrap import cluster_means, mean_of
from rushes.statistics.comparison import compare_gains, paired_gains
from rushes.statistics.resampling import Resampling

MAX_RISE: Final = 0.05
"""Share of the questions by which a judge may become more lenient before the scorecard warns."""
EVEN: Final = 0.5
"""Probability from which an answer, and value from which a part, counts as right."""


def leniency(
    pairs: Sequence[Pair], judged: Mapping[str, Score], clusters: Mapping[str, str], how: Resampling
) -> Leniency | None:
    """How lenient the judge is on both models' clips of one dimension.

    A question counts where both the judge's score and the measurement have a part of its name; prompts count alike.

    Args:
        pairs: of one dimension.
        judged: the judge's score of each clip, by its key.
        clusters: key of each prompt -> what is resampled as one.
        how: resamples, seed, confidence.

    Returns:
        None with fewer than two prompts whose clips have such questions on both sides.
    """
    before, after, names = list[float](), list[float](), list[str]()
    for pair in pairs:
        sides = [_share(each, judged) for each in (pair.before, pair.after)]
        if sides[0] is not None and sides[1] is not None:
            before.append(sides[0])
            after.append(sides[1])
            names.append(clusters[pair.prompt_key])
    if len(set(names)) < 2:
        return None
    rises = paired_gains(before, after, names)
    rise = compare_gains({"rise": rises}, how).gain
    return Leniency(
        before=mean_of(cluster_means(before, names)),
        after=mean_of(cluster_means(after, names)),
        rise_low=rise.low,
        rise_high=rise.high,
        num_prompts=len(rises),
    )


def became_lenient(found: Leniency | None) -> bool:
    """True where the judge's leniency rose by `MAX_RISE` or more, in prompts enough for a warning.

    It goes by the size of the rise, whatever its interval: a warning too many costs a look at the clips.
    """
    if found is None or found.num_prompts < FEWEST_PROMPTS:
        return False
    return found.after - found.before >= MAX_RISE


def _share(measurement: Measurement, judged: Mapping[str, Score]) -> float | None:
    """Share of the questions about a single clip that only the judge says it gets right; None without questions."""
    if len(measurement.subject) != 1 or measurement.subject[0] not in judged:
        return None
    judge, measurer = judged[measurement.subject[0]].outcome, measurement.outcome
    if not isinstance(judge, Scored) or not isinstance(measurer, Scored):
        return None
    by_judge = {part.name: part.value >= EVEN for part in judge.parts}
    both = [(by_judge[part.name], part.value >= EVEN) for part in measurer.parts if part.name in by_judge]
    return sum(passed and not right for passed, right in both) / len(both) if both else None
