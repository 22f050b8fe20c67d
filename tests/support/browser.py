"""The studio in a real browser: a server in a thread, and the system's Chromium driven by Playwright."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Seen:
    """What must not happen in a page: errors, and requests to anywhere else."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@contextlib.contextmanager
def opened(chromium: Any, **options: Any) -> Iterator[tuple[Any, Seen]]:
    """A page, and what was seen of it.

    Args:
        chromium: the browser, which all tests share: Playwright starts one for each thread.
        options: those of Playwright's `new_context`.
    """
    seen = Seen()
    context = chromium.new_context(**options)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on("console", lambda each: seen.errors.append(each.text) if each.type in ("error", "warning") else None)
    page.on("pageerror", lambda each: seen.errors.append(str(each)))
    page.on("request", lambda each: seen.hosts.add(urlsplit(each.url).netloc))
    try:
        yield page, seen
    finally:
        context.close()


@contextlib.contextmanager
def served(*homes: Path, may_write: bool = False) -> Iterator[str]:
    """The studio on a free port of this machine; gives the link with the token."""
    import uvicorn

    from rushes.view.app import make_app
    from rushes.view.guard import Rules
    from rushes.view.serve import Place, link, listening
    from rushes.view.shelf import Shelf
    from rushes.view.studio import Studio

    with listening(Place(port=0)) as at, contextlib.closing(Studio(Shelf(homes), may_write)) as studio:
        rules = Rules("0123456789abcdef", int(at.getsockname()[1]), may_write=may_write)
        config = uvicorn.Config(make_app(studio, rules), log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [at]}, daemon=True)
        thread.start()
        try:
            yield link(rules)
        finally:
            server.should_exit = True
            thread.join(20)
