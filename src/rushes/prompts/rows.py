"""Reading user-written values of a metadata file: each is either usable, or a `BadRow` with its problem."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal

from rushes.records import Question
from rushes.store.spreadsheet import plain_names

_SHOWN: Final = 60


class BadRow(ValueError):
    """A row that cannot be used; `reason` is a tag, the message describes the problem."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """broken_row, missing_file_name, missing_caption, caption_too_long, bad_questions, ..."""


def shown(value: object) -> str:
    """repr() of a value, short enough for a table."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]}...{text[-1]}"


def parse_line(line: bytes) -> Mapping[str, Any]:
    """One line of a JSON Lines file.

    Raises:
        BadRow: not UTF-8, not JSON, not an object, or one that says something twice: which is meant, nobody knows.
    """
    try:
        value = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_no_repeats)
    except BadRow:
        raise
    except UnicodeDecodeError as error:
        raise BadRow("broken_row", f"not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise BadRow("broken_row", f"not JSON: {str(error)[:_SHOWN]}") from None
    if not isinstance(value, dict):
        raise BadRow("broken_row", f"expected an object in braces, got {shown(value)}")
    return dict(zip(plain_names(list(value)), value.values(), strict=True))


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = next((name for name, num in Counter(name for name, _ in pairs).items() if num > 1), None)
    if twice is not None:
        raise BadRow("broken_row", f"{shown(twice)} is in one object more than once")
    return dict(pairs)


def text_of(row: Mapping[str, Any], columns: tuple[str, ...], reason: str) -> str:
    """The text in the first of `columns` that the row has.

    Raises:
        BadRow: none of them is present, it is not text, it is blank, or it holds invalid characters.
    """
    value = next((row[column] for column in columns if row.get(column) is not None), None)
    if not isinstance(value, str) or not value.strip():
        raise BadRow(reason, f"expected text in {' or '.join(map(repr, columns))}, got {shown(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow("broken_row", f"{shown(value)} is not UTF-8: save the table as UTF-8") from None
    return value


def questions_of(value: object, dimension: str) -> tuple[Question, ...]:
    """The questions of a row.

    Args:
        value: `{"is it red?": "yes", ...}`, or a list of objects with `text`, `expected` and optionally `about`; the
            same as JSON text (in a CSV cell); None or an empty text for none.
        dimension: quality dimension that they belong to.

    Raises:
        BadRow: any other value.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value, object_pairs_hook=_no_repeats)
        except BadRow as error:
            raise BadRow("bad_questions", str(error)) from None
        except (ValueError, RecursionError):
            raise BadRow("bad_questions", f"the questions are not JSON: {shown(value)}") from None
    if value is None or value == "" or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, Mapping):
        return tuple(_question(text, expected, "user", dimension) for text, expected in value.items())
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return tuple(_question(q.get("text"), q.get("expected"), q.get("about", "user"), dimension) for q in value)
    raise BadRow("bad_questions", f"expected questions with their answers, got {shown(value)}")


def _question(text: object, expected: object, about: object, dimension: str) -> Question:
    answers: dict[object, Literal["yes", "no"]] = {"yes": "yes", "no": "no", True: "yes", False: "no"}
    if not isinstance(text, str) or not text.strip() or not isinstance(about, str) or not about.strip():
        raise BadRow("bad_questions", f"expected a question, got {shown(text)}")
    if not isinstance(expected, str | bool) or expected not in answers:
        raise BadRow("bad_questions", f"expected the answer 'yes' or 'no' to {shown(text)}, got {shown(expected)}")
    return Question(text=text.strip(), expected=answers[expected], dimension=dimension, about=about.strip())
