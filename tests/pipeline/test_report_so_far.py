"""After each stage there is a page of what is there, and at the end every pair lies beside the report as files."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from rushes.pipeline import improve
from rushes.report import so_far
from rushes.store.run import Run
from rushes.store.video import read_video
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

STAGES = ("diagnose", "prompts", "generate", "judge", "weigh", "train")


def shown(page: str) -> str:
    """The text of a page as a person reads it."""
    body = re.sub(r"<(style|script)>.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A finished run, and the page as it was after each stage."""
    home = tmp_path_factory.mktemp("runs") / "run"
    found: dict[str, str] = {}
    real = so_far.write_atomic

    def kept(path: Path, data: bytes) -> None:
        real(path, data)
        found[STAGES[len(found)]] = data.decode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(so_far, "write_atomic", kept)
        improve(tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("m"))), home)
    return home, found


def test_every_stage_has_its_page(pages: tuple[Path, dict[str, str]]) -> None:
    _, found = pages
    assert tuple(found) == STAGES
    for stage, words in {
        "diagnose": "The run aims at",
        "prompts": "prompts aim at",
        "generate": "the judge comes next",
        "judge": "they are weighed next",
        "weigh": "training comes next",
        "train": "whether it got better is measured next",
    }.items():
        text = shown(found[stage])
        assert words in text and "not at its end" in text, stage
        assert "The model got" not in text and "Scorecard" not in text, "nothing is measured yet"


def test_scored_clips_are_there_before_training_starts(pages: tuple[Path, dict[str, str]]) -> None:
    home, found = pages
    with Run.view(home) as run:
        texts = {each.text for each in run.prompts.all() if each.origin == "weakness"}
    assert "<video" not in found["prompts"] and "<video" in found["generate"]
    before, weighed = shown(found["generate"]), shown(found["weigh"])
    assert "Prompts whose takes differ" not in before and "Prompts whose takes differ" in weighed
    assert " best " in weighed and " worst " in weighed and "how sure of it" in weighed
    assert "scored clips count like" in weighed and "scored clips count like" not in shown(found["judge"])
    assert sum(text in weighed for text in texts) >= 3
    assert "real flow" in shown(found["train"]) and "real flow" not in weighed


def test_a_resume_writes_no_page_that_is_there(pages: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    state = re.search(r'made-from" content="(\w+) (\d+)"', pages[1]["weigh"])
    assert state is not None
    head = f'<meta name="rushes-made-from" content="{state[1]} {state[2]}">'
    assert so_far._is_there(head, f"{state[1]} 00") and so_far._is_there(head, f"{state[1]} {state[2]}")
    assert not so_far._is_there(head, f"{state[1]} 05") and not so_far._is_there(head, f"{'0' * 16} 00")


def test_a_page_that_cannot_be_made_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no page today")

    monkeypatch.setattr(so_far, "render_so_far", broken)
    home = tmp_path / "run"
    improve(tiny_recipe(make_tiny_wan(tmp_path / "m")), home, until="prompts")
    with Run.view(home) as run:
        failed = [each for each in run.log.read() if each["event"] == "report_failed"]
        assert run.prompts.num_records()
    assert [each["stage"] for each in failed] == ["diagnose", "prompts"] and "no page today" in failed[0]["problem"]


def test_all_pairs_are_files_beside_the_report(pages: tuple[Path, dict[str, str]]) -> None:
    home, _ = pages
    page, report = (home / "report" / "index.html").read_text("utf-8"), (home / "report.html").read_text("utf-8")
    with Run.view(home) as run:
        prompts = {each.key: each for each in run.prompts.all() if each.origin == "held_out"}
        measured = [each for each in run.measurements.all() if each.prompt_key in prompts]
        subjects = run.clips.get_many([key for each in measured for key in each.subject]).values()
    num = len(measured) // 2
    assert page.count("<article") == num and f"All {num} pairs" in page
    assert 'href="report/index.html"' in report and f"All {num} pairs" in report
    for text in {prompts[each.prompt_key].text for each in measured}:
        assert text in unescape(page)
    files = set(re.findall(r'(?:href|src)="(clips/[^"]+)"', page))
    assert {each.frames.sha256[:20] for each in subjects} == {Path(each).name[:20] for each in files}
    assert files and all((home / "report" / each).is_file() for each in files)
    assert {f"clips/{each.name}" for each in (home / "report" / "clips").iterdir()} == files
    clip = read_video(home / "report" / next(each for each in sorted(files) if each.endswith(".mp4")))
    assert clip.frames_THWC.std() > 0
