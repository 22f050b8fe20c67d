"""Folders of videos as people have them: odd files, caption files, Hub caches, tables of spreadsheets, long videos."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import InputError
from rushes.prompts import captions
from rushes.prompts.briefs import plan_captions
from rushes.prompts.caption_files import write_metadata
from rushes.prompts.captions import read_clip_folder
from rushes.prompts.clip_rows import ClipFolder
from rushes.recipe.base import ShapeSpec
from rushes.recipe.prompts import Windows
from rushes.store.video import write_video

SHAPE = ShapeSpec(height_px=16, width_px=16, num_frames=5, fps=8.0)
NOISE = np.random.default_rng(1).integers(0, 256, (23, 16, 16, 3), dtype=np.uint8)


def clip(folder: Path, name: str, first: int = 0, num: int = 5) -> str:
    write_video(folder / name, NOISE[first : first + num], 8.0, lossless=True)
    return name


def table(folder: Path, *names: str) -> None:
    rows = [json.dumps({"file_name": name, "text": f"caption of {name}"}) + "\n" for name in names]
    (folder / "metadata.jsonl").write_text("".join(rows), encoding="utf-8")


def reasons(found: ClipFolder) -> dict[str, str]:
    return {row.name: row.reason for row in found.rows}


def texts(found: ClipFolder) -> dict[str, str]:
    return {each.name: each.text for each in found.clips}


# ---------------------------------------------------------------------------------------------- odd files


def odd_files(folder: Path) -> dict[str, str]:
    """Files that are no clips, with what the table says of each."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="5" height="5"/></svg>'
    (folder / "svg.mp4").write_text(svg)
    (folder / "xml.mp4").write_text(f'<?xml version="1.0"?>{svg}')
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    (folder / "empty.mp4").write_bytes(b"")
    os.symlink("loop.mp4", folder / "loop.mp4")
    os.symlink("nowhere.mp4", folder / "dangling.mp4")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    return {
        "svg.mp4": "unreadable", "xml.mp4": "unreadable", "list.mp4": "unreadable", "empty.mp4": "empty",
        "loop.mp4": "unreadable", "dangling.mp4": "missing_file", "folder.mp4": "not_a_file", "pipe.mp4": "not_a_file",
        "x" * 300 + ".mp4": "unreadable", "x" * 1900: "unreadable", "._a.mp4": "hidden_file",
    }  # fmt: skip


def test_one_odd_file_costs_its_own_row_and_no_other(tmp_path: Path) -> None:
    odd = odd_files(tmp_path)
    table(tmp_path, *odd, clip(tmp_path, "a.mp4"))
    found = read_clip_folder(tmp_path, SHAPE)
    assert reasons(found) == {**odd, "a.mp4": "whole"}
    assert list(texts(found)) == ["a.mp4"]


def test_odd_files_that_no_row_names_are_in_the_table(tmp_path: Path) -> None:
    there = [name for name in odd_files(tmp_path) if os.path.lexists(tmp_path / name[:255])]
    table(tmp_path, clip(tmp_path, "a.mp4"))
    (tmp_path / "metadata.csv").write_text("file_name,text\n")
    (tmp_path / "sub").mkdir()
    os.symlink(tmp_path / "sub", tmp_path / "link")
    for name in ("notes.md", "sub/b.M2TS", "sub/c.ogv"):
        (tmp_path / name).write_text("x")
    found = reasons(read_clip_folder(tmp_path, SHAPE))
    assert found == {
        "a.mp4": "whole", "metadata.csv": "unused_metadata", "notes.md": "no_video", "link": "unread_folder",
        **dict.fromkeys([*(name for name in there if name != "folder.mp4"), "sub/b.M2TS", "sub/c.ogv"], "no_row"),
    }  # fmt: skip


def test_an_error_that_nobody_foresaw_ends_with_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path, clip(tmp_path, "a.mp4"), clip(tmp_path, "b.mp4", 5))
    real = captions.cut_to_fit

    def odd(path: Path, *rest: object) -> object:
        if path.name == "a.mp4":
            raise AttributeError("'NoneType' object has no attribute 'decode'")
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(captions, "cut_to_fit", odd)
    found = read_clip_folder(tmp_path, SHAPE)
    assert reasons(found) == {"a.mp4": "unreadable", "b.mp4": "whole"}
    assert "AttributeError: 'NoneType'" in found.dropped[0].detail


