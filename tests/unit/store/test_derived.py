"""Files of derived records are written and read one record after the other, and older files still can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rushes.errors import FileCorrupt
from rushes.records import Rejection
from rushes.store.run import Run


def refused(text: str) -> Rejection:
    return Rejection(text=text, dimension="A", reason="r", detail="")


ODD = [refused(text) for text in ("a", "two\nlines", "]", 'quo"te', "\u2028 café")]


@pytest.mark.parametrize("records", [[], ODD[:1], ODD])
def test_what_is_written_is_read_again_and_is_json(run: Run, records: list[Rejection]) -> None:
    path = run.write_derived("refused", (each for each in records))
    assert run.read_derived("refused", Rejection) == records == list(run.each_derived("refused", Rejection))
    assert [each["text"] for each in json.loads(path.read_bytes())] == [each.text for each in records]
    assert path.read_bytes().count(b"\n") == (len(records) + 2 if records else 1)


def test_a_file_of_an_older_version_is_read(run: Run) -> None:
    path = run.write_derived("refused", [])
    old = json.dumps([each.model_dump(mode="json") for each in ODD], indent=1, ensure_ascii=False)
    path.write_text(f"{old}\n", encoding="utf-8")
    (path.parent / ".refused.json.sha256").unlink()
    assert run.read_derived("refused", Rejection) == ODD


def test_a_changed_file_gives_no_record(run: Run) -> None:
    path = run.write_derived("refused", ODD)
    path.write_bytes(path.read_bytes().replace(b"quo", b"kwo"))
    with pytest.raises(FileCorrupt):
        next(run.each_derived("refused", Rejection))


def test_what_was_deleted_or_never_written_gives_none(run: Run, tmp_path: Path) -> None:
    assert list(run.each_derived("refused", Rejection)) == [] and run.read_derived("refused", Rejection) is None
