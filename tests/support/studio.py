"""The studio without a browser: a client that has the cookie, and requests as a server sees them."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from rushes.view.app import make_app
from rushes.view.guard import Rules
from rushes.view.shelf import Shelf, name_of
from rushes.view.studio import Studio

RULES = Rules(token="0123456789abcdef", port=8600)


def stranger(*homes: Path, rules: Rules = RULES) -> TestClient:
    """A client without a cookie; it raises what the app raises."""
    app = make_app(Studio(Shelf(homes), rules.may_write), rules)
    return TestClient(app, base_url=f"http://127.0.0.1:{rules.port}", follow_redirects=False)


def client(*homes: Path, may_write: bool = False) -> TestClient:
    """A client that opened the link."""
    rules = Rules(RULES.token, RULES.port, may_write=may_write)
    found = stranger(*homes, rules=rules)
    found.cookies.set(rules.cookie, rules.token)
    return found


def address(home: Path, page: str = "") -> str:
    """The address of a page of a run."""
    return f"/run/{name_of(home.absolute())}{'/' + page if page else ''}"
