"""The card of an exported dataset: a header from which `datasets` and the Hub know its splits, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from rushes.export.card import markdown_environment
from rushes.export.columns import COLUMNS, TABLE, has_types
from rushes.export.snippet import PLACE
from rushes.records import RunHeader

SPLITS: Final[Mapping[str, str]] = {
    "train": "Of training prompts, and real videos.",
    "held_out": "Of the prompts on which the tuned model was compared with the base: never train on these.",
    "probe": "Of the untouched model, from which the run chose what to aim at.",
}
"""What each split holds, in the order of the card."""
LICENCE: Final = "# license: name it here before you publish; see below what it depends on\n"


@dataclass(frozen=True)
class _Split:
    name: str
    num_clips: int
    meaning: str


def render_dataset_card(name: str, num_clips: Mapping[str, int], header: RunHeader) -> str:
    """README.md: a YAML header, then Markdown.

    Args:
        name: of the run's recipe or folder; any text.
        num_clips: by split; only splits that exist.
        header: of the run.
    """
    splits = [_Split(split, num_clips[split], SPLITS[split]) for split in SPLITS if split in num_clips]
    front = yaml.safe_dump(front_matter([split.name for split in splits]), sort_keys=False)
    return (
        markdown_environment()
        .get_template("dataset.md.j2")
        .render(
            header=LICENCE + front,
            title=name,
            splits=splits,
            place=PLACE,
            has_types=has_types(),
            columns=COLUMNS,
            version=header.rushes_version,
            commit=header.commit,
        )
    )


def front_matter(splits: list[str]) -> dict[str, Any]:
    """The header: which files belong to which split."""
    ending = "parquet" if has_types() else "jsonl"
    files = [{"split": split, "path": [f"{split}/*.mp4", f"{split}/{TABLE}.{ending}"]} for split in splits]
    return {
        "task_categories": ["text-to-video"],
        "tags": ["rushes", "video"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