@pytest.mark.parametrize("hidden", ["._a.mp4", ".cache/a.mp4", ".DS_Store"])
def test_hidden_files_are_neither_clips_nor_told(tmp_path: Path, hidden: str) -> None:
    clip(tmp_path, hidden)
    table(tmp_path, clip(tmp_path, "a.mp4", 5))
    assert reasons(read_clip_folder(tmp_path, SHAPE)) == {"a.mp4": "whole"}
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / hidden).with_suffix(".txt").write_text("words")
    assert texts(read_clip_folder(tmp_path, SHAPE)) == {"a.mp4": "words"}


# ---------------------------------------------------------------------------------------------- caption files


def with_captions(folder: Path) -> None:
    for i, name in enumerate(("a.mp4", "sub/b.mkv", "c.mp4", "empty.mp4", "latin.mp4", "none.mp4", "out.mp4")):
        clip(folder, name, i)
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfa red circle\r\n moves \n")
    (folder / "sub" / "b.txt").write_text("ein größerer Kreis", encoding="utf-16")
    (folder / "c.TXT").write_text("c", encoding="utf-16-le")
    (folder / "empty.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder.parent / "secret.txt").write_text("a secret")
    os.symlink(folder.parent / "secret.txt", folder / "out.txt")
    (folder / "notes.txt").write_text("beside no video")


def test_captions_beside_the_videos_are_read(tmp_path: Path) -> None:
    home = tmp_path / "clips"
    with_captions(home)
    found = read_clip_folder(home, SHAPE)
    assert texts(found) == {"a.mp4": "a red circle moves", "c.mp4": "c", "sub/b.mkv": "ein größerer Kreis"}
    assert {row.name: row.reason for row in found.rows if not row.num_clips} == {
        "empty.mp4": "missing_caption", "latin.mp4": "broken_caption", "none.mp4": "missing_caption",
        "out.mp4": "outside_folder", "notes.txt": "no_video",
    }  # fmt: skip
    assert "secret" not in str([row.detail for row in found.rows])


def test_a_table_written_from_caption_files_gives_the_same_clips(tmp_path: Path) -> None:
    home = tmp_path / "clips"
    with_captions(home)
    before = read_clip_folder(home, SHAPE).clips
    path, num = write_metadata(home)
    assert (path, num) == (home / "metadata.jsonl", 3)
    after = read_clip_folder(home, SHAPE)
    assert [work.key for work in plan_captions(after.clips)] == [work.key for work in plan_captions(before)]
    assert reasons(after)["none.mp4"] == "no_row" and reasons(after)["a.txt"] == "no_video"
    with pytest.raises(InputError, match="already"):
        write_metadata(home)
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="no metadata file"):
        write_metadata(tmp_path / "bare")


def test_a_table_wins_over_caption_files(tmp_path: Path) -> None:
    table(tmp_path, clip(tmp_path, "a.mp4"))
    (tmp_path / "a.txt").write_text("other words")
    assert texts(read_clip_folder(tmp_path, SHAPE)) == {"a.mp4": "caption of a.mp4"}


# ---------------------------------------------------------------------------------------------- the Hub's cache


def cached(root: Path, name: str) -> tuple[Path, Path]:
    """An empty data set in a Hub cache: its folder, and the folder of its files."""
    revision, blobs = root / name / "snapshots" / ("ab" * 20), root / name / "blobs"
    revision.mkdir(parents=True)
    blobs.mkdir()
    return revision, blobs


def linked(blobs: Path, link: Path, first: int = 0) -> str:
    """A clip that is stored under its hash, and a relative link to it, as `huggingface_hub` makes them."""
    link.parent.mkdir(exist_ok=True)
    clip(blobs, "made.mp4", first)
    os.rename(blobs / "made.mp4", blobs / f"{first:064x}")
    os.symlink(os.path.relpath(blobs / f"{first:064x}", link.parent), link)
    return link.name


