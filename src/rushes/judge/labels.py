"""What people say about clips, from a CSV file: answers to questions, scores, or preferences between two clips.

| what | columns |
|---|---|
| answers | `clip`, `question`, `answer`: yes or no (also true, false, 1, 0) |
| scores | `clip`, `score`: any number, higher is better |
| preferences | `clip`, `other`, `preferred`: first (the clip), second (the other one) or tie |

and in each optionally `rater`, who said it; other columns are ignored. A clip is named by its file name in a folder, or
by its key in a run, of which the first 12 characters are enough. Commas, semicolons, tabs or bars; UTF-8 or UTF-16.

Several people are aggregated by one rule for each kind: the majority of answers, where an even split is no answer; the
mean of scores; and the share of people who prefer the first clip, a tie counting half. Rows without a `rater` count as
a person each. What a named rater says a second time about the same thing does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Final

from rushes.errors import InputError
from rushes.feedback import KINDS, Gives
from rushes.store.files import read_file
from rushes.store.spreadsheet import NotText, Spreadsheet, TableRow, as_utf8, read_spreadsheet

COLUMNS: Final[Mapping[Gives, tuple[str, ...]]] = {
    "answers": ("clip", "question", "answer"),
    "scores": ("clip", "score"),
    "preferences": ("clip", "other", "preferred"),
}
"""Columns that a file of each kind must have."""
KEY_DIGITS: Final = 12
"""Characters of a clip's key that name it."""
LARGEST_SCORE: Final = 1e12
"""Largest score, either side of 0, that a person can have meant."""
_SHOWN: Final = 5
_ANSWERS: Final = {"yes": 1.0, "y": 1.0, "true": 1.0, "1": 1.0, "no": 0.0, "n": 0.0, "false": 0.0, "0": 0.0}
_PREFERRED: Final = {
    **dict.fromkeys(("first", "left", "clip", "1"), 1.0),
    **dict.fromkeys(("second", "right", "other", "2"), 0.0),
    **dict.fromkeys(("tie", "same", "none", "equal", "0"), 0.5),
}

Item = tuple[str, str]
"""What a label is about: (clip, question as `folded`), (clip, ""), or the two clips in order of their names."""


@dataclass(frozen=True)
class LabelFile:
    """The labels of one file."""

    source: str
    """Name of the file."""
    kind: Gives
    """What its rows hold."""
    said: Mapping[Item, tuple[tuple[str, float], ...]]
    """By item: (rater, value) of each person. 1 is yes and 0 no; a score; 1 prefers the first clip, 0.5 neither."""
    problems: tuple[str, ...] = field(default=())
    """Rows that cannot be used, and questions on which people are evenly split: each with its place."""

    def value(self, item: Item) -> float | None:
        """What people say together, by the rule of the kind; None if they say nothing or are evenly split."""
        values = [value for _, value in self.said.get(item, ())]
        if not values:
            return None
        mean = fmean(values)
        if self.kind != "answers":
            return mean
        return None if mean == 0.5 else float(mean > 0.5)

    def answer(self, clip: str, question: str) -> bool | None:
        """The answer of most people to a question about a clip; None if there is none, or they are evenly split."""
        found = self.value((clip, folded(question))) if self.kind == "answers" else None
        return None if found is None else bool(found)

    def p_first(self, first: str, second: str) -> float | None:
        """The share of people who prefer the first of two clips, a tie counting half; None if nobody compared them."""
        mean = self.value((min(first, second), max(first, second)))
        return mean if mean is None or first <= second else 1.0 - mean


def folded(question: str) -> str:
    """A question without what people change when they copy it: case, and how many spaces stand between words."""
    return " ".join(question.casefold().split())


def key_name(clip: str) -> str:
    """The name of a clip of a run: the beginning of its key."""
    return clip[:KEY_DIGITS]


def read_label_file(
    path: Path, names: Collection[str] | None = None, questions: Collection[Item] | None = None
) -> LabelFile:
    """Read a file of labels. Every row that cannot be used is told.

    Args:
        path: the file.
        names: the clips that may be labelled; None for any clips of runs.
        questions: (clip, folded question) of all questions that may be answered; None for any.

    Raises:
        InputError: the file cannot be read, lacks columns, or no row of it can be used.
    """
    kind, rows = _opened(path)
    said: dict[Item, dict[str, float]] = {}
    first_line: dict[tuple[Item, str], int] = {}
    problems: list[str] = []
    for row in rows:
        found = row.problem or _label(row.cells, kind, names, questions)
        rater = row.cells.get("rater", "").strip()
        if not isinstance(found, str) and rater and (found[0], rater) in first_line:
            found = f"{rater[:40]!r} has said this on line {first_line[found[0], rater]}, and the first one counts"
        if isinstance(found, str):
            problems.append(f"{path.name} line {row.line}: {found}")
            continue
        item, value = found
        first_line[item, rater] = row.line
        said.setdefault(item, {})[rater or f"line {row.line}"] = value
    if not said:
        raise InputError(
            f"no row of {path} can be used",
            expected=f"columns {', '.join(COLUMNS[kind])}, and rows about clips that are there",
            got=problems[:_SHOWN] or "no rows",
            next_step="correct the rows named, or write the file again with: rushes judge audit HOME --sheet FOLDER",
        )
    made = LabelFile(path.name, kind, {item: tuple(each.items()) for item, each in said.items()}, tuple(problems))
    split = [f"{path.name}: people are evenly split on {item[1]!r} about {item[0]!r}" for item in _split(made)]
    return LabelFile(made.source, made.kind, made.said, (*made.problems, *split))


