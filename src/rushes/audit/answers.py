"""Ask the judge and store every answer in a file, so that an interrupted or larger audit reuses earlier answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.audit.cases import Asked
from rushes.execute.batch import batch_or_alone
from rushes.execute.work import MAX_TRIES
from rushes.judge.check import Checked, checked
from rushes.known_keys import hidden
from rushes.roles import Failed, GivenAnswer, Judge
from rushes.store.files import explained, make_folder
from rushes.store.identity import content_hash
from rushes.store.sums import closed, opened

FILE_NAME: Final = "answers.jsonl"


@dataclass(frozen=True)
class Given:
    """The judge's answers to one request, checked."""

    answers: tuple[Checked, ...]
    """One per question, in order."""
    is_from_before: bool
    """True when it was read from the file."""


class AnswerFile:
    """Answers of judges by request, line by line; a damaged line, or one cut off by a kill, is asked again."""

    def __init__(self, path: Path) -> None:
        """Read the stored answers.

        Raises:
            StoreError: the file cannot be read, or its folder cannot be made.
        """
        make_folder(path.parent)
        self._path = path
        self._known: dict[str, tuple[Checked, ...]] = {}
        with explained(path):
            data = path.read_bytes() if path.exists() else b""
        for line in data.split(b"\n"):
            entry = _entry(line)
            if entry is not None:
                self._known[entry[0]] = entry[1]
        self._needs_newline = bool(data) and not data.endswith(b"\n")

    def get(self, key: str) -> tuple[Checked, ...] | None:
        """The stored answers to a request; None if there are none."""
        return self._known.get(key)

    def add(self, entries: Sequence[tuple[str, tuple[Checked, ...]]]) -> None:
        """Store answers; they are on disk when this returns.

        Raises:
            StoreError: disk full, read-only.
        """
        if not entries:
            return
        lines = [
            closed({"key": key, "answers": [[each.p_yes, _shown(each.unscored_reason)] for each in answers]}) + b"\n"
            for key, answers in entries
        ]
        with explained(self._path), self._path.open("ab") as file:
            file.write((b"\n" if self._needs_newline else b"") + b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        self._needs_newline = False
        self._known.update(entries)


def _shown(reason: str | None) -> str | None:
    return None if reason is None else hidden(reason)


def _entry(line: bytes) -> tuple[str, tuple[Checked, ...]] | None:
    value = opened(line, ("key", "answers"))
    if value is None:
        return None
    try:
        key, answers = value["key"], value["answers"]
        given = [GivenAnswer(p_yes, reason) for p_yes, reason in answers]
    except (ValueError, TypeError):
        return None
    found = checked(given, len(given))
    is_whole = all(
        (each.p_yes, each.unscored_reason) == (own.p_yes, own.unscored_reason)
        for each, own in zip(found, given, strict=True)
    )
    return (key, found) if isinstance(key, str) and is_whole else None


def request_key(judge: object, asked: Asked) -> str:
    """Key of a request in the file: 64 hex digits.

    A changed clip is identified by its original and the change, because encoders do not always give the same pixels.

    Args:
        judge: JSON value that identifies this judge, its weights included.
        asked: the request.
    """
    request = asked.request
    questions = [[question.text, question.expected] for question in request.questions]
    return content_hash(["audit", judge, asked.made_from, list(asked.made_by), request.text, questions])


def ask_all(judge: Judge, identity: object, asked: Sequence[Asked], file: AnswerFile) -> list[Given]:
    """The judge's answers to each request, in order; requests already in the file are not asked.

    A request on which the judge fails is asked again, three times in all; then it is left unscored with the reason, and
    the next audit asks it again.

    Raises:
        UserError, Stopped: raised by the judge; StoreError: an answer cannot be stored.
    """
    keys = [request_key(identity, each) for each in asked]
    before = {key: known for key in keys if (known := file.get(key)) is not None}
    missing = [(key, each.request) for key, each in zip(keys, asked, strict=True) if key not in before]
    todo = dict(missing)
    now: dict[str, tuple[Checked, ...]] = {}
    for _ in range(MAX_TRIES):
        given = dict(zip(todo, batch_or_alone(judge.answer, list(todo.values())) if todo else [], strict=True))
        for key, outcome in given.items():
            num = len(todo[key].questions)
            now[key] = _lost(outcome, num) if isinstance(outcome, Failed) else checked(outcome, num)
        file.add([(key, now[key]) for key, outcome in given.items() if not isinstance(outcome, Failed)])
        ends = [each.ends for each in given.values() if isinstance(each, Failed) and each.ends is not None]
        if ends:
            raise ends[0]
        todo = {key: request for key, request in todo.items() if isinstance(given[key], Failed)}
    return [Given(before[key], True) if key in before else Given(now[key], False) for key in keys]


def _lost(failed: Failed, num_questions: int) -> tuple[Checked, ...]:
    return (Checked(None, f"the judge failed: {failed.error_type}: {failed.message}"[:500]),) * num_questions
