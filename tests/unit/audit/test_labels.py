"""Labels of people: every bad row named, an even split left out, and the sheet that people fill in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from rushes.audit.labels import read_labels
from rushes.audit.sheet import write_sheet
from rushes.errors import InputError
from rushes.store.video import read_video
from tests.support.audited import make_cases, sees

CASES = make_cases(3)


def write(path: Path, *rows: str, head: str = "clip,question,answer") -> Path:
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def test_labels_are_read_and_bad_rows_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "labels.csv",
        "clip_00.mp4,is it red?,yes",
        "clip_00.mp4,  Does it get   BRIGHTER? ,TRUE",
        "clip_00.mp4,is it red?,maybe",
        "clip_77.mp4,is it red?,yes",
        "clip_00.mp4,is it cheese?,no",
        "clip_01.mp4,is it green?",
        "clip_01.mp4,is it green?,0",
    )
    labels = read_labels(path, CASES)
    assert labels.answer(CASES[0].name, "is it red?") is True
    assert labels.answer(CASES[0].name, "does it get brighter?") is True
    assert labels.answer(CASES[1].name, "is it green?") is False
    assert labels.answer(CASES[2].name, "is it blue?") is None
    told = "\n".join(labels.problems)
    for words in (
        "line 4: the answer must be yes or no, got 'maybe'",
        "line 5: there is no clip",
        "line 6: 'clip_00.mp4' is not",
    ):
        assert words in told
    assert "line 7: the answer must be yes or no, got ''" in told and len(labels.problems) == 4


def test_most_people_decide_and_an_even_split_does_not(tmp_path: Path) -> None:
    rows = [f"clip_00.mp4,is it red?,{answer},{rater}" for rater, answer in enumerate(("yes", "no", "yes"))]
    rows += [f"clip_01.mp4,is it green?,{answer},{rater}" for rater, answer in enumerate(("yes", "no"))]
    labels = read_labels(write(tmp_path / "l.csv", *rows, head="clip,question,answer,rater"), CASES)
    assert labels.answer(CASES[0].name, "is it red?") is True
    assert labels.answer(CASES[1].name, "is it green?") is None
    assert "evenly split on 'is it green?' about 'clip_01.mp4'" in labels.problems[0]


def test_the_beginning_of_a_clips_key_names_it(tmp_path: Path) -> None:
    from dataclasses import replace

    case = replace(CASES[0], name="0123456789ab")
    labels = read_labels(write(tmp_path / "l.csv", f"{'0123456789ab' + 'c' * 52},is it red?,no"), [case])
    assert labels.answer(case.name, "is it red?") is False


def test_a_clip_has_no_answers_of_another_one_whose_name_begins_the_same(tmp_path: Path) -> None:
    from dataclasses import replace

    cases = [replace(CASES[0], name=name) for name in ("0123456789ab", "0123456789abc.mp4")]
    labels = read_labels(write(tmp_path / "l.csv", "0123456789ab,is it red?,no"), cases)
    assert [labels.answer(case.name, "is it red?") for case in cases] == [False, None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"clip,answer\nclip_00.mp4,yes\n", "lacks the column question"),
        (b"", "lacks columns"),
        (b"clip,question,answer\n", "no row"),
        (b"clip,question,answer\nclip_00.mp4,is it red?,perhaps\n", "perhaps"),
        (b"clip,question,answer\nclip_00.mp4,\xff,yes\n", "not UTF-8"),
        (b'clip,question,answer\n"clip_00.mp4,is it red?,yes\n', "not valid CSV"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as told:
        read_labels(path, CASES)
    assert words in str(told.value)


def test_scores_and_preferences_are_for_another_command(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "clip_00.mp4,3", head="clip,score")
    with pytest.raises(InputError, match="holds scores, and the audit asks questions") as told:
        read_labels(path, CASES)
    assert f"rushes judge people HOME {path}" in str(told.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_labels(tmp_path / "none.csv", CASES)


def test_a_sheet_can_be_filled_in_and_read_back(tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "sheet", CASES)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert len(rows) == 12 and {row["answer"] for row in rows} == {""}
    assert "yes" not in {row["answer"] for row in rows}, "people must not be led"
    video = read_video(tmp_path / "sheet" / rows[0]["video"])
    assert video.frames_THWC.shape == (9, 256, 256, 3)
    by_name = {case.name: case for case in CASES}
    for row in rows:
        row["answer"] = "yes" if sees(by_name[row["clip"]].load(), row["question"]) else "no"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    labels = read_labels(path, CASES)
    assert not labels.problems
    assert all(labels.answer(case.name, q.text) is (q.expected == "yes") for case in CASES for q in case.questions)
    with pytest.raises(InputError, match="already exists"):
        write_sheet(tmp_path / "sheet", CASES)
