"""The studio without a browser (a client that has the cookie), and as a server for one."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.testclient import TestClient

from rushes.view.app import make_app
from rushes.view.guard import Rules
from rushes.view.serve import Place, link, listening
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


@contextlib.contextmanager
def serving(*homes: Path, may_write: bool = False) -> Iterator[str]:
    """A real server on a free port until the block ends; gives the link that `rushes view` prints."""
    with listening(Place(port=0)) as server_socket, contextlib.closing(Studio(Shelf(homes), may_write)) as studio:
        rules = Rules(secrets.token_urlsafe(8), server_socket.getsockname()[1], may_write=may_write)
        config = uvicorn.Config(
            make_app(studio, rules), log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [server_socket]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        try:
            yield link(rules)
        finally:
            studio.closing.set()
            server.should_exit = True
            thread.join(20)
