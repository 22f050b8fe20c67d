"""Labels of people: three kinds of files, several people for each item, and every row that cannot be used is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.errors import InputError
from rushes.judge.labels import LabelFile, read_label_file

NAMES = {"a.mp4", "b.mp4", "c.mp4", "0123456789ab"}


def read(tmp_path: Path, text: str | bytes, names: set[str] | None = NAMES) -> LabelFile:
    path = tmp_path / "l.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_label_file(path, names)


def test_scores_of_several_people_are_averaged(tmp_path: Path) -> None:
    found = read(tmp_path, "clip,score,rater\na.mp4,4,ann\na.mp4,1,bob\na.mp4, 1 ,\nb.mp4,-2.5,ann\n")
    assert found.kind == "scores" and not found.problems
    assert found.value(("a.mp4", "")) == 2.0 and found.value(("b.mp4", "")) == -2.5
    assert found.value(("c.mp4", "")) is None


def test_a_preference_is_the_same_from_either_side_and_a_tie_counts_half(tmp_path: Path) -> None:
    rows = "a.mp4,b.mp4,first,ann\nb.mp4,a.mp4,LEFT,bob\na.mp4,b.mp4,tie,cat\nb.mp4,a.mp4,second,dan\n"
    found = read(tmp_path, "clip,other,preferred,rater\n" + rows)
    assert found.kind == "preferences" and not found.problems
    assert found.p_first("a.mp4", "b.mp4") == pytest.approx(2.5 / 4)
    assert found.p_first("b.mp4", "a.mp4") == pytest.approx(1.5 / 4)
    assert found.p_first("a.mp4", "c.mp4") is None


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_tables_as_spreadsheets_write_them(tmp_path: Path, mark: str, encoding: str) -> None:
    text = f"Score{mark} Clip \r\n3.5{mark}a.mp4\r\n\r\n"
    assert read(tmp_path, text.encode(encoding)).value(("a.mp4", "")) == 3.5


def test_every_row_that_cannot_be_used_is_told_with_its_line(tmp_path: Path) -> None:
    rows = [
        b"a.mp4,1,ann", b"a.mp4,1,ann", b"z.mp4,1,ann", b"b.mp4,good,", b"b.mp4,nan,", b"b.mp4,1e999,", b"b.mp4,1e13,",
        b'b.mp4,"3,5",', b"b.mp4,,", b",1,", b"b.mp4,\xff,", b"b.mp4,1,bob,more", b"b.mp4,2,bob", b'"b.mp4,1,bob',
    ]  # fmt: skip
    found = read(tmp_path, b"clip,score,rater\n" + b"\n".join(rows) + b"\n")
    assert dict(found.said) == {("a.mp4", ""): (("ann", 1.0),), ("b.mp4", ""): (("bob", 2.0),)}
    told = {int(each.split()[2].rstrip(":")): each for each in found.problems}
    assert sorted(told) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15]
    assert "'ann' has said this on line 2, and the first one counts" in told[3]
    assert "there is no clip called 'z.mp4'" in told[4] and "got 'good'" in told[5]
    assert "a point in place of the comma" in told[9] and "not UTF-8" in told[12]
    assert "more cells" in told[13] and "not valid CSV" in told[15]


def test_bad_preferences_are_told(tmp_path: Path) -> None:
    rows = "a.mp4,a.mp4,first\na.mp4,b.mp4,better\na.mp4,z.mp4,first\nb.mp4,a.mp4,second\n"
    found = read(tmp_path, "clip,other,preferred\n" + rows)
    assert [each.partition(": ")[2] for each in found.problems] == [
        "'a.mp4' is compared with itself",
        "preferred must be first, second or tie, got 'better'",
        "there is no clip called 'z.mp4'",
    ]


def test_a_key_or_its_beginning_names_a_clip_of_a_run(tmp_path: Path) -> None:
    text = f"clip,score\n{'0123456789ab' + 'f' * 52},1\n"
    assert read(tmp_path, text).value(("0123456789ab", "")) == 1.0
    assert read(tmp_path, text, None).value(("0123456789ab", "")) == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clip,score,question,answer\na.mp4,1,is it?,yes\n", "of answers and of scores: one file holds one kind"),
        ("clip,other\na.mp4,b.mp4\n", "lacks the column preferred"),
        ("name,points\na.mp4,1\n", "lacks columns"),
        ("clip,score\nz.mp4,1\n", "no row"),
        (b"\xff\xfe\x00", "begins like utf-16"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(InputError) as told:
        read(tmp_path, text)
    assert words in str(told.value)
