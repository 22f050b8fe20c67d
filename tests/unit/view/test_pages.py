"""What the pages show is what the records hold, and nobody's text becomes part of a page."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from rushes.records import Checkpoint
from rushes.store.events import EventLog
from rushes.store.run import Run
from rushes.view.choice import SORTS
from rushes.view.index import Index, Progress
from rushes.view.pages import prompts
from tests.support.made_run import HOSTILE, key, make_run
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.studio import address, client


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "made", texts=HOSTILE, measured=True)


def shown(html: str) -> str:
    """The text of a page as a person reads it."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


PAGES = ("", "prompts", "clips", "pairs")


@pytest.mark.parametrize("page", PAGES)
def test_hostile_text_stays_text(home: Path, page: str) -> None:
    html = client(home).get(address(home, page)).text
    assert "<script>window" not in html and "<img src=x" not in html and "onerror=window.hacked=1>" not in html
    assert "49" not in re.findall(r"7 \* 7|49 ", html)
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)


def test_prompts_show_every_text_with_what_became_of_it(home: Path) -> None:
    text = shown(client(home).get(address(home, "prompts")).text)
    assert "19 texts" in text and "near duplicate: 0.94" in text
    assert '<script>window.hacked = 1</script> a "ball"' in text


def test_prompts_are_found_by_word_dimension_and_fate(home: Path) -> None:
    page = client(home)
    refused = shown(page.get(address(home, "prompts"), params={"fate": "refused"}).text)
    assert "1 texts" in refused and "a ball and a ball" in refused
    assert "6 texts" in shown(page.get(address(home, "prompts"), params={"used_for": "weakness"}).text)


def test_rows_of_clips_are_plain_values(home: Path) -> None:
    found = client(home).get(address(home, "clips/rows")).json()
    assert found["count"] == 12 + 24 and found["is_whole"] and len(found["rows"]) == 36
    assert {row["model"] for row in found["rows"]} == {"base", "step 200"}
    assert not any("\x1b" in row["text"] for row in found["rows"])


@pytest.mark.parametrize("sort", SORTS)
def test_clips_are_sorted(home: Path, sort: str) -> None:
    rows = client(home).get(address(home, "clips/rows"), params={"sort": sort}).json()["rows"]
    by = {
        "best": lambda row: -row["score"],
        "worst": lambda row: row["score"],
        "measured": lambda row: (row["measured"] is None, -(row["measured"] or 0)),
        "weight": lambda row: (row["weight"] is None, -(row["weight"] or 0)),
        "apart": lambda row: -1 if row["measured"] is None else abs(row["score"] - row["measured"]),
    }.get(sort)
    if by is not None:
        assert [by(row) for row in rows] == sorted(map(by, rows), reverse=sort == "apart")


def test_clips_are_chosen_by_what_they_have(home: Path) -> None:
    page = client(home)

    def num(**query: object) -> int:
        return int(page.get(address(home, "clips/rows"), params=query).json()["count"])

    rows = page.get(address(home, "clips/rows")).json()["rows"]
    assert num(model=key("tuned")) == 12 and num(used_for="weakness") == 12 and num(take=1) == 6
    assert num(dimension="Mechanics") == sum(row["dimension"] == "Mechanics" for row in rows)
    assert num(score_from=0.1, score_to=0.2) == sum(0.1 <= row["score"] <= 0.2 for row in rows)
    assert num(measured_from=0.5) == sum((row["measured"] or 0) >= 0.5 for row in rows) > 0
    assert num(measured_to=0.4) == sum(row["measured"] is not None and row["measured"] <= 0.4 for row in rows) > 0
    assert num(weight_from=0.1) == sum((row["weight"] or 0) >= 0.1 for row in rows)
    assert num(text="BALL very") == 4 and num(text="ROLLS number") == 12
    assert num(text="b_ll") == 0 and num(sort="; DROP TABLE clips") == 36


def test_a_clip_shows_both_programs_words(home: Path) -> None:
    clip = key("clip", key("held_out", 6), 0, key("tuned"))
    text = shown(client(home).get(address(home, f"clip/{clip}")).text)
    assert "Is it blue?" in text and "P(yes)" in text and "1.00 right" in text and "step 200" in text


def test_a_clip_that_is_not_read_yet_is_shown_nevertheless(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "catch_up", lambda _: Progress(0, 9, 0))
    answer = client(home).get(address(home, f"clip/{key('clip', key('weakness', 0), 0, 'base')}"))
    assert answer.status_code == 200 and "The rest of the run is being read" in answer.text


def test_prompts_come_in_pages(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "PAGE_SIZE", 5)
    page = client(home)
    found = [page.get(address(home, "prompts"), params={"from": begin}).text for begin in (0, 5, 10, 15)]
    assert [each.count('<th scope="row">') for each in found] == [5, 5, 5, 4]
    texts = [text for each in found for text in re.findall(r'<bdi dir="auto">(.*?)</bdi>', each)]
    assert len(texts) == 19 and all("19</b> texts" in each for each in found)


