"""Answers that people gave, from a CSV file: columns `clip`, `question`, `answer`, and optionally `rater`.

`clip` is the file name of the clip in its folder, or the beginning of its key in a run (12 characters or more);
`question` is the question as the judge reads it; `answer` is yes or no (also true, false, 1, 0).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.audit.cases import Case
from rushes.errors import InputError
from rushes.store.files import read_file

COLUMNS: Final = ("clip", "question", "answer")
"""Columns that a file of labels must have."""
_ANSWERS: Final = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False, "0": False}
_SHOWN: Final = 5


@dataclass(frozen=True)
class Labels:
    """Answers of people."""

    source: str
    """Name of the file."""
    yes: dict[tuple[str, str], bool]
    """(clip, question) to whether most of those who answered said yes."""
    problems: tuple[str, ...]
    """Rows that cannot be used, and questions on which people are evenly split: each with its place."""

    def of(self, case: Case, question: str) -> bool | None:
        """The answer of people to a question about a clip; None if they gave none."""
        return self.yes.get((case.name, _folded(question)))


def read_labels(path: Path, cases: Sequence[Case]) -> Labels:
    """Read a file of labels for the clips of an audit.

    Several rows of one clip and question count as several people: the majority decides; a tie gives no answer.

    Args:
        path: the CSV file, UTF-8, with a first line that names its columns.
        cases: the clips that may be labelled.

    Raises:
        InputError: the file cannot be read, lacks a column, or no row of it can be used.
    """
    rows = _rows(path)
    names = {case.name for case in cases}
    questions = {(case.name, _folded(question.text)) for case in cases for question in case.questions}
    votes: dict[tuple[str, str], list[bool]] = {}
    problems: list[str] = []
    for line, row in rows:
        found = _vote(row, names, questions)
        if isinstance(found, str):
            problems.append(f"{path.name} line {line}: {found}")
        else:
            votes.setdefault(found[0], []).append(found[1])
    if not votes:
        raise InputError(
            f"no row of {path} can be used",
            expected=f"columns {', '.join(COLUMNS)}, one row per answer, about clips of this audit",
            got=problems[:_SHOWN] or "no rows",
            next_step="correct the rows named, or get a file to fill in: the same command with --sheet FOLDER",
        )
    split = [key for key, said in votes.items() if 2 * sum(said) == len(said)]
    problems += [f"{path.name}: people are evenly split on {question!r} about {clip!r}" for clip, question in split]
    yes = {key: 2 * sum(said) > len(said) for key, said in votes.items() if key not in split}
    return Labels(path.name, yes, tuple(problems))


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = read_file(path).decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"cannot read the labels in {path}", got=error.strerror, next_step="name a CSV file"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}", next_step="save it as UTF-8 text") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        missing = [name for name in COLUMNS if name not in columns]
        if missing:
            raise InputError(
                f"{path} lacks {'the column' if len(missing) == 1 else 'columns'} {', '.join(missing)}",
                expected=f"a first line with {','.join(COLUMNS)}",
                got=columns[:10],
                next_step=f"write this as its first line: {','.join(COLUMNS)}",
            )
        reader.fieldnames = columns
        return [(reader.line_num, {k: (v or "") for k, v in row.items() if isinstance(k, str)}) for row in reader]
    except csv.Error as error:
        raise InputError(
            f"{path} is not valid CSV at line {reader.line_num}: {error}", next_step="correct or delete that line"
        ) from error


def _vote(row: dict[str, str], names: set[str], questions: set[tuple[str, str]]) -> tuple[tuple[str, str], bool] | str:
    """((clip, question), said yes), or what is wrong with the row."""
    clip, question, answer = (row[column].strip() for column in COLUMNS)
    name = clip if clip in names else clip[:12]
    if name not in names:
        return f"no clip of this audit is called {clip[:80]!r}"
    if answer.casefold() not in _ANSWERS:
        return f"the answer must be yes or no, got {answer[:40]!r}"
    key = (name, _folded(question))
    if key not in questions:
        return f"{clip[:80]!r} is not asked {question[:120]!r}"
    return key, _ANSWERS[answer.casefold()]


def _folded(question: str) -> str:
    return " ".join(question.casefold().split())