def test_a_data_set_in_the_hubs_cache_is_used_and_nothing_outside_of_it(tmp_path: Path) -> None:
    home, blobs = cached(tmp_path, "datasets--me--clips")
    other, other_blobs = cached(tmp_path, "datasets--you--clips")
    linked(blobs, home / "a.mp4"), linked(blobs, home / "videos" / "b.mp4", 5), linked(other_blobs, other / "c.mp4", 9)
    os.symlink(other_blobs / f"{9:064x}", home / "c.mp4")
    clip(tmp_path, "secret.mp4")
    os.symlink(tmp_path / "secret.mp4", home / "d.mp4")
    os.symlink(tmp_path / "secret.mp4", blobs / "e")
    os.symlink("../../blobs/e", home / "e.mp4")
    direct = f"../../blobs/{5:064x}"
    table(home, "a.mp4", "videos/b.mp4", "c.mp4", "d.mp4", "e.mp4", direct)
    found = read_clip_folder(home, SHAPE)
    assert reasons(found) == {
        "a.mp4": "whole", "videos/b.mp4": "whole",
        **dict.fromkeys(("c.mp4", "d.mp4", "e.mp4", direct), "outside_folder"),
    }  # fmt: skip
    assert np.array_equal(found.clips[1].load().frames_THWC, NOISE[5:10])
    (home / "videos" / "b.txt").write_text("a part of the data set")
    assert texts(read_clip_folder(home / "videos", SHAPE)) == {"b.mp4": "a part of the data set"}


def test_equal_files_that_the_cache_keeps_once_are_as_many_as_their_names(tmp_path: Path) -> None:
    home, blobs = cached(tmp_path, "datasets--me--clips")
    linked(blobs, home / "a.mp4")
    for name in ("b.mp4", "c.mp4"):
        shutil.copyfile(home / "a.mp4", home / name, follow_symlinks=False)
    table(home, "a.mp4", "b.mp4", "sub/../b.mp4")
    assert reasons(read_clip_folder(home, SHAPE)) == {
        "a.mp4": "whole", "b.mp4": "whole", "sub/../b.mp4": "duplicate_row", "c.mp4": "no_row"
    }  # fmt: skip


def test_a_folder_that_only_looks_like_a_cache_gets_no_exception(tmp_path: Path) -> None:
    home, blobs = cached(tmp_path, "clips")
    table(home, linked(blobs, home / "a.mp4"))
    assert reasons(read_clip_folder(home, SHAPE)) == {"a.mp4": "outside_folder"}


# ---------------------------------------------------------------------------------------------- tables

ROWS = "{0}a.mp4{1}a red circle{2}b.mp4{1}größer"


@pytest.mark.parametrize(
    "data",
    [
        ROWS.format("file_name;text\n", ";", "\n").encode(),
        ROWS.format('"file_name";"text"\r\n', ";", "\r\n").encode("utf-8-sig"),
        ROWS.format("video\tcaption\n", "\t", "\n").encode(),
        ROWS.format("File_Name , TEXT\n", ", ", "\n").encode(),
        'Text, File_Name\n"a red circle", "a.mp4"\n"größer", "b.mp4"\n'.encode(),
        ROWS.format("file_name,text\n", ",", "\n").encode("utf-16"),
        ROWS.format("file_name;text\n", ";", "\n").encode("utf-16-le"),
        ROWS.format("FILE_NAME,Text\n", ",", "\n").encode("utf-16-be"),
        ROWS.format("file_name,text\n", ",", "\n").encode("utf-32"),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, data: bytes) -> None:
    clip(tmp_path, "a.mp4"), clip(tmp_path, "b.mp4", 5)
    (tmp_path / "metadata.csv").write_bytes(data)
    assert texts(read_clip_folder(tmp_path, SHAPE)) == {"a.mp4": "a red circle", "b.mp4": "größer"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_lines_with_names_in_any_case_and_the_exact_one_wins(tmp_path: Path, encoding: str) -> None:
    rows = [
        {"File_Name": clip(tmp_path, "a.mp4"), "text": "größer", "TEXT": "wrong"},
        {"VIDEO": clip(tmp_path, "b.mp4", 5), " Caption": "right", "Dimension": "Up"},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "metadata.jsonl").write_text(lines, encoding=encoding)
    found = read_clip_folder(tmp_path, SHAPE)
    assert texts(found) == {"a.mp4": "größer", "b.mp4": "right"}
    assert [each.dimension for each in found.clips] == ["Real", "Up"]


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"\xff\xfef\0i\0l", "save it as UTF-8"), (b"name:words\na.mp4:x\n", "file_name,text"), (b"", "file_name,text")],
)
def test_a_table_that_cannot_be_read_says_what_to_write(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "metadata.csv").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_clip_folder(tmp_path, SHAPE)
    assert says in str(caught.value)


