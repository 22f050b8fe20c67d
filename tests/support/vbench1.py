"""Result files of VBench-1, as its official evaluator writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME = "results_2026-01-31-12:00:00_eval_results.json"


def rows(values: Sequence[float | bool], dimension: str = "color", num_samples: int = 5) -> list[dict[str, Any]]:
    """One row per value: so many clips of each of the prompts "a red bus 0", "a red bus 1", ..."""
    return [
        {"video_path": f"./m/{dimension}/a red bus {i // num_samples}-{i % num_samples}.mp4", "video_results": value}
        for i, value in enumerate(values)
    ]


def write_results(folder: Path, content: Mapping[str, Any], name: str = NAME) -> Path:
    """A folder with one result file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder
