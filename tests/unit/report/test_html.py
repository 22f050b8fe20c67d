"""The page: complete, self-contained, escaped, and honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import NAMES, make_data, make_scorecard

from rushes.errors import StoreError
from rushes.judge.agreement import Agreement
from rushes.prompts.clip_rows import ClipRow
from rushes.records import BlobRef, Checkpoint, CostEntry, Question, Rejection, Scorecard, UnmeasuredDimension, Unscored
from rushes.report.clips import MAX_BYTES
from rushes.report.data import Example, LossCurve, Missing, ReportData, Screening, Side, SkippedSteps
from rushes.report.html import ALL_PAIRS, render_report, write_report
from rushes.report.made import skipped_steps
from rushes.report.view import MAX_CLIP_ROWS
from rushes.roles import AccuracyRow, Video

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)> & file\n\"name\".mp4"
NOT_GIVEN = (
    *("examples", "weighing", "losses", "screening", "judge_accuracy", "agreement_before", "agreement_after"),
    *("costs", "reference"),
)


class Page(HTMLParser):
    """Tags with their attributes, scripts, and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        current = self.open[-1] if self.open else ""
        if current == "script":
            self.scripts.append(data)
        elif current != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@cache
def whole() -> ReportData:
    return make_data()


@cache
def whole_page() -> str:
    return render_report(whole())


def bare(**changes: object) -> ReportData:
    """A report with nothing but the scorecard."""
    missing = {name: Missing(f"reason of {name}") for name in NOT_GIVEN}
    missing["real_clips"] = Missing("no folder")
    return replace(whole(), **(missing | {"focus": ()} | changes))  # type: ignore[arg-type]


def test_everything_is_there() -> None:
    page = Page(whole_page())
    for words in (
        "The model got better at the 3 dimensions it was aimed at",
        "Mechanics got worse",
        "the measurer has no questions about it",
        "near duplicate",
        "weighted flow",
        "motion amount",
        "7 min 07 s",
        "0123456789abcdef0123456789abcdef01234567",
        "torch 2.13.0",
        "num_steps: 200",
        "first, the middle and the last",
        *(name.replace("_", " ") for name in NAMES),
    ):
        assert words in page.text, words
    videos = [attributes for tag, attributes in page.tags if tag == "video"]
    assert len(videos) == 18
    for attributes in videos:
        assert {"loop", "autoplay", "muted", "playsinline"} <= attributes.keys()
    assert whole_page().count('class="chip">focus') == 3
    assert "4 of 4 right" in page.text and re.search(r"[0-3] of 4 right", page.text)


