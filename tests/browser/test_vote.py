"""Voting in a real browser: forty pairs by the keyboard, with undo and a reload; and the page that works offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.view.shelf import name_of
from rushes.vote.folder import INDEX, PAGE, folder_of, keep_study
from rushes.vote.pairs import Wanted, make_study
from rushes.vote.records import OVERALL, Study
from rushes.vote.replies import all_replies, read_replies
from rushes.vote.result import vote_result
from tests.support.browser import opened
from tests.support.studio import serving
from tests.support.voted import make_voted_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
EVIL = "</script><script>alert(1)</script> \"'><img src=x onerror=alert(1)> \u202eball"
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "ArrowDown", "cannot_tell": "x"}
READY = "() => !document.querySelector('[data-choice=left]').disabled || !document.getElementById('finished').hidden"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voted_run(tmp_path_factory.mktemp("runs") / "run", 40, EVIL)


@pytest.fixture(scope="module")
def study(home: Path) -> Study:
    with Run.view(home) as run:
        made = make_study(run, recipe_of(home), Wanted(num=20, seed=1))
        keep_study(run, made)
    return made


def asked(page: Any) -> tuple[str, str]:
    """The pair and the question that the page shows, once it can be answered."""
    page.wait_for_function(READY)
    name = page.get_attribute("#left", "src").rsplit("/", 1)[-1].split("-")[0]
    assert page.get_attribute("#right", "src").endswith(f"/{name}-right.mp4")
    return name, OVERALL if page.inner_text("#question").startswith("All in all") else "own"


def choice_of(study: Study, name: str, question: str) -> str:
    """What this person says: the right thing where it is a check, else anything, by the name of the pair alone."""
    (pair,) = [each for each in study.pairs if each.name == name]
    right = {"noise_left": "right", "noise_right": "left", "same": "tie"}
    number = int(name[1:]) + (question == OVERALL)
    return right.get(pair.check or "") or ("left", "right", "right", "tie", "left", "cannot_tell")[number % 6]


def begin(page: Any, rater: str) -> None:
    page.fill("#rater", rater)
    page.press("#rater", "Enter")
    page.wait_for_selector("#voting:not([hidden]), #finished:not([hidden])")


def vote(page: Any, study: Study, given: dict[tuple[str, str], str], most: int, press: Callable[[str], None]) -> None:
    """Answer what is asked, up to so many answers in all."""
    while len(given) < most and page.is_hidden("#finished"):
        name, question = asked(page)
        assert (name, question) not in given, "nothing is asked twice"
        given[name, question] = choice_of(study, name, question)
        press(given[name, question])


def by_name(study: Study, given: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """The same with the names of dimensions."""
    own = {pair.name: pair.dimension for pair in study.pairs}
    return {(name, own[name] if question == "own" else question): each for (name, question), each in given.items()}


def test_forty_pairs_by_the_keyboard_are_decoded_into_the_stored_result(
    browser: Browser, home: Path, study: Study
) -> None:
    num = sum(len(pair.questions) for pair in study.pairs)
    assert sum(pair.check is None for pair in study.pairs) == 40
    given: dict[tuple[str, str], str] = {}
    with serving(home, may_write=True) as link, opened(browser) as (page, seen):
        page.goto(link)
        address = f"{link.split('/?')[0]}/run/{name_of(home)}/vote"

        def press(choice: str) -> None:
            page.keyboard.press(KEYS[choice])

        page.goto(address)
        page.click("text=Vote in this study")
        begin(page, "ann <b>")
        vote(page, study, given, 30, press)
        # Undo: the last one is asked again.
        last = list(given)[-1]
        page.keyboard.press("u")
        page.wait_for_function(READY)
        del given[last]
        assert asked(page) == last
        vote(page, study, given, 40, press)
        page.wait_for_function("() => document.getElementById('count').textContent.startsWith('40 of')")
        page.reload()
        assert page.input_value("#rater") == "ann <b>"
        begin(page, "ann <b>")
        page.wait_for_function("() => document.getElementById('count').textContent.startsWith('40 of')")
        vote(page, study, given, num, press)
        page.wait_for_selector("#finished:not([hidden])")
        page.wait_for_timeout(500)
        page.goto(address)
        assert f"{num} of {num}" in page.inner_text("main") and "ann <b>" in page.inner_text("main")
    assert not seen.problems and seen.hosts == {link.split("/")[2]}
    assert len(given) == num
    (replies,) = all_replies(home, study)
    assert replies.rater == "ann <b>"
    assert {(each.pair, each.question): each.choice for each in replies.replies} == by_name(study, given)
    assert all(each.seconds is not None and each.seconds >= 0 for each in replies.replies)
    # The sides, decoded here from nothing but the study and the clips' own records.
    with Run.view(home) as run:
        scorecard = run.scorecard()
        assert scorecard is not None
        model = {clip.key: clip.model for clip in run.clips.all()}
        found = vote_result(run, recipe_of(home), study, [replies])
    won = tied = lost = 0
    for pair in study.pairs:
        choice = given.get((pair.name, OVERALL))
        if pair.check is None and choice in ("left", "right"):
            is_won = model[getattr(pair, choice)] == scorecard.tuned_model
            won, lost = won + is_won, lost + (not is_won)
        tied += pair.check is None and choice == "tie"
    assert not found.raters[0].is_left_out
    win = found.questions[0].audit.wins[0]
    assert (win.num_won, win.num_tied, win.num_lost) == (won, tied, lost) and min(won, tied, lost) > 0


def test_the_offline_page_keeps_votes_saves_them_and_sends_nothing(
    browser: Browser, home: Path, study: Study, tmp_path: Path
) -> None:
    address = (folder_of(home, study.study) / PAGE / INDEX).absolute().as_uri()
    num, given = sum(len(pair.questions) for pair in study.pairs), dict[tuple[str, str], str]()
    with opened(browser, viewport={"width": 390, "height": 844}, has_touch=True, accept_downloads=True) as (page, seen):

        def tap(choice: str) -> None:
            page.tap(f"[data-choice={choice}]")

        page.goto(address)
        begin(page, "bob")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it fits a phone"
        vote(page, study, given, 12, tap)
        page.reload()
        begin(page, "bob")
        page.wait_for_function("() => document.getElementById('count').textContent.startsWith('12 of')")
        vote(page, study, given, 14, tap)
        with page.expect_download() as saved:
            page.click("#voting .save")
        file = tmp_path / "votes.json"
        saved.value.save_as(file)
        assert saved.value.suggested_filename == f"votes-{study.study}-bob.json"
    assert not seen.problems and seen.hosts <= {""}
    assert json.loads(file.read_text())["rushes_votes"] == 1
    replies = read_replies(file, study)
    assert {(each.pair, each.question): each.choice for each in replies.replies} == by_name(study, given)
    assert num > 14