def _split(labels: LabelFile) -> Iterable[Item]:
    return (item for item in labels.said if labels.kind == "answers" and labels.value(item) is None)


def _opened(path: Path) -> tuple[Gives, Iterable[TableRow]]:
    try:
        data = as_utf8(read_file(path))
    except OSError as error:
        raise InputError(
            f"cannot read the labels in {path}", got=error.strerror, next_step="name a CSV file"
        ) from error
    except NotText as error:
        raise InputError(f"{path} {error}", next_step="save it as UTF-8 text") from error
    tables = [(kind, read_spreadsheet(data, _has(COLUMNS[kind]))) for kind in KINDS]
    fitting = [(kind, table) for kind, table in tables if table.rows is not None]
    if len(fitting) != 1:
        raise _other_columns(path, tables[0][1] if not fitting else fitting[0][1], [kind for kind, _ in fitting])
    ((kind, table),) = fitting
    return kind, table.rows or ()


def _has(wanted: Collection[str]) -> Callable[[Collection[str]], bool]:
    return lambda names: all(name in names for name in wanted)


def _other_columns(path: Path, table: Spreadsheet, kinds: Collection[Gives]) -> InputError:
    """The error of a file whose columns are those of no kind, or of several."""
    ways = "; ".join(f"{','.join(columns)} for {kind}" for kind, columns in COLUMNS.items())
    if kinds:
        problem = f"{path} has the columns of {' and of '.join(kinds)}: one file holds one kind"
        step = "keep the columns of one of them"
    else:
        near = max(COLUMNS.values(), key=lambda wanted: len(set(wanted) & set(table.columns)))
        missing = [name for name in near if name not in table.columns]
        problem = f"{path} lacks {'the column' if len(missing) == 1 else 'columns'} {', '.join(missing)}"
        step = f"write this as its first line: {','.join(near)}"
    return InputError(
        problem,
        expected=f"a first line with {ways}",
        got=list(table.columns[:10]),
        next_step=step,
    )


def _label(
    cells: Mapping[str, str], kind: Gives, names: Collection[str] | None, questions: Collection[Item] | None
) -> tuple[Item, float] | str:
    """What a row is about and says, or what is wrong with it."""
    given = {name: cells.get(name, "").strip() for name in COLUMNS[kind]}
    if any(not _is_text(each) for each in given.values()):
        return "it is not UTF-8: save the file as UTF-8 text"
    clip = _name(given["clip"], names)
    if clip is None:
        return f"there is no clip called {given['clip'][:80]!r}"
    match kind:
        case "answers":
            return _answer(clip, given["question"], given["answer"], questions)
        case "scores":
            value = _number(given["score"])
            return ((clip, ""), value) if isinstance(value, float) else value
    other, said = _name(given["other"], names), given["preferred"].casefold()
    if other is None:
        return f"there is no clip called {given['other'][:80]!r}"
    if other == clip:
        return f"{given['clip'][:80]!r} is compared with itself"
    if said not in _PREFERRED:
        return f"preferred must be first, second or tie, got {given['preferred'][:40]!r}"
    p = _PREFERRED[said]
    return (min(clip, other), max(clip, other)), p if clip < other else 1.0 - p


def _answer(clip: str, question: str, answer: str, questions: Collection[Item] | None) -> tuple[Item, float] | str:
    if answer.casefold() not in _ANSWERS:
        return f"the answer must be yes or no, got {answer[:40]!r}"
    item = clip, folded(question)
    if questions is not None and item not in questions:
        return f"{clip[:80]!r} is not asked {question[:120]!r}"
    return item, _ANSWERS[answer.casefold()]


def _number(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > LARGEST_SCORE:
        hint = ", with a point in place of the comma" if "," in text else ""
        return f"the score must be a number between -{LARGEST_SCORE:g} and {LARGEST_SCORE:g}{hint}, got {text[:40]!r}"
    return value


def _name(written: str, names: Collection[str] | None) -> str | None:
    """The clip that is meant; None if there is none."""
    if names is None:
        return key_name(written) or None
    name = written if written in names else key_name(written)
    return name if name in names else None


def _is_text(cell: str) -> bool:
    """False for bytes that were not UTF-8."""
    try:
        cell.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
