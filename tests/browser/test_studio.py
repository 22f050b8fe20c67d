"""The studio in a real browser: live, large, hostile, and from another site."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rushes.pipeline import improve
from tests.support.made_run import HOSTILE, key, make_run
from tests.support.studio import address, serving
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
BOTH = "[...document.querySelectorAll('article video')].slice(0, 2)"


def until(page: Page, script: str, *, tries: int = 600) -> None:
    """Wait until a script gives true; Playwright's own waiting needs `eval`, which the pages forbid."""
    for _ in range(tries):
        if page.evaluate(script):
            return
        time.sleep(0.1)
    raise AssertionError(f"never true: {script}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / '<img src=x onerror="window.hacked=1">'
    return make_run(folder, texts=HOSTILE, measured=True)


@pytest.fixture(scope="module")
def link(home: Path) -> Iterator[str]:
    with serving(home.parent) as found:
        yield found


def at(link: str, path: str) -> str:
    """The address of a path on the server that a link leads to."""
    return link.partition("/?")[0] + path


@pytest.mark.slow
@pytest.mark.parametrize("page", [{}, DARK, PHONE], indirect=True, ids=["desktop", "dark", "phone"])
def test_every_page_without_trouble(page: Page, link: str, home: Path) -> None:
    """Hostile captions, file names and recipe names are on every page; nothing is wider than the window."""
    page.goto(link)
    clip = key("clip", key("weakness", 0), 0, "base")
    pages = ["", "prompts", "clips", "pairs", f"clip/{clip}?at=1"]
    for path in ["/", f"/compare?run={address(home).split('/')[-1]}", *(address(home, each) for each in pages)]:
        page.goto(at(link, path))
        page.wait_for_load_state("load")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.locator("h1").count() == 1


def test_a_clip_steps_by_frames_and_by_keys(page: Page, link: str, home: Path) -> None:
    page.goto(link)
    page.goto(at(link, address(home, f"clip/{key('clip', key('weakness', 0), 0, 'base')}")))
    until(page, "() => document.querySelector('.stage video').readyState >= 2")
    where = page.locator(".stage .where")
    for pressed, shown in ((".", "frame 2"), (".", "frame 3"), (",", "frame 2")):
        page.keyboard.press(pressed)
        until(page, f"document.querySelector('.stage .where').textContent === '{shown}'")
    assert where.text_content() == "frame 2"
    page.keyboard.press("+")
    assert page.evaluate("document.querySelector('.stage video').playbackRate") == 1.5
    page.keyboard.press("l")
    assert page.evaluate("document.querySelector('.stage video').loop") is False


def test_a_pair_plays_together(page: Page, link: str, home: Path) -> None:
    page.goto(link)
    page.goto(at(link, address(home, "pairs")))
    pair = page.locator("article").first
    pair.locator("button", has_text="Play").click()
    until(page, "[...document.querySelectorAll('article video')].slice(0, 2).every(v => v.currentTime > 0.2)")
    pair.focus()
    page.keyboard.press(".")
    together = "Math.abs(a.currentTime - b.currentTime) < 0.01"
    until(page, f"() => {{ const [a, b] = {BOTH}; return a.paused && b.paused && {together} }}")


@pytest.mark.slow
def test_thousands_of_clips_are_scrolled(page: Page, tmp_path: Path) -> None:
    home = make_run(tmp_path / "large", num_prompts=1250, num_takes=4)
    with serving(tmp_path) as link:
        page.goto(link)
        page.goto(at(link, address(home, "clips?sort=new")))
        page.wait_for_selector("li.clip")
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            page.evaluate("share => scrollTo(0, share * document.documentElement.scrollHeight)", share)
            until(
                page,
                "() => [...document.querySelectorAll('li.clip')].some(card => {"
                " const box = card.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; })",
            )
            assert page.locator("li.clip").count() < 80
        page.wait_for_selector('li.clip[aria-posinset="5000"]')
        page.locator('li.clip[aria-posinset="5000"] a').focus()
        page.keyboard.press("ArrowLeft")
        until(page, "() => document.activeElement.closest('li')?.getAttribute('aria-posinset') === '4999'")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=4999 of 5000")
        page.locator("a[rel=next]").click()
        page.wait_for_selector("text=5000 of 5000")
        page.goto("about:blank")


@pytest.mark.slow
def test_a_run_is_watched_to_its_end(page: Page, tmp_path: Path) -> None:
    """The list shows a run as soon as it begins, and its page follows it to the result, without being loaded again."""
    model = make_tiny_wan(tmp_path / "model")
    recipe, home = tiny_recipe(model), tmp_path / "runs" / "live"
    home.parent.mkdir()
    with serving(home.parent) as link:
        page.goto(link)
        page.wait_for_selector("text=No run is in")
        improve(recipe, home, until="prompts")
        page.wait_for_selector("text=runs/live")
        page.locator("a", has_text="runs/live").click()
        page.wait_for_selector(".state.stopped")
        page.evaluate("window.loaded = 'once'")
        page.evaluate(
            "() => { window.states = []; new MutationObserver(() => window.states.push(document.querySelector('.state')"
            "?.textContent)).observe(document.body, {childList: true, subtree: true}); }"
        )
        improve(recipe, home)
        page.wait_for_selector(".state.finished")
        page.wait_for_selector("#result")
        assert page.evaluate("window.loaded") == "once"
        assert "running" in page.evaluate("window.states")
        page.goto("about:blank")


def test_without_the_token_there_is_nothing(browser: Browser, link: str) -> None:
    context = browser.new_context()
    answer = context.new_page().goto(at(link, "/"))
    assert answer is not None and answer.status == 401
    context.close()


def test_another_site_gets_nothing(browser: Browser, link: str, tmp_path: Path) -> None:
    """A page of another origin in the same browser, which has the cookie: it reads nothing and shows nothing."""
    (tmp_path / "evil.html").write_text(f"<iframe src='{at(link, '/')}'></iframe>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(link)
        page.goto("about:blank")
        answers: list[tuple[str, int]] = []
        page.on("response", lambda got: answers.append((got.url, got.status)))
        page.goto(f"http://localhost:{other.server_port}/evil.html")
        for mode in ("cors", "no-cors"):
            script = "([to, mode]) => fetch(to, {credentials: 'include', mode}).then(a => a.text(), () => 'refused')"
            assert page.evaluate(script, [at(link, "/"), mode]) in ("refused", "")
        frame = page.frames[1]
        assert "Runs" not in (frame.text_content("body") or "") if not frame.is_detached() else True
        assert [each for each in answers if each[0] == at(link, "/") and each[1] < 400] == []
        context.close()
        other.shutdown()
