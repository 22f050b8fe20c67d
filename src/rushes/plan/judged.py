"""How much judges say about some clips, in records: answers, values on scales (ratings) and preferences (votes)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.errors import RecipeError
from rushes.feedback import Gives, gives, has_position_bias, scales_of
from rushes.plan.kinds import Kind, ReplyKind
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.records import Prompt

REPLIES: Final[Mapping[Gives, ReplyKind]] = {"answers": "answers", "scores": "ratings", "preferences": "votes"}
"""What a judge of each kind leaves."""
QUESTIONS_PER_PROMPT: Final = 4
"""Approximate number of questions per prompt; the real number is known once they are written."""


@dataclass(frozen=True)
class Replies:
    """What judges will have said, in records."""

    nums: Mapping[ReplyKind, int]
    """How many of each kind; kinds without any are left out."""

    @property
    def units(self) -> dict[Kind, float]:
        """The same as work."""
        return {kind: float(num) for kind, num in self.nums.items()}

    def tables(self, prefix: str = "") -> dict[str, int]:
        """The same by table of the run, whose names begin with `prefix`."""
        return {f"{prefix}{kind}": num for kind, num in self.nums.items()}


def replies_to(prompts: Sequence[Prompt], spec: JudgeSpec, num_takes: int, num_models: int = 1) -> Counter[ReplyKind]:
    """Exactly how many records the judges add about takes of these prompts.

    Args:
        prompts: whose takes are judged.
        spec: the recipe's judges.
        num_takes: of each prompt, by each model.
        num_models: 2 for base and tuned.
    """
    found = Counter[ReplyKind]()
    for prompt in prompts:
        kind, num = _of_prompt(spec.of(prompt.dimension), len(prompt.questions), num_takes, num_models)
        found[kind] += num
    return found


def about_replies(
    num_prompts: float, dimensions: Sequence[str], spec: JudgeSpec, num_takes: int, num_models: int = 1
) -> Replies:
    """About how many records that will be, with prompts spread evenly over dimensions.

    Args:
        num_prompts: whose takes are judged, over all dimensions.
        dimensions: names of those that they may be of, at least one.
        spec, num_takes, num_models: see `replies_to`.
    """
    found = Counter[ReplyKind]()
    for dimension in dimensions:
        kind, num = _of_prompt(spec.of(dimension), QUESTIONS_PER_PROMPT, num_takes, num_models)
        found[kind] += num
    share = num_prompts / len(dimensions)
    return Replies({kind: math.ceil(num * share) for kind, num in found.items() if num * share})


def _of_prompt(spec: JudgeSpec, num_questions: int, num_takes: int, num_models: int) -> tuple[ReplyKind, int]:
    """What one judge says about all takes of a prompt; pairs are those of `rushes.judge.votes.pairs`."""
    try:
        judge = resolved(spec.judge, JUDGE)
        kind, scales = gives(judge), scales_of(judge)
    except RecipeError:  # the check before a run tells; most judges answer questions
        return "answers", num_questions * num_takes * num_models
    if kind == "answers":
        return "answers", num_questions * num_takes * num_models
    if kind == "scores":
        return "ratings", len(scales) * num_takes * num_models
    num_pairs = math.comb(num_takes, 2) if num_models == 1 else num_takes
    return "votes", num_pairs * (2 if has_position_bias(judge) else 1)