# ---------------------------------------------------------------------------------------------- stretches and crops


@pytest.mark.parametrize(
    ("windows", "limit", "starts"),
    [
        ("first", None, [0, 1]),
        (1, None, [0, 1]),
        (2, None, [0, 1, 5, 6]),
        ("all", None, [0, 1, 5, 6, 10]),
        ("all", 3, [0, 1, 5]),
        ("all", 1, [0]),
    ],
)
def test_stretches_of_every_file_in_turn(
    tmp_path: Path, windows: Windows, limit: int | None, starts: list[int]
) -> None:
    table(tmp_path, clip(tmp_path, "a.mp4", 0, 17), clip(tmp_path, "b.mp4", 1, 12))
    found = read_clip_folder(tmp_path, SHAPE, limit, windows)
    for each, start in zip(found.clips, starts, strict=True):
        assert np.array_equal(each.load().frames_THWC, NOISE[start : start + 5])
    assert len({each.name for each in found.clips}) == len(starts)
    first = read_clip_folder(tmp_path, SHAPE, limit).clips
    keys = [work.key for work in plan_captions(found.clips)]
    assert keys[: len(first)] == [work.key for work in plan_captions(first)]
    row = found.rows[0]
    assert row.num_clips == sum(each.name.startswith("a.mp4") for each in found.clips)
    assert row.lost_s == pytest.approx(17 / 8 - row.num_clips * 5 / 8)
    if row.num_clips > 1:
        assert row.detail == f"{row.num_clips} stretches of 0.62 s of 2.12 s"


def test_a_file_that_can_only_be_read_from_its_start_is_read_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(tmp_path, clip(tmp_path, "a.mp4", 0, 17))
    found = read_clip_folder(tmp_path, SHAPE, None, "all")
    real = captions.cut_video

    def other(path: Path, shape: ShapeSpec, window: int = 0, *, seek: bool = False) -> object:
        return real(path, shape, window - seek)  # seeking finds another stretch

    monkeypatch.setattr(captions, "cut_video", other)
    assert np.array_equal(found.clips[2].load().frames_THWC, NOISE[10:15])


def test_a_still_picture_gives_one_clip_however_long_it_is(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", NOISE[:1].repeat(20, axis=0), 8.0, lossless=True)
    table(tmp_path, "a.mp4")
    assert len(read_clip_folder(tmp_path, SHAPE, None, "all").clips) == 1


def test_an_upright_clip_in_a_wide_shape_is_warned_about(tmp_path: Path) -> None:
    table(tmp_path, clip(tmp_path, "a.mp4"))
    assert read_clip_folder(tmp_path, SHAPE).warning == ""
    found = read_clip_folder(tmp_path, ShapeSpec(height_px=4, width_px=16, num_frames=5, fps=8.0))
    assert "1 of 1 real videos lose more than 50% of their picture" in found.warning and "'a.mp4'" in found.warning
    assert found.rows[0].crop_lost == 0.75 and "only 25% of the picture is left" in found.rows[0].detail


def test_real_clips_with_captions_beside_them(tmp_path: Path, shared_data: Path) -> None:
    for path in (shared_data / "clips").glob("*zoom*.mp4"):
        shutil.copy(path, tmp_path / path.name)
        (tmp_path / path.name).with_suffix(".txt").write_text(path.stem)
    shape = ShapeSpec(height_px=48, width_px=80, num_frames=17, fps=16.0)
    found = read_clip_folder(tmp_path, shape, None, "all")
    assert len(found.rows) == 2 and [row.num_clips for row in found.rows] == [3, 3]
    assert all(each.load().frames_THWC.shape == (17, 48, 80, 3) for each in found.clips)


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_a_file_that_goes_while_the_folder_is_read_costs_its_later_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    table(tmp_path, clip(tmp_path, "a.mp4", 0, 17), clip(tmp_path, "b.mp4", 1, 17))
    real = captions.cuts

    def gone(path: Path, *rest: object) -> object:
        change(tmp_path / "a.mp4") if (tmp_path / "a.mp4").exists() else None
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(captions, "cuts", gone)
    found = read_clip_folder(tmp_path, SHAPE, None, "all")
    assert [row.num_clips for row in found.rows] == [1, 3]
    assert "not read to its end" in found.rows[0].detail
