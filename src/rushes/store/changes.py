"""Two recipes compared: which settings differ, and which stages must run again because of them."""

from __future__ import annotations

from typing import Final

STAGES: Final = ("diagnose", "prompts", "generate", "judge", "weigh", "train", "measure", "report")
"""The stages in the order of the pipeline; each reads the results of those before it."""

_FIRST_STAGE: Final[dict[str, str | None]] = {
    "name": "report",
    "runtime": None,
    "budget": None,
    "seed": "diagnose",
    "num_rounds": "prompts",
    "base": "diagnose",
    "shape": "diagnose",
    "diagnose": "diagnose",
    "prompts": "prompts",
    "generate": "generate",
    "judge": "judge",
    "judge.aggregate": "weigh",
    "judge.combine": "weigh",
    "judge.scales": "weigh",
    "judge.max_unscored": "train",
    "weights": "weigh",
    "weights.min_effective": "report",
    "train": "train",
    "watch": "prompts",
    "watch.every": "train",
    "watch.num_takes": "train",
    "watch.keep": "train",
    "watch.stop_after": "train",
    "watch.judge_rise": "train",
    "watch.max_diversity_loss": "train",
    "watch.max_motion_loss": "train",
    "watch.max_norm_rise": "train",
    "measure": "measure",
    "measure.num_bootstrap": "report",
}
"""The first stage that reads a setting, by path; the longest matching prefix counts. None: no stage reads it."""


def stage_of_path(path: str) -> tuple[str, ...]:
    """The stages that must run again after a change of one setting, in order; empty for runtime settings.

    For display only: work keys decide what really runs again, which may be less.

    Args:
        path: a dotted path: "judge.aggregate".

    Raises:
        ValueError: no such section.
    """
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        known = ".".join(steps[:length])
        if known in _FIRST_STAGE:
            first = _FIRST_STAGE[known]
            return () if first is None else STAGES[STAGES.index(first) :]
    raise ValueError(f"expected a path that begins with a section of the recipe, got {path!r}")
