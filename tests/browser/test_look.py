"""How pages look: contrast of every text in light and dark, nothing cut off on a phone, pairs of one height."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rushes.report.html import render_report
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.vote.folder import keep_study
from rushes.vote.pairs import Wanted, make_study
from tests.support.browser import LOW_CONTRAST
from tests.support.made_run import HOSTILE, key, make_run
from tests.support.studio import address, serving
from tests.support.voted import make_voted_run

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "report"))
from synthetic_run import make_data

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}
TABS = ("", "prompts", "clips", "pairs", "generate", "vote")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "made", texts=HOSTILE, measured=True)


@pytest.fixture(scope="module")
def voted(made: Path) -> Path:
    home = make_voted_run(made.parent / "voted", 6)
    with Run.view(home) as run:
        keep_study(run, make_study(run, recipe_of(home), Wanted(num=3, seed=1)))
    return home


@pytest.fixture(scope="module")
def link(made: Path, voted: Path) -> Iterator[str]:
    with serving(made.parent, may_write=True) as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(make_data(num_pairs=9)), "utf-8")
    return path


def check(page: Page, what: str) -> None:
    """Every text can be read, and nothing is wider than the window."""
    found = page.evaluate(LOW_CONTRAST)
    assert found["num"] > 10 and not found["found"], (what, found["found"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what


@pytest.mark.parametrize("page", LOOKS.values(), indirect=True, ids=LOOKS)
def test_every_page_of_the_studio_can_be_read(page: Page, link: str, made: Path, voted: Path) -> None:
    base = link.partition("/?")[0]
    page.goto(link)
    study = next((voted / "votes").iterdir()).name
    clip = key("clip", key("weakness", 0), 0, "base")
    runs = "&".join(f"run={address(each).split('/')[-1]}" for each in (made, voted))
    paths = ["/", f"/compare?{runs}", *(address(made, each) for each in TABS)]
    paths += [address(made, f"clip/{clip}?at=1"), address(voted, "vote"), address(voted, f"vote/{study}")]
    for path in paths:
        page.goto(base + path)
        page.wait_for_load_state("load")
        check(page, path)


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_the_tab_that_one_is_at_is_in_sight_on_a_phone(page: Page, link: str, made: Path) -> None:
    page.goto(link)
    for tab in TABS:
        page.goto(link.partition("/?")[0] + address(made, tab))
        box = page.locator(".tabs a[aria-current]").bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390, tab


@pytest.mark.parametrize("page", LOOKS.values(), indirect=True, ids=LOOKS)
def test_the_report_can_be_read(page: Page, report: Path) -> None:
    page.goto(report.absolute().as_uri())
    check(page, "report")
    cut = page.evaluate(
        "() => [...document.querySelectorAll('td, th, h1, h2, h3, p')].filter((each) => each.checkVisibility() &&"
        " !each.closest('details:not([open])') && each.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert cut == 0, "a column is cut off"


def test_clips_of_a_pair_have_one_height_and_controls(page: Page, report: Path) -> None:
    page.goto(report.absolute().as_uri())
    sides = page.evaluate(
        "() => [...document.querySelectorAll('.card .sides')].map((pair) => [...pair.querySelectorAll('video')]"
        ".map((video) => [video.offsetHeight, video.getBoundingClientRect().top, video.controls]))"
    )
    assert len(sides) == 9
    for (height, top, has_controls), other in sides:
        assert height > 0 and [height, top, has_controls] == other and has_controls


def test_a_printed_report_keeps_its_plots_and_does_not_split_its_cards(page: Page, report: Path) -> None:
    page.goto(report.absolute().as_uri())
    page.emulate_media(media="print")
    kept = page.evaluate(
        "() => [...document.querySelectorAll('.card, svg.plot, tr')].filter((each) => each.checkVisibility())"
        ".map((each) => getComputedStyle(each).breakInside)"
    )
    assert len(kept) > 30 and set(kept) == {"avoid"}
    assert page.evaluate("() => [...document.querySelectorAll('svg.plot')].every((each) => each.checkVisibility())")
