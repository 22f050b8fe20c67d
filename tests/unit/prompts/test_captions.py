"""A folder of real videos: whatever is in it, each file and row is used or named with its reason."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import InputError
from rushes.prompts.captions import MAX_CAPTION_CHARS, CaptionWriter, read_clip_folder
from rushes.prompts.clip_rows import ClipFolder
from rushes.recipe.base import ShapeSpec
from rushes.roles import Brief, Draft, Failed
from rushes.store.decoding import VideoError
from rushes.store.video import write_video

SHAPE = ShapeSpec(height_px=16, width_px=16, num_frames=5, fps=8.0)
NOISE = np.random.default_rng(0).integers(0, 256, (8, 16, 32, 3), dtype=np.uint8)
FITTING = np.ascontiguousarray(NOISE[:5, :, :16])


def clip(folder: Path, name: str, frames: np.ndarray = FITTING) -> str:
    write_video(folder / name, frames, 8.0, lossless=True)
    return name


def jsonl(folder: Path, *rows: object) -> None:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / "metadata.jsonl").write_bytes(b"\n".join(lines))


def told(found: ClipFolder) -> dict[str, str]:
    assert len({row.name for row in found.rows}) == len(found.rows), "something is told twice"
    return {row.name: row.reason for row in found.rows}


def test_a_good_folder_is_used_whole(tmp_path: Path) -> None:
    asked = {"is it red?": "yes"}
    jsonl(
        tmp_path,
        {"file_name": clip(tmp_path, "a.mp4"), "text": " a red circle ", "dimension": "Up", "questions": asked},
        {"video": clip(tmp_path, "sub/b.mp4"), "caption": "a blue square"},
    )
    found = read_clip_folder(tmp_path, SHAPE)
    assert [(c.name, c.text, c.dimension) for c in found.clips] == [
        ("a.mp4", "a red circle", "Up"), ("sub/b.mp4", "a blue square", "Real")
    ]  # fmt: skip
    assert [(q.text, q.expected, q.dimension) for q in found.clips[0].questions] == [("is it red?", "yes", "Up")]
    assert np.array_equal(found.clips[0].load().frames_THWC, FITTING)
    assert [(row.outcome, row.reason) for row in found.rows] == [("used", "whole")] * 2
    assert found.dropped == ()


def test_what_is_cut_is_told(tmp_path: Path) -> None:
    jsonl(tmp_path, {"file_name": clip(tmp_path, "a.mp4", NOISE), "text": "noise"})
    found = read_clip_folder(tmp_path, SHAPE)
    assert found.clips[0].load().frames_THWC.shape == (5, 16, 16, 3)
    (row,) = found.rows
    assert (row.outcome, row.reason) == ("cut", "fitted")
    assert row.detail == "the first 0.62 s of 1.00 s; cropped from 32x16 to 16x16 px around the middle"


def test_every_kind_of_bad_file_is_dropped_with_its_reason(tmp_path: Path) -> None:
    good = clip(tmp_path, "good.mp4")
    whole = (tmp_path / good).read_bytes()
    (tmp_path / "corrupt.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("I am no video")
    clip(tmp_path, "short.mp4", FITTING[:4])
    clip(tmp_path, "no caption.mp4")
    clip(tmp_path, "null caption.mp4")
    clip(tmp_path, "blank caption.mp4")
    clip(tmp_path, "long caption.mp4")
    clip(tmp_path, "nobody names me.mp4")
    clip(tmp_path.parent, "outside.mp4")
    os.symlink(tmp_path.parent / "outside.mp4", tmp_path / "link.mp4")
    (tmp_path / "notes.txt").write_text("not a video, and nobody said so")
    jsonl(
        tmp_path,
        *({"file_name": f"{name}.mp4", "text": "t"} for name in ("good", "corrupt", "zero", "text", "short", "gone")),
        {"file_name": "no caption.mp4"},
        {"file_name": "null caption.mp4", "text": None},
        {"file_name": "blank caption.mp4", "text": " \n"},
        {"file_name": "long caption.mp4", "text": "x" * 10_000},
        {"file_name": "../outside.mp4", "text": "t"},
        {"file_name": str(tmp_path.parent / "outside.mp4"), "text": "t"},
        {"file_name": "link.mp4", "text": "t"},
        {"file_name": "a\0b.mp4", "text": "t"},
        {"file_name": ".", "text": "t"},
        {"file_name": "sub/../good.mp4", "text": "another caption"},
    )
    found = read_clip_folder(tmp_path, SHAPE)
    assert told(found) == {
        "good.mp4": "whole",
        "corrupt.mp4": "unreadable",
        "zero.mp4": "empty",
        "text.mp4": "unreadable",
        "short.mp4": "too_short",
        "gone.mp4": "missing_file",
        "no caption.mp4": "missing_caption",
        "null caption.mp4": "missing_caption",
        "blank caption.mp4": "missing_caption",
        "long caption.mp4": "caption_too_long",
        "../outside.mp4": "outside_folder",
        str(tmp_path.parent / "outside.mp4"): "outside_folder",
        "link.mp4": "outside_folder",
        "a\0b.mp4": "outside_folder",
        ".": "outside_folder",
        "sub/../good.mp4": "duplicate_row",
        "nobody names me.mp4": "no_row",
        "notes.txt": "no_video",
    }
    assert [c.name for c in found.clips] == ["good.mp4"]
    assert {row.name: row for row in found.rows}["long caption.mp4"].detail == (
        f"the caption has 10000 characters, at most {MAX_CAPTION_CHARS} are read"
    )
    assert len(found.dropped) == len(found.rows) - 2


def test_broken_lines_are_named_by_their_place(tmp_path: Path) -> None:
    good = {"file_name": clip(tmp_path, "a.mp4"), "text": "t"}
    jsonl(
        tmp_path,
        b"\xef\xbb\xbf" + json.dumps(good).encode(),
        b"",
        b'{"file_name": "b.mp4", "text": ',
        b'["a.mp4", "t"]',
        b'{"text": "t"}',
        b'{"file_name": 7, "text": "t"}',
        b'{"file_name": "\xff.mp4", "text": "t"}',
        b'{"file_name": "\\ud800.mp4", "text": "t"}',
        b"[" * 50_000,
        {**good, "file_name": "q.mp4", "questions": {"is it?": "perhaps"}},
        {**good, "file_name": "r.mp4", "questions": 3},
    )
    found = read_clip_folder(tmp_path, SHAPE)
    assert told(found) == {
        "a.mp4": "whole",
        "metadata.jsonl line 3": "broken_row",
        "metadata.jsonl line 4": "broken_row",
        "metadata.jsonl line 5": "missing_file_name",
        "metadata.jsonl line 6": "missing_file_name",
        "metadata.jsonl line 7": "broken_row",
        "metadata.jsonl line 8": "broken_row",
        "metadata.jsonl line 9": "broken_row",
        "q.mp4": "bad_questions",
        "r.mp4": "bad_questions",
    }


NASTY = [
    "quote \" and ' here.mp4",
    "line\nfeed.mp4",
    "tab\tand\rreturn.mp4",
    "größe 視頻 🎬.mp4",
    "<b>&amp;.mp4",
    "-x.mp4",
    "a b .mp4",
    "\u2028.mp4",
]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_any_file_name_works(tmp_path: Path, kind: str) -> None:
    first = clip(tmp_path, "first.mp4")
    for name in NASTY:
        (tmp_path / name).write_bytes((tmp_path / first).read_bytes())
    (tmp_path / first).unlink()
    if kind == "jsonl":
        jsonl(tmp_path, *({"file_name": name, "text": f"caption of {name}"} for name in NASTY))
    else:
        with (tmp_path / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file_name", "text"), *((name, f"caption of {name}") for name in NASTY)])
    found = read_clip_folder(tmp_path, SHAPE)
    assert [(c.name, c.text) for c in found.clips] == [(name, f"caption of {name}") for name in NASTY]
    assert told(found) == dict.fromkeys(NASTY, "whole")


def test_a_file_name_that_is_no_text_is_still_shown(tmp_path: Path) -> None:
    good = clip(tmp_path, "a.mp4")
    (tmp_path / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"")
    jsonl(tmp_path, {"file_name": good, "text": "t"})
    found = read_clip_folder(tmp_path, SHAPE)
    assert told(found) == {"a.mp4": "whole", "bad\\xff.mp4": "no_row"}
    for row in found.rows:
        row.model_dump_json()


def test_csv_rows_fail_one_by_one(tmp_path: Path) -> None:
    for name in "abcde":
        clip(tmp_path, f"{name}.mp4")
    (tmp_path / "metadata.csv").write_bytes(
        b"\xef\xbb\xbfvideo,prompt,dimension,questions\r\n"
        b'a.mp4,"a red, round circle",Up,"{""is it red?"": ""yes""}"\r\n'
        b"b.mp4\r\n"
        b"c.mp4,t,Up,,too,many\r\n"
        b"d.mp4,caf\xe9,,\r\n"
        b'e.mp4,t,,"{broken"\r\n'
        b",t,,\r\n"
    )
    found = read_clip_folder(tmp_path, SHAPE)
    assert told(found) == {
        "a.mp4": "whole",
        "b.mp4": "missing_caption",
        "metadata.csv line 4": "broken_row",
        "d.mp4": "broken_row",
        "e.mp4": "bad_questions",
        "metadata.csv line 7": "missing_file_name",
        "c.mp4": "no_row",
    }
    assert found.clips[0].text == "a red, round circle"
    assert found.clips[0].questions[0].text == "is it red?"


def test_the_limit_leaves_the_rest_and_says_so(tmp_path: Path) -> None:
    jsonl(tmp_path, *({"file_name": clip(tmp_path, f"{i}.mp4"), "text": "t"} for i in range(3)))
    found = read_clip_folder(tmp_path, SHAPE, limit=2)
    assert [c.name for c in found.clips] == ["0.mp4", "1.mp4"]
    assert [(row.outcome, row.reason) for row in found.rows[2:]] == [("left_over", "over_limit")]
    assert found.dropped == ()


def test_of_two_tables_one_is_read_and_the_other_named(tmp_path: Path) -> None:
    jsonl(tmp_path, {"file_name": clip(tmp_path, "a.mp4"), "text": "t"})
    (tmp_path / "metadata.csv").write_text("file_name,text\na.mp4,other\n")
    found = read_clip_folder(tmp_path, SHAPE)
    assert found.clips[0].text == "t"
    assert told(found) == {"a.mp4": "whole", "metadata.csv": "unused_metadata"}


def test_a_folder_that_cannot_be_used_says_what_to_make(tmp_path: Path) -> None:
    clip(tmp_path, "a.mp4")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "metadata.csv").write_text("name,words\na.mp4,t\n")
    (tmp_path / "metadata.jsonl").mkdir()
    cases = {
        tmp_path / "nowhere": "create it with metadata.jsonl in it, or correct prompts.real.folder",
        tmp_path / "a.mp4": "create it with metadata.jsonl in it, or correct prompts.real.folder",
        tmp_path / "sub": "file_name,text",
        tmp_path: "check that file",
    }
    for folder, says in cases.items():
        with pytest.raises(InputError) as caught:
            read_clip_folder(folder, SHAPE)
        assert caught.value.next_step is not None
        assert says in caught.value.next_step
    (tmp_path / "metadata.jsonl").rmdir()
    with pytest.raises(InputError, match="holds no metadata file") as caught:
        read_clip_folder(tmp_path, SHAPE)
    assert '{"file_name": ' in str(caught.value)


def test_no_usable_clip_is_an_error_where_one_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    jsonl(tmp_path, {"file_name": "a.mp4", "text": "t"})
    found = read_clip_folder(tmp_path, SHAPE)
    with pytest.raises(InputError, match=r"'a\.mp4': 'a\.mp4' is empty"):
        found.require_some("my folder")
    (tmp_path / "metadata.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="the metadata has no rows"):
        ClipFolder((), ()).require_some("my folder")


def test_a_file_that_changes_after_it_was_read_fails_alone(tmp_path: Path) -> None:
    jsonl(tmp_path, *({"file_name": clip(tmp_path, f"{i}.mp4"), "text": "t"} for i in range(3)))
    found = read_clip_folder(tmp_path, SHAPE)
    clip(tmp_path, "0.mp4", FITTING[::-1])
    (tmp_path / "1.mp4").unlink()
    with pytest.raises(VideoError, match="has changed"):
        found.clips[0].load()
    made = CaptionWriter(found.clips, (SHAPE,)).write([Brief("Real", "", (), (), "caption", i, 0) for i in range(3)])
    assert [type(each) for each in made] == [Failed, Failed, Draft]
