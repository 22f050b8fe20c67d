"""Labels of people for the clips of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rushes.audit.cases import Case
from rushes.errors import InputError, command
from rushes.judge.labels import COLUMNS, LabelFile, folded, read_label_file


def read_labels(path: Path, cases: Sequence[Case]) -> LabelFile:
    """Read a file of labels, see `rushes.judge.labels`, about the clips of an audit.

    Raises:
        InputError: the file cannot be read, lacks a column, no row of it can be used, or it holds no answers.
    """
    names = {case.name for case in cases}
    questions = {(case.name, folded(question.text)) for case in cases for question in case.questions}
    found = read_label_file(path, names, questions)
    if found.kind != "answers":
        raise InputError(
            f"{path} holds {found.kind}, and the audit asks questions",
            expected=f"the columns {', '.join(COLUMNS['answers'])}",
            got=found.kind,
            next_step=f"compare them with what a run's judge said: {command('judge', 'people', 'HOME', path)}",
        )
    return found
