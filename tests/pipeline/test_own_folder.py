"""A run over the user's own folder of videos: what of it was used, and what the report says about the rest."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from rushes.pipeline import improve
from rushes.prompts.clip_rows import ClipRow
from rushes.recipe.prompts import RealClipsSpec
from rushes.records import Prompt, Rejection
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes_sandbox.real_clips import sandbox_real_clips
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

EVIL_FILE = "<script>alert(1)<script>\"'><img src=x onerror=alert(1)>\n & file.mp4"
"""A file name; without a slash, which no name can hold."""
UNKNOWN_WORD = "a red circle moves xylophonically"


def _folder(home: Path) -> Path:
    """Four clips as the model's, one longer, one whose caption the screen refuses, and two that cannot be used."""
    home.mkdir()
    rows = []
    for number, clip in enumerate(sandbox_real_clips(6, 3, shape=TINY_SHAPE)):
        frames = clip.load().frames_THWC
        frames = frames.repeat(3, axis=0) if number == 4 else frames
        write_video(home / f"clip_{number}.mp4", frames, TINY_SHAPE.fps, lossless=True)
        rows.append({"file_name": f"clip_{number}.mp4", "text": UNKNOWN_WORD if number == 5 else clip.text})
    (home / "empty.mp4").write_bytes(b"")
    (home / EVIL_FILE).write_bytes(b"no video")
    rows.append({"file_name": "empty.mp4", "text": "nothing"})
    (home / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plain = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    folder = _folder(tmp_path_factory.mktemp("videos") / "mine")
    real = RealClipsSpec(folder=str(folder), num_clips=20)
    recipe = plain.model_copy(update={"prompts": plain.prompts.model_copy(update={"real": real})})
    found = tmp_path_factory.mktemp("runs") / "run"
    assert improve(recipe, found) is not None
    return found


def test_refused_texts_are_counted_among_the_texts_that_were_screened(home: Path) -> None:
    with Run.view(home) as run:
        refused = run.read_derived("rejections", Rejection) or []
        screened: list[Prompt] = [each for each in run.prompts.all() if each.origin in ("weakness", "caption")]
    assert UNKNOWN_WORD in {each.text for each in refused}
    assert {each.text for each in refused} <= {each.text for each in screened}
    assert sum(each.origin == "caption" for each in screened) == 6
    (told,) = re.findall(r"(\d+) of (\d+) texts", (home / "report.html").read_text(encoding="utf-8"))
    assert told == (str(len(refused)), str(len(screened)))


def test_every_file_is_told_with_what_became_of_it(home: Path) -> None:
    with Run.view(home) as run:
        rows = run.read_derived("real-clips", ClipRow) or []
        used = [clip for clip in run.clips.all() if clip.origin == "real"]
        (refused,) = [each for each in run.read_derived("rejections", Rejection) or [] if each.text == UNKNOWN_WORD]
    told = {row.name: (row.outcome, row.reason) for row in rows}
    assert told["empty.mp4"][0] == "dropped" and told[EVIL_FILE] == ("dropped", "no_row")
    assert told["clip_4.mp4"] == ("cut", "fitted")
    assert told["clip_5.mp4"] == ("dropped", refused.reason), "its file is good, its caption is not"
    assert len(told) == 8 and sum(row.outcome in ("used", "cut") for row in rows) == len(used)


def test_the_report_shows_the_table_and_escapes_file_names(home: Path) -> None:
    page = (home / "report.html").read_text(encoding="utf-8")
    section = page[page.index('id="real"') : page.index('id="judge"')]
    assert html.unescape(section).count(EVIL_FILE) == 1 and "<script" not in section and "<img" not in section
    assert "8 files and metadata rows: " in section and "1 used, cut to the model&#39;s shape" in section
    for name in ("empty.mp4", "clip_4.mp4", "clip_5.mp4"):
        assert f"<td>{name}</td>" in section
