"""A Hub in a thread that answers, or fails, as the name of the model asked for says.

with OddHub({"someone/gated": refusal(403, "GatedRepo")}) as hub:
    ...  # hub.url is what HF_ENDPOINT names; hub.asked are the requests, such as "HEAD /someone/gated/resolve/..."
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What every request for a model's files gets."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_cut: bool = False
    """Whether the connection ends in the middle of the body."""


def file(body: bytes, **more: Any) -> Answer:
    """A file as the Hub sends it: named by its commit and its content."""
    tag = f'"{hashlib.sha1(body).hexdigest()}"'
    return Answer(200, body, {"x-repo-commit": "a" * 40, "etag": tag, "content-type": "application/json"}, **more)


def refusal(status: int, code: str | None = None, message: str = "something is wrong") -> Answer:
    """An error as the Hub sends it: the code in a header says which."""
    headers = {"x-error-message": message} | ({"x-error-code": code} if code else {})
    return Answer(status, json.dumps({"error": message}).encode(), headers)


def page(status: int = 200) -> Answer:
    """A web page instead, as a proxy or a hotel's network sends it."""
    return Answer(status, b"<!DOCTYPE html><html><body>Welcome!</body></html>", {"content-type": "text/html"})


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(f"{self.command} {self.path}")
        answer: Answer = server.answers.get("/".join(self.path.split("/")[1:3]), refusal(404, "RepoNotFound"))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.is_cut else answer.body)
        self.close_connection = answer.is_cut

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class OddHub:
    """The server; `with` starts and stops it."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._http: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.answers, self._http.asked = answers, []
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def asked(self) -> list[str]:
        """The requests, in order of arrival."""
        return self._http.asked

    def __enter__(self) -> OddHub:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
