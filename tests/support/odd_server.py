"""A chat server in a thread that behaves, or misbehaves, as a test says: one behaviour per request, then the last one.

with OddServer(status(503), says("hello")) as server:
    ...  # the first request gets 503, all others "hello"; server.url, server.bodies, server.keys
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Behaviour = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("authorization", ""))
            server.times.append(time.monotonic())
            behaviour = server.behaviours.pop(0) if len(server.behaviours) > 1 else server.behaviours[0]
            server.now += 1
            server.most = max(server.most, server.now)
        try:
            behaviour(self, body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with server.lock:
                server.now -= 1

    def send(self, status: int, data: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        given = {"content-type": "application/json"} | (headers or {})
        for name, value in given.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class OddServer:
    """The server; `with` starts and stops it."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._http: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.behaviours = list(behaviours)
        self._http.lock = threading.Lock()
        self._http.bodies, self._http.keys, self._http.times = [], [], []
        self._http.now = self._http.most = 0
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked, in order of arrival."""
        return self._http.bodies

    @property
    def keys(self) -> list[str]:
        """The `Authorization` of each request."""
        return self._http.keys

    @property
    def times(self) -> list[float]:
        """When each request came, seconds of a monotonic clock."""
        return self._http.times

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that were being answered at the same time."""
        return self._http.most

    def __enter__(self) -> OddServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()


def asked_text(body: dict[str, Any]) -> str:
    """All words of a request, images left out."""
    found = []
    for message in body["messages"]:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        found += parts
    return "\n".join(found)


def completion(text: str, top: dict[str, float] | None = None, finish: str = "stop", **usage: int) -> bytes:
    """A chat completion; `top` are the probabilities of the first token's candidates."""
    choice: dict[str, Any] = {
        "index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}, "logprobs": None,
    }  # fmt: skip
    if top is not None:
        chances = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in top.items()]
        choice["logprobs"] = {"content": [{"token": text, "logprob": -0.1, "top_logprobs": chances}]}
    counted = {"prompt_tokens": usage.get("num_input", 100), "completion_tokens": usage.get("num_output", 1)}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": counted}).encode()


def says(text: str, top: dict[str, float] | None = None, **usage: int) -> Behaviour:
    """A good reply."""
    return lambda handler, body: handler.send(200, completion(text, top, **usage))


def replies(reply: Callable[[dict[str, Any]], str]) -> Behaviour:
    """A good reply that depends on the request."""
    return lambda handler, body: handler.send(200, completion(reply(body)))


def cut_off(text: str) -> Behaviour:
    """A reply that ended because its tokens were used up."""
    return lambda handler, body: handler.send(200, completion(text, finish="length"))


def status(code: int, message: str = "something is wrong", **headers: str) -> Behaviour:
    """An error with a JSON body, as OpenAI-compatible servers give it."""
    data = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, body: handler.send(code, data, named)


def page(code: int = 200) -> Behaviour:
    """A web page instead of an answer."""
    html = b"<!DOCTYPE html><html><body><h1>Welcome to nginx!</h1></body></html>"
    return lambda handler, body: handler.send(code, html, {"content-type": "text/html"})


def raw(data: bytes) -> Behaviour:
    """These bytes with status 200."""
    return lambda handler, body: handler.send(200, data)


def slow(seconds: float, then: Behaviour) -> Behaviour:
    """Wait, then behave."""

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(seconds)
        then(handler, body)

    return behave


def hangs_up(handler: Handler, body: dict[str, Any]) -> None:
    """Close the connection in the middle of the answer."""
    handler.send(200, b'{"choices": [', length=10_000)
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.close()


def refuses(setting: str, message: str, then: Behaviour) -> Behaviour:
    """400 for requests with a setting that this server does not take; behaves for all others."""
    refusal = status(400, message)
    return lambda handler, body: (refusal if setting in body else then)(handler, body)
