"""A real browser: the system's Chromium, driven by Playwright. Without it these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, started once a file: while it runs, no other test of this process can run an event loop."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser for the studio's tests: none of {', '.join(NAMES)} (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        # Without its own sandbox, which the root user of a container cannot have; it opens our pages alone.
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@dataclass
class Seen:
    """What a page did that it must not."""

    problems: list[str] = field(default_factory=list)
    """Errors and warnings in the console, errors of scripts, requests to another host, answers of 400 and more."""


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a new window; the test fails if it had any trouble. `@pytest.mark.parametrize("page", [dict(...)],
    indirect=True)` sets the window's size and more."""
    options: dict[str, Any] = getattr(request, "param", {})
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(60_000)
    found, seen = context.new_page(), Seen()
    found.on("console", lambda said: seen.problems.append(f"{said.type}: {said.text}") if said.type != "log" else None)
    found.on("pageerror", lambda error: seen.problems.append(f"script: {error}"))
    found.on("dialog", lambda dialog: (seen.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    found.on("request", lambda sent: _check_host(sent.url, seen))
    found.on("response", lambda got: seen.problems.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
    yield found
    context.close()
    assert not seen.problems


def _check_host(url: str, seen: Seen) -> None:
    if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
        seen.problems.append(f"off the host: {url}")
