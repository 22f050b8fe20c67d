"""Labels of people for the clips of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rushes.audit.cases import Case
from rushes.judge.labels import LabelFile, folded, read_label_file


def read_labels(path: Path, cases: Sequence[Case]) -> LabelFile:
    """Read a file of labels, see `rushes.judge.labels`, about the clips of an audit.

    Raises:
        InputError: the file cannot be read, lacks a column, or no row of it can be used.
    """
    names = {case.name for case in cases}
    questions = {(case.name, folded(question.text)) for case in cases for question in case.questions}
    return read_label_file(path, names, questions)
