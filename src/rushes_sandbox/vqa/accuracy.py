"""The packaged judge's accuracy on held-out rendered clips, measured after its training and stored with its weights.

The file is what `python -m lab.judge.evaluate --json` prints.
"""

from __future__ import annotations

import json
from typing import Literal

from rushes_sandbox.packaged import packaged_judge

FILE_NAME = "accuracy.json"


def packaged_accuracy(clips: Literal["clean", "broken"] = "clean") -> tuple[tuple[str, int, int], ...]:
    """(dimension, questions answered correctly, questions asked); empty if it was never measured.

    Args:
        clips: rendered as their scenes mean, or broken (things vanish, split, teleport) and distorted.
    """
    file = packaged_judge() / FILE_NAME
    if not file.exists():
        return ()
    rows: dict[str, dict[str, float]] = json.loads(file.read_text(encoding="utf-8"))[clips]["by_dimension"]
    return tuple(
        (name, round(row["share"] * row["num_questions"]), int(row["num_questions"])) for name, row in rows.items()
    )
