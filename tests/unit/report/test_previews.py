"""Clips of training: which are found, which are shown, and that a page holds them without playing or trusting them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import make_data
from test_html import EVIL, Page

from rushes.report.data import Preview
from rushes.report.html import render_report
from rushes.report.previews import MAX_PROMPTS, MAX_SHOWN, by_prompt, chosen, find_previews, num_left_out, thinned
from rushes.store.video import read_video, write_video


def clip_at(path: Path, brightness: int = 100) -> Path:
    write_video(path, np.full((4, 16, 16, 3), brightness, np.uint8), 8.0)
    return path


def told(file: str, step: int, prompt: str = "a ball") -> dict[str, object]:
    return {"event": "preview", "file": file, "step": step, "prompt": prompt, "num_frames": 4}


def test_files_are_found_under_their_names_wherever_the_run_was_made(tmp_path: Path) -> None:
    first, second = tmp_path / "previews" / "aaaa", tmp_path / "previews" / "bbbb"
    for folder, step in ((second, 0), (first, 50), (first, 0)):
        clip_at(folder / f"step-{step:06d}-0.mp4")
    secret = clip_at(tmp_path / "previews" / "step-000001-0.mp4")
    events = [
        told("/elsewhere/previews/bbbb/step-000000-0.mp4", 0),
        told("/elsewhere/previews/aaaa/step-000050-0.mp4", 50),
        told("/elsewhere/previews/aaaa/step-000050-0.mp4", 50),  # made twice: killed in between
        told("previews/aaaa/step-000000-0.mp4", 0),
        told("previews/aaaa/step-000100-0.mp4", 100),  # deleted by someone
        told("previews/cccc/step-000000-0.mp4", 0),  # of training that was given up
        told("previews/aaaa/../step-000001-0.mp4", 1),
        told(str(secret), 1),
        {"event": "preview_skipped", "step": 3, "reason": "no memory"},
        {"event": "preview", "step": "many", "file": 3},
    ]
    found = find_previews([first, second], events)
    assert [(each.round_number, each.step, each.path.parent.name) for each in found] == [
        (1, 0, "aaaa"),
        (1, 50, "aaaa"),
        (2, 0, "bbbb"),
    ]
    assert find_previews([first], []) == ()


def test_a_page_shows_some_of_many_and_says_how_many_are_left(tmp_path: Path) -> None:
    many = [
        Preview(tmp_path / "x", 1, step, f"prompt {p}") for step in range(0, 100, 5) for p in range(MAX_PROMPTS + 1)
    ]
    shown = chosen(many)
    assert list(shown) == [f"prompt {p}" for p in range(MAX_PROMPTS)]
    for each in shown.values():
        assert len(each) == MAX_SHOWN and (each[0].step, each[-1].step) == (0, 95)
        assert [a.step for a in each] == sorted({a.step for a in each})
    assert num_left_out(many) == len(many) - MAX_SHOWN * MAX_PROMPTS
    assert thinned(many[:3], 3) == many[:3] and num_left_out(many[:3]) == 0


def test_clips_are_read_one_at_a_time_and_a_damaged_one_says_why(tmp_path: Path) -> None:
    whole, broken = clip_at(tmp_path / "step-000000-0.mp4"), tmp_path / "step-000003-0.mp4"
    broken.write_bytes(b"not a video")
    shown = by_prompt([Preview(whole, 1, 0, "a ball"), Preview(broken, 1, 3, "a ball"), Preview(whole, 2, 1, "a cube")])
    prompt, clips = next(shown)
    first = next(clips)
    assert (prompt, first.when) == ("a ball", "round 1, before step 1") and first.clip is not None
    assert first.clip.video_uri.startswith("data:video/mp4;base64,")
    second = next(clips)
    assert (second.when, second.clip) == ("round 1, after 3 steps", None) and broken.name in second.problem


def test_the_page_holds_them_escaped_closed_and_silent(tmp_path: Path) -> None:
    clips = [clip_at(tmp_path / f"step-{step:06d}-0.mp4", 40 * step) for step in (0, 3)]
    (tmp_path / "step-000006-0.mp4").write_bytes(b"")
    previews = [Preview(path, 1, 3 * i, EVIL) for i, path in enumerate([*clips, tmp_path / "step-000006-0.mp4"])]
    plain, page = Page(render_report(make_data())), Page(render_report(make_data(previews=previews)))
    assert "Previews during training" not in plain.text
    for words in ("before step 1", "after 3 steps", "after 6 steps", "Not shown:", "<script>alert('x')</script>"):
        assert words in page.text and words not in plain.text, words
    added = [attributes for tag, attributes in page.tags if tag == "video" and "autoplay" not in attributes]
    assert len(added) == 2 and len(page.scripts) == 1
    for attributes in added:
        assert attributes["preload"] == "none" and {"controls", "muted"} <= attributes.keys()
        assert (attributes["src"] or "").startswith("data:video/mp4;base64,")
        assert EVIL in (attributes["aria-label"] or "")
    assert sum(tag == "details" and attributes.get("class") == "previews" for tag, attributes in page.tags) == 1
    assert "open" not in next(attributes for _, attributes in page.tags if attributes.get("class") == "previews")
    assert read_video(clips[1]).frames_THWC.mean() > read_video(clips[0]).frames_THWC.mean(), "two different clips"
    assert added[0]["src"] != added[1]["src"]
