"""A real browser: the system's Chromium, driven by Playwright. Without it these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import opened

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


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a new window; the test fails if it had any trouble. `@pytest.mark.parametrize("page", [dict(...)],
    indirect=True)` sets the window's size and more."""
    options: dict[str, Any] = getattr(request, "param", {})
    with opened(browser, **options) as (found, seen):
        yield found
    assert not seen.problems
    assert all(host.startswith("127.0.0.1:") or not host for host in seen.hosts), "a request off the host"
