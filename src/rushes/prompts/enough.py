"""Whether enough prompts are left to go on: told with the reason, before anything is generated for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from rushes.context import Context
from rushes.errors import UserError
from rushes.records import Prompt, Rejection


def require_prompts(
    context: Context,
    part: str,
    prompts: Sequence[Prompt],
    names: Collection[str],
    refused: Sequence[Rejection] = (),
) -> None:
    """Check that there is a prompt of at least one of some dimensions.

    Args:
        context: the run's context; it knows which prompts failed and why.
        part: what the prompts are for: "held-out".
        prompts: those that are left.
        names: the dimensions; none needs none.
        refused: the texts that the screen refused.

    Raises:
        UserError: there is none; with how many failed or were refused, and the commonest reason.
    """
    if not names or any(prompt.dimension in names for prompt in prompts):
        return
    raise UserError(
        f"no {part} prompt is left in {', '.join(sorted(names))}, so the run stops before it generates clips",
        expected="at least one prompt that was written, has its questions, and passes the screen",
        got="; ".join(filter(None, [context.run.shortfall.reasons("prompts"), _refused(refused, names)]))
        or "no prompt was written",
        next_step="correct what the reason names (the settings are under prompts), or leave these dimensions out "
        "(diagnose.dimensions, diagnose.focus); then run the same command again",
    )


def _refused(refused: Sequence[Rejection], names: Collection[str]) -> str:
    own = [each for each in refused if each.dimension in names]
    if not own:
        return ""
    reason, num = Counter(each.reason for each in own).most_common(1)[0]
    detail = next(each.detail for each in own if each.reason == reason)
    return f"the screen refused {len(own)}, {num} of them for {reason}: {detail}"