def test_the_page_loads_nothing_and_runs_only_its_own_script() -> None:
    page = Page(whole_page())
    for tag, attributes in page.tags:
        for name in ("src", "href", "poster", "srcset", "action", "data"):
            value = attributes.get(name)
            # One link leads out of the page, to the pairs beside it; it loads nothing.
            is_link = (tag, name, value) == ("a", "href", ALL_PAIRS)
            assert value is None or value.startswith(("data:", "#")) or is_link, (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    assert "@import" not in whole_page() and "url(" not in whole_page()
    (script,) = page.scripts
    (policy,) = (attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None and f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_the_same_run_gives_the_same_page() -> None:
    assert render_report(whole()) == whole_page()


def evil_data() -> ReportData:
    video = Video(np.zeros((2, 8, 8, 3), np.uint8), 8.0)
    question = Question(text=EVIL, expected="yes", dimension=EVIL, about=EVIL)
    side = Side(video, Unscored(reason=EVIL))
    scorecard = make_scorecard()
    return make_data(
        name=EVIL,
        scorecard=scorecard.model_copy(
            update={
                "base_model": EVIL,
                "judge": EVIL,
                "measurer": EVIL,
                "notes": (EVIL,),
                "rows": tuple(row.model_copy(update={"dimension": EVIL}) for row in scorecard.rows),
                "drift": tuple(row.model_copy(update={"name": EVIL, "unit": EVIL}) for row in scorecard.drift),
                "unmeasured": (UnmeasuredDimension(dimension=EVIL, reason=EVIL),),
            }
        ),
        header=whole().header.model_copy(update={"hardware": {EVIL: EVIL}, "versions": {EVIL: EVIL}, "commit": EVIL}),
        recipe_yaml=EVIL,
        focus=tuple(each.model_copy(update={"dimension": EVIL, "reason": EVIL}) for each in whole().focus),
        examples=(Example(EVIL, EVIL, EVIL, (question,), 1, 0, side, side),),
        weighing=Missing(EVIL),
        losses=(LossCurve(EVIL, (1, 2), (0.5, 0.4)),),
        real_clips=tuple(
            ClipRow(name=EVIL, outcome=outcome, reason=EVIL, detail=EVIL) for outcome in ("used", "cut", "dropped")
        ),
        screening=Screening(1, (Rejection(text=EVIL, dimension=EVIL, reason="unreadable", detail=EVIL),)),
        costs=(CostEntry(stage=EVIL, seconds=1.0, num_items=1, device=EVIL),),
        judge_accuracy=Missing(EVIL),
        agreement_before=Missing(EVIL),
        agreement_after=Missing(EVIL),
    )


def test_texts_of_users_and_models_are_never_markup() -> None:
    page = Page(render_report(evil_data()))
    assert len(page.scripts) == 1 and "alert" not in page.scripts[0]
    assert not [attributes for tag, attributes in page.tags if tag == "img" and attributes.get("src") == "x"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    # Every place shows the text itself: nothing was dropped instead of escaped.
    assert page.text.count("<script>alert('x')</script>") >= 30


def test_a_file_name_keeps_its_quotes_and_newlines() -> None:
    page = render_report(bare(real_clips=(ClipRow(name=EVIL, outcome="dropped", reason="odd", detail="so"),)))
    (cell,) = re.findall(r"<td>([^<]*)</td><td>odd</td>", page)
    assert html.unescape(cell) == EVIL


def test_real_clips_are_named_where_something_is_wrong_and_else_counted() -> None:
    page = Page(whole_page())
    assert (
        "199 files and metadata rows: 150 used as they are; 45 used, cut to the model's shape; 3 dropped; "
        "1 good, but not needed by the recipe." in page.text
    )
    assert "dropped 3 File Reason Details cat.mp4 unreadable no video in it can be decoded" in page.text
    assert page.text.count("long/take_") == MAX_CLIP_ROWS and "and 5 more" in page.text
    assert "take_149.mp4" not in page.text and "one more.mp4" not in page.text


def test_without_a_folder_there_is_no_word_of_one() -> None:
    assert 'id="real"' in whole_page() and 'href="#real"' in whole_page()
    assert "#real" not in render_report(bare()) and 'id="real"' not in render_report(bare())


def test_what_is_missing_says_why_and_shows_no_zero() -> None:
    card = make_scorecard().model_copy(
        update={
            "rows": (),
            "drift": (),
            "focus_gain": None,
            "focus_gain_low": None,
            "focus_gain_high": None,
            "notes": (),
        }
    )
    text = Page(render_report(bare(scorecard=card))).text
    for name in NOT_GIVEN:
        assert f"reason of {name}" in text, name
    assert "could not be measured" in text
    assert "the run has no drift panel" in text
    assert "No dimension got clearly worse" not in text
    assert not re.search(r"\d+\.\d points|\bNaN\b|\bNone\b|\bnan\b|\b0 (better|worse|pairs)", text)


def test_the_judges_accuracy_on_broken_clips_stands_beside_that_on_clean_ones() -> None:
    rows = (AccuracyRow("Mechanics", 198, 200, 150, 160), AccuracyRow("Composition", 180, 200))
    text = Page(render_report(bare(judge_accuracy=rows))).text
    section = text[text.index("How far the judge can be trusted") : text.index("What should not drift")]
    assert "On broken clips" in section
    assert "99 % of 200 94 % of 160" in section
    assert "90 % of 200 not measured" in section


def test_a_judge_that_was_not_asked_and_real_clips_that_are_not_there_are_no_zeros() -> None:
    text = Page(whole_page()).text
    assert "not judged" in text
    assert re.search(r"fine detail levels 3\.41 3\.33 latent mean", text)


def test_the_judge_is_held_to_the_measurer_on_each_models_clips_alone() -> None:
    name = NAMES[0]
    found = bare(
        judge_accuracy=(AccuracyRow(name, 180, 200),),
        agreement_before=(Agreement(name, num_both_right=70, num_both_wrong=20, num_lenient=8, num_strict=2),),
        agreement_after=(Agreement(name, num_both_right=30, num_both_wrong=5, num_lenient=14, num_strict=1),),
    )
    thin = "\u202f"
    row = "Motion Order Understanding 90 % of 200 not measured 90 % of 100 8 % 2 % 70 % of 50 28 % 2 %"
    assert row in Page(render_report(found)).text.replace(thin, " ")
    half = Page(render_report(replace(found, agreement_before=Missing("nobody asked")))).text.replace(thin, " ")
    assert "90 % of 200 not measured not measured 70 % of 50 28 % 2 %" in half and "nobody asked" in half


def test_hard_answers_are_counted_where_a_server_gave_no_probabilities() -> None:
    text = Page(render_report(bare(num_answers=40, num_hard_answers=12))).text
    assert "12 of 40 answers are a hard yes or no" in text
    assert "hard yes or no" not in Page(render_report(bare(num_answers=40))).text


def test_a_page_of_many_clips_at_the_size_of_wan_keeps_to_its_budget() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 480, 832, 3), dtype=np.uint8)
    side = Side(Video(noise, 16.0), Unscored(reason="noise"))
    example = whole().examples[0]  # type: ignore[index]
    many = tuple(replace(example, before=side, after=side) for _ in range(3))
    page = render_report(bare(examples=many))
    assert page.count("<video") == 6 and len(page) < 6 * MAX_BYTES + 100_000


def test_a_full_bar_and_a_histogram_of_one_column_are_left_out() -> None:
    page = render_report(bare(judge_accuracy=(AccuracyRow("Mechanics", 200, 200),)))
    judge = page[page.index('id="judge"') : page.index('id="drift"')]
    assert "100" in judge and "<svg" not in judge
    weighing = whole().weighing
    assert not isinstance(weighing, Missing)
    equal = render_report(bare(weighing=replace(weighing, own=[1.0] * 5)))
    assert "histogram of" not in equal and "All clips have the same weight, 1.00." in Page(equal).text
    assert "histogram of" in whole_page()


def test_real_clips_are_a_reference_for_distances_alone() -> None:
    text = Page(whole_page()).text
    section = text[text.index("What should not drift") : text.index("What it cost")]
    assert "latent mean, distance to real deviations 0.110 0.160 0.0100" in section
    assert "2.31 2.12 saturation" in section, "motion of other clips is no reference"


def test_skipped_steps_are_told_where_there_are_any() -> None:
    assert "skipped" not in Page(whole_page()).text
    text = Page(render_report(bare(skipped=(SkippedSteps(2, 3, 200),)))).text
    assert "Round 2: 3 of 200 steps were skipped because a loss or gradient was not finite." in text


def test_only_rounds_that_skipped_steps_are_told_of() -> None:
    weights = BlobRef(sha256="6b" * 32, suffix=".safetensors", num_bytes=1)
    rounds = [
        Checkpoint(key=f"{n:064x}", step=10 + n, kind="full", ema=True, weights=weights, num_skipped_steps=n, seconds=1)
        for n in (0, 2, 0, 1)
    ]
    assert skipped_steps(rounds) == (SkippedSteps(2, 2, 12), SkippedSteps(4, 1, 11))


def test_an_unscored_side_shows_its_reason() -> None:
    example = whole().examples[0]  # type: ignore[index]
    changed = Example(
        example.dimension,
        example.rule,
        example.prompt,
        example.questions,
        example.seed,
        example.seed_index,
        Side(example.before.video, Unscored(reason="too dark to tell")),
        example.after,
    )
    text = Page(render_report(bare(examples=(changed,)))).text
    assert "not scored: too dark to tell" in text
    assert "not scored on both sides" in text


def test_no_examples_and_no_focus_are_said() -> None:
    text = Page(render_report(bare(examples=()))).text
    assert "no pair of clips has a score on both sides" in text
    assert "the run aimed at no dimension" in text


def test_files_are_written_whole_and_the_json_is_the_scorecard(tmp_path: Path) -> None:
    path = write_report(bare(), tmp_path / "new" / "folder")
    assert path.name == "report.html" and path.read_text(encoding="utf-8").startswith("<!doctype html>")
    written = (path.parent / "scorecard.json").read_text(encoding="utf-8")
    assert Scorecard.model_validate_json(written) == whole().scorecard
    assert write_report(bare(), path.parent) == path
    assert sorted(each.name for each in path.parent.iterdir()) == ["report.html", "scorecard.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="no permission"):
        write_report(bare(), tmp_path)


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(StoreError):
        write_report(bare(), tmp_path / "report")


def test_a_curve_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="one value per step"):
        LossCurve("flow", (1, 2), (0.5,))
    with pytest.raises(ValueError, match="at least one"):
        LossCurve("flow", (), ())
