"""Which prompts are worth full-length takes, by the scores of cheap draft takes. Pure functions of records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rushes.recipe.generate import DraftSpec
from rushes.records import DraftOutcome, Prompt, Score, Scored


def outcomes(prompts: Sequence[Prompt], scores: Sequence[Score], spec: DraftSpec) -> tuple[DraftOutcome, ...]:
    """The outcome of the drafts of each prompt, in order.

    A prompt without any scored draft is kept, since nothing is known against it. If a share below `min_kept` of the
    prompts would be kept, dropped prompts are added back, those nearest to the middle between `hopeless` and `solved`
    first.

    Args:
        prompts: the prompts of a round.
        scores: of their draft takes, as many as there are.
        spec: the limits.
    """
    values: dict[str, list[float]] = {prompt.key: [] for prompt in prompts}
    for score in scores:
        if isinstance(score.outcome, Scored):
            values[score.prompt_key].append(score.outcome.value)
    found = [_outcome(prompt, values[prompt.key], spec) for prompt in prompts]
    lacking = math.ceil(spec.min_kept * len(prompts)) - sum(each.is_kept for each in found)
    spare = _nearest({each.prompt_key: values[each.prompt_key] for each in found if not each.is_kept}, spec)
    again = set(spare[: max(0, lacking)])
    reason = f"kept anyway, so that {spec.min_kept:.0%} of the prompts are used"
    return tuple(
        each.model_copy(update={"is_kept": True, "reason": f"{each.reason}; {reason}"})
        if each.prompt_key in again
        else each
        for each in found
    )


def _outcome(prompt: Prompt, values: Sequence[float], spec: DraftSpec) -> DraftOutcome:
    best, worst = max(values, default=None), min(values, default=None)
    if best is None or worst is None:
        is_kept, reason = True, "no draft take has a score"
    elif best <= spec.hopeless:
        is_kept, reason = False, f"hopeless: the best of {len(values)} scores {best:.2f}"
    elif worst >= spec.solved:
        is_kept, reason = False, f"solved: the worst of {len(values)} scores {worst:.2f}"
    else:
        is_kept, reason = True, f"something to select: {worst:.2f} to {best:.2f} in {len(values)}"
    return DraftOutcome(
        prompt_key=prompt.key,
        dimension=prompt.dimension,
        num_scored=len(values),
        worst=worst,
        best=best,
        is_kept=is_kept,
        reason=reason,
    )


def _nearest(values: Mapping[str, Sequence[float]], spec: DraftSpec) -> list[str]:
    middle = (spec.hopeless + spec.solved) / 2
    return sorted(values, key=lambda key: (abs(sum(values[key]) / len(values[key]) - middle), key))
