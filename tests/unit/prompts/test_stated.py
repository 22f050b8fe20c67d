"""What a folder's table says of its videos: numbers read or refused by row, preferences between the clips in use."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rushes.prompts.captions import read_clip_folder
from rushes.prompts.clip_rows import ClipFolder
from rushes.prompts.rows import BadRow, parse_line
from rushes.prompts.stated import BadValue, lacking, stated_of, with_preferences
from rushes.records import Stated
from rushes.store.video import write_video
from rushes_sandbox.real_clips import sandbox_real_clips
from tests.support.tiny_wan import TINY_SHAPE

BAD_NUMBERS = [
    "good",
    "nan",
    "inf",
    "-Infinity",
    "4,5",
    "1e400",
    True,
    [1],
    {},
    float("nan"),
    float("inf"),
    10**400,
    1e13,
]


@pytest.mark.parametrize("column", ["score", "weight"])
@pytest.mark.parametrize("value", BAD_NUMBERS, ids=repr)
def test_a_number_that_cannot_be_meant_is_no_number(column: str, value: object) -> None:
    found = stated_of({column: value})
    assert isinstance(found, BadValue) and found.reason == f"bad_{column}" and column in found.detail


def test_numbers_as_json_and_tables_have_them() -> None:
    assert stated_of({"score": "-4.5", "weight": " 2 "}) == Stated(score=-4.5, weight=2.0)
    assert stated_of({"score": 0, "weight": None}) == Stated(score=0.0), "zero is a score, null is none"
    assert stated_of({"score": "", "weight": " ", "preferred_over": ""}) == Stated()
    found = stated_of({"weight": -1})
    assert isinstance(found, BadValue) and "0 or more" in found.detail


def test_names_of_files_that_a_video_is_preferred_over() -> None:
    assert stated_of({"preferred_over": "a, b.mp4"}) == Stated(preferred_over=("a, b.mp4",))
    assert stated_of({"preferred_over": '["a.mp4", "b.mp4", "a.mp4"]'}) == Stated(preferred_over=("a.mp4", "b.mp4"))
    for bad in (7, [7], [""], "[", {"a": 1}, ["\ud800"], True):
        found = stated_of({"preferred_over": bad})
        assert isinstance(found, BadValue) and found.reason == "bad_preference", bad


def test_a_row_that_says_something_twice_says_nothing() -> None:
    """Of two scores nobody knows which is meant; a JSON reader would keep the last."""
    for line in (b'{"score": 1, "score": 5}', b'{"text": "a", "questions": {"is it red?": "yes", "is it red?": "no"}}'):
        with pytest.raises(BadRow, match="more than once") as raised:
            parse_line(line)
        assert raised.value.reason == "broken_row"


# ---------------------------------------------------------------------------------------------- folders


def folder(home: Path, rows: Sequence[Mapping[str, Any]], *, is_trained_on: bool = True) -> ClipFolder:
    """Videos a.mp4, b.mp4, ...; each with its row."""
    home.mkdir()
    clips = sandbox_real_clips(len(rows), 3, shape=TINY_SHAPE)
    lines = []
    for name, clip, row in zip("abcdefghij", clips, rows, strict=False):
        frames = clip.load().frames_THWC
        frames = np.concatenate([np.roll(frames, 5 * k, axis=2) for k in range(row.get("times", 1))])
        write_video(home / f"{name}.mp4", frames, TINY_SHAPE.fps, lossless=True)
        lines.append(json.dumps({"file_name": f"{name}.mp4", "text": "a red circle moves", **row}) + "\n")
    (home / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    return read_clip_folder(home, TINY_SHAPE, windows="all", is_trained_on=is_trained_on)


def over(found: ClipFolder) -> dict[str, tuple[str, ...]]:
    return {clip.name: clip.stated.preferred_over for clip in found.clips if clip.stated.preferred_over}


def dropped(found: ClipFolder) -> dict[str, str]:
    return {row.name: row.reason for row in found.dropped}


def test_a_bad_value_costs_its_row_where_the_videos_are_trained_on_and_nothing_elsewhere(tmp_path: Path) -> None:
    rows = [{"score": 1}, {"score": "good"}, {"weight": -1}, {"preferred_over": 3}]
    found = folder(tmp_path / "mine", rows)
    assert dropped(found) == {"b.mp4": "bad_score", "c.mp4": "bad_weight", "d.mp4": "bad_preference"}
    assert "metadata.jsonl line 2" in found.dropped[0].detail
    beside = folder(tmp_path / "beside", rows, is_trained_on=False)
    assert len(beside.clips) == 4 and all(clip.stated == Stated() for clip in beside.clips)


def test_a_number_that_others_have_is_missing_and_not_zero(tmp_path: Path) -> None:
    found = folder(tmp_path / "mine", [{"score": 1}, {"weight": 1, "score": 2}, {}])
    assert {at: why for at, (why, _) in lacking(found.clips).items()} == {0: "no_weight", 2: "no_weight"}
    scored = [clip for clip in found.clips if clip.stated.weight is None]
    assert {at: why for at, (why, _) in lacking(scored).items()} == {1: "no_score"}
    assert lacking(scored[1:]) == {}


def test_preferences_that_cannot_be_used_are_told_one_by_one(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"preferred_over": ["b.mp4", "a.mp4", "none.mp4", "../a.mp4", "sub/../c.mp4"]},
        {"preferred_over": "c.mp4"},
        {"text": "another caption"},
        {"preferred_over": "e.mp4"},
        {"score": "bad"},
        {},
    ]
    rows[0]["preferred_over"] += ["f.mp4", "./b.mp4"]  # the last one says again what the first one says
    found = with_preferences(folder(tmp_path / "mine", rows))
    assert over(found) == {"a.mp4": ("b.mp4", "f.mp4")}
    assert dropped(found) == {
        "e.mp4": "bad_score",
        "a.mp4 preferred over a.mp4": "same_file",
        "a.mp4 preferred over none.mp4": "no_such_file",
        "a.mp4 preferred over ../a.mp4": "no_such_file",
        "a.mp4 preferred over sub/../c.mp4": "other_caption",
        "b.mp4 preferred over c.mp4": "other_caption",
        "d.mp4 preferred over e.mp4": "not_used",
    }


def test_preferences_in_a_circle_cancel_and_those_beside_it_stay(tmp_path: Path) -> None:
    names = ["b.mp4", "c.mp4", "a.mp4", "a.mp4", "f.mp4", "e.mp4"]  # a > b > c > a, d > a, e > f > e
    found = with_preferences(folder(tmp_path / "mine", [{"preferred_over": name} for name in names]))
    assert over(found) == {"d.mp4": ("a.mp4",)}
    told = dropped(found)
    assert set(told.values()) == {"circle"} and len(told) == 5
    order = {name: names[i] for i, name in enumerate(f"{each}.mp4" for each in "abcdef")}
    assert {f"{name} preferred over {order[name]}" for name in order if name != "d.mp4"} == set(told)


def test_stretches_of_two_files_are_compared_one_by_one(tmp_path: Path) -> None:
    found = with_preferences(folder(tmp_path / "mine", [{"times": 3, "preferred_over": "b.mp4"}, {"times": 2}, {}]))
    pairs = list(itertools.chain.from_iterable((a, b) for a, each in over(found).items() for b in each))
    assert pairs == ["a.mp4", "b.mp4", "a.mp4, stretch 2", "b.mp4, stretch 2"]
    assert not dropped(found)
