"""The packaged judge's accuracy table: what is kept beside the weights, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rushes_sandbox.vqa import accuracy


def test_the_packaged_table_has_every_dimension_with_counts() -> None:
    rows = accuracy.packaged_accuracy()
    assert len(rows) >= 8
    for name, num_right, num_questions in rows:
        assert name and 0 <= num_right <= num_questions and num_questions > 0


def test_broken_clips_are_asked_about_in_the_same_dimensions_and_are_harder() -> None:
    clean, broken = accuracy.packaged_accuracy(), accuracy.packaged_accuracy("broken")
    assert [name for name, *_ in broken] == [name for name, *_ in clean]
    shares = [sum(right for _, right, _ in rows) / sum(asked for *_, asked in rows) for rows in (clean, broken)]
    assert 0.5 < shares[1] < shares[0] <= 1


def test_shares_become_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"share": 0.875, "num_questions": 40}
    table = {"clean": {"by_dimension": {"Composition": row}}, "distorted": {"by_dimension": {}}}
    (tmp_path / accuracy.FILE_NAME).write_text(json.dumps(table))
    monkeypatch.setattr(accuracy, "packaged_judge", lambda: tmp_path)
    assert accuracy.packaged_accuracy() == (("Composition", 35, 40),)


def test_a_judge_that_was_never_measured_has_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "packaged_judge", lambda: tmp_path)
    assert accuracy.packaged_accuracy() == ()
