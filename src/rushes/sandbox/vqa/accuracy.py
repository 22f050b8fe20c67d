"""The packaged judge's accuracy on held-out rendered clips, measured when it was trained and kept beside its weights.

The file is what `python -m rushes.sandbox.vqa.evaluate --json` prints.
"""

from __future__ import annotations

import json

from rushes.sandbox.vqa.weights import packaged_judge

FILE_NAME = "accuracy.json"


def packaged_accuracy() -> tuple[tuple[str, int, int], ...]:
    """(dimension, questions answered right, questions asked) on clean clips; empty when it was never measured."""
    file = packaged_judge() / FILE_NAME
    if not file.exists():
        return ()
    rows: dict[str, dict[str, float]] = json.loads(file.read_text(encoding="utf-8"))["clean"]["by_dimension"]
    return tuple(
        (name, round(row["share"] * row["num_questions"]), int(row["num_questions"])) for name, row in rows.items()
    )