def test_curves_of_the_rate_and_the_gradient_are_shown_with_what_they_are(tmp_path: Path) -> None:
    home = make_run(tmp_path / "run", num_prompts=1)
    curves = {name: [[1, 0.1], [2, 0.2]] for name in ("learning_rate", "gradient_norm")}
    with Run.open(home, sandbox_recipe(name="made")) as run:
        stored = run.blobs.put_bytes(json.dumps(curves | {"held_out_own": [[0, 0.5]]}).encode(), ".json")
        weights = run.blobs.put_bytes(b"weights", ".safetensors")
        run.checkpoints.land(
            [Checkpoint(key=key("t"), step=2, kind="full", ema=True, weights=weights, curves=stored, seconds=1.0)]
        )
    text = shown(client(tmp_path).get(address(home)).text)
    assert "learning rate" in text and "train.warmup_steps" in text
    assert "gradient norm" in text and "train.max_grad_norm" in text
    assert "0.500 at step 0, its only value so far" in text


def test_steps_of_training_have_no_time_of_their_own(tmp_path: Path) -> None:
    home = make_run(tmp_path / "run", num_prompts=1)
    EventLog(home / "events.jsonl").write("progress", stage="training steps", num_done=3, num_total=9)
    page = client(tmp_path).get(address(home)).text
    (row,) = [each for each in page.split("<tr") if "training steps" in each and "data-label" in each]
    assert "in checkpoints" in row and "0.0 s" not in row


def test_a_video_plays_in_a_browser(home: Path) -> None:
    clip = key("clip", key("weakness", 0), 0, "base")
    page = client(home)
    whole = page.get(address(home, f"clip/{clip}/video.mp4"))
    assert whole.headers["content-type"] == "video/mp4" and b"ftyp" in whole.content[:16]
    part = page.get(address(home, f"clip/{clip}/video.mp4"), headers={"range": "bytes=0-9"})
    assert part.status_code == 206 and part.content == whole.content[:10]
    still = page.get(address(home, f"clip/{clip}/still.webp")).content
    assert still[:4] == b"RIFF" and still[8:12] == b"WEBP"


def test_pairs_are_all_there_and_sorted_by_gain(home: Path) -> None:
    page = client(home)
    html = page.get(address(home, "pairs")).text
    assert html.count("<article") == 12 and "12 pairs" in shown(html)
    gains = re.findall(r'<b class="(?:good|bad|soft)">([^<]+)</b>', html)
    assert gains[0].startswith("+") and gains == sorted(gains, key=lambda each: -float(each.replace("\u2212", "-")))
    better = page.get(address(home, "pairs"), params={"fate": "better"}).text
    assert 0 < better.count("<article") < 12


def test_pairs_get_the_scores_that_were_read_later(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, real = client(home), Index.catch_up
    monkeypatch.setattr(Index, "catch_up", lambda _: Progress(0, 9, 0))
    first = page.get(address(home, "pairs")).text
    assert "data-reading" in first and "judge 0." not in shown(first)
    monkeypatch.setattr(Index, "catch_up", real)
    then = page.get(address(home, "pairs")).text
    assert "data-reading" not in then and "judge 0." in shown(then), "what was kept before all was read is stale"


def test_compare_gives_the_gain_with_its_interval(home: Path) -> None:
    name = address(home).split("/")[-1]
    text = shown(client(home).get("/compare", params={"run": name}).text)
    assert "step 200" in text and "+75.0" in text and "Composition" in text


@pytest.mark.parametrize("path", ["/run/nobody", "/run/..%2f..%2fetc/clips", "/run/%2e%2e/prompts", "/run//clips"])
def test_there_is_nothing_outside(home: Path, path: str) -> None:
    assert client(home).get(path).status_code == 404


@pytest.mark.parametrize("clip", ["0" * 64, "..%2f..%2fheader.json", "x", "%00"])
def test_a_clip_that_is_not_there(home: Path, clip: str) -> None:
    for rest in ("", "/video.mp4", "/still.webp"):
        assert client(home).get(address(home, f"clip/{clip}") + rest).status_code == 404


def test_looking_changes_nothing(home: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith("records.sqlite-")]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before, page = state(), client(home)
    for each in PAGES:
        page.get(address(home, each))
    page.get(address(home, f"clip/{key('clip', key('weakness', 0), 0, 'base')}/video.mp4"))
    assert state() == before


def test_a_run_works_while_it_is_looked_at(tmp_path: Path) -> None:
    home = make_run(tmp_path / "run", num_prompts=3)
    page = client(tmp_path)
    assert page.get(address(home, "clips/rows")).json()["count"] == 6
    make_run(home, num_prompts=5)  # opens it for writing, and adds to it
    assert page.get(address(home, "clips/rows")).json()["count"] == 10


def test_records_that_were_dropped_leave_the_list(tmp_path: Path) -> None:
    home = make_run(tmp_path / "run", num_prompts=3)
    page = client(tmp_path)
    assert page.get(address(home, "clips/rows")).json()["count"] == 6
    with Run.open(home, sandbox_recipe(name="made")) as run:
        run.clips.drop([key("clip", key("weakness", 0), 0, "base")])
    assert page.get(address(home, "clips/rows")).json()["count"] == 5


def test_a_damaged_folder_is_a_row_with_its_problem(tmp_path: Path) -> None:
    make_run(tmp_path / "good", num_prompts=1)
    bad = make_run(tmp_path / "bad", num_prompts=1)
    (bad / "header.json").write_text("{")
    answer = client(tmp_path).get("/")
    assert answer.status_code == 200 and "header.json" in answer.text and "good" in answer.text
    assert "rushes check" in client(tmp_path).get(address(bad, "prompts")).text


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = make_run(tmp_path / "outside" / "secret", num_prompts=1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(outside)
    assert "runs/link" not in client(tmp_path / "runs").get("/").text
    assert client(tmp_path / "runs").get(address(outside)).status_code == 404
