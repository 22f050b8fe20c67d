"""The table of an exported dataset: what its columns hold, and its file for `datasets`, in which they keep their types.

JSON has no type for a column without any value, so two splits of which one has no scores would not go together. Parquet
has, and pyarrow, which writes it, comes with `datasets`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

from rushes.store.files import write_atomic

if TYPE_CHECKING:
    import pyarrow

TABLE: Final = "metadata"
"""Name of a table, without its ending, where `datasets` looks for it."""


class AskedRow(TypedDict):
    """A question to the judge and its answer."""

    question: str
    expected: str
    p_yes: float | None
    unscored_reason: str | None


class RatedRow(TypedDict):
    """A judge's value on a scale of its own."""

    scale: str
    unit: str
    value: float | None
    unscored_reason: str | None


class VotedRow(TypedDict):
    """A judge's preference for this clip, which was shown first, over another take of its prompt."""

    other_clip_id: str
    p_preferred: float | None
    unscored_reason: str | None


class ClipRow(TypedDict):
    """A clip's row. Unknown values are null, never 0."""

    file_name: str
    caption: str
    base_caption: str
    dimension: str
    split: str
    origin: str
    generator: str
    prompt_id: str
    clip_id: str
    seed: int | None
    take: int
    num_frames: int
    fps: float
    width: int
    height: int
    score: float | None
    score_unit: str | None
    unscored_reason: str | None
    weight: float | None
    round: int | None
    sampler: str | None
    sha256: str
    answers: list[AskedRow]
    ratings: list[RatedRow]
    votes: list[VotedRow]


COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "file_name": ("string", "the clip; `datasets` makes it the column `video`"),
    "caption": ("string", "the prompt, or the caption of a real clip"),
    "base_caption": ("string", "the prompt before it was made longer; else the same"),
    "dimension": ("string", "the quality dimension that the prompt aims at"),
    "split": ("string", "`train`, `held_out` (never train on these), `probe`"),
    "origin": (
        "string",
        "`weakness`, `caption`, `held_out` or `probe`: why the prompt was written; `real`: no model made it",
    ),
    "generator": ("string", "fingerprint of the model that made the clip"),
    "prompt_id": ("string", "the prompt's key in the run"),
    "clip_id": ("string", "the clip's key in the run"),
    "seed": ("int64", "seed of the initial noise; null for a real clip"),
    "take": ("int64", "which clip of the prompt, from 0"),
    "num_frames": ("int64", "frames"),
    "fps": ("float64", "frames per second"),
    "width": ("int64", "pixels"),
    "height": ("int64", "pixels"),
    "score": ("float64", "the judge's, 0 to 1 or in `score_unit`; null if it gave none"),
    "score_unit": ("string", "unit of the score; null for 0 to 1"),
    "unscored_reason": ("string", "why it gave none"),
    "weight": ("float64", "weight in training; null if the clip was not trained on"),
    "round": ("int64", "the last round that trained on it, from 1"),
    "sampler": ("string", "the sampler's settings as JSON; null for a real clip"),
    "sha256": ("string", "hash of the frames as the run stores them"),
    "answers": ("list", "each question with the expected answer and the judge's probability of yes, 0 to 1"),
    "ratings": ("list", "the judge's value on each of its own scales, with the unit"),
    "votes": ("list", "the judge's probability, 0 to 1, that this clip, shown first, is better than another take"),
}
"""Type and meaning of each column of `ClipRow`."""
ANSWER_TYPES: Final = {"question": "string", "expected": "string", "p_yes": "float64", "unscored_reason": "string"}
"""Types of the fields of `AskedRow`."""
LIST_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "answers": ANSWER_TYPES,
    "ratings": {"scale": "string", "unit": "string", "value": "float64", "unscored_reason": "string"},
    "votes": {"other_clip_id": "string", "p_preferred": "float64", "unscored_reason": "string"},
}
"""Types of the fields of each list's rows, by column."""


def write_lines(folder: Path, rows: Sequence[ClipRow]) -> None:
    """Write `metadata.jsonl`, one row a line, for whatever reads JSON."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    write_atomic(folder / f"{TABLE}.jsonl", "".join(lines).encode())


def has_types() -> bool:
    """Whether pyarrow is installed, so that tables keep their types."""
    return find_spec("pyarrow") is not None


def write_split(folder: Path, rows: Sequence[ClipRow]) -> None:
    """Write the table of one split: `metadata.parquet`, or `metadata.jsonl` without pyarrow.

    Args:
        folder: the split's, which holds its clips.
        rows: file names as in `folder`.
    """
    if not has_types():
        write_lines(folder, rows)
        return
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=_schema()), folder / f"{TABLE}.parquet")


def _schema() -> pyarrow.Schema:
    import pyarrow

    rows = {
        column: pyarrow.list_(pyarrow.struct([(name, pyarrow.type_for_alias(kind)) for name, kind in types.items()]))
        for column, types in LIST_TYPES.items()
    }
    return pyarrow.schema(
        [(name, rows[name] if kind == "list" else pyarrow.type_for_alias(kind)) for name, (kind, _) in COLUMNS.items()]
    )
