"""The packaged judge's accuracy on held-out clips, measured when it was trained and kept beside its weights."""

from __future__ import annotations

import json

from rushes.sandbox.vqa.weights import packaged_judge

FILE_NAME = "accuracy.json"


def packaged_accuracy() -> tuple[tuple[str, int, int], ...]:
    """(dimension, questions answered right, questions asked); empty when it was never measured."""
    file = packaged_judge() / FILE_NAME
    if not file.exists():
        return ()
    rows: list[dict[str, str | int]] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return tuple((str(row["dimension"]), int(row["num_right"]), int(row["num_questions"])) for row in rows)
