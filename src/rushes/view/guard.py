"""Who may ask the studio for what: the right host, the right origin, the token, and no writing unless it is allowed.

A web page that somebody visits can send requests to 127.0.0.1. It cannot read the token, which is in the link that is
printed and then in a cookie that no script reads and no other site sends; it cannot hide its origin; and a name that it
points to this machine is not among the hosts. Any one of the three would do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READING: Final = frozenset({"GET", "HEAD"})
TOKEN: Final = "token"
"""Name of the parameter in the printed link."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing but this server's own files: no inline script or style, no other host, no frame."""
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it browsers say the origin `null` when a form is sent, and the guard refuses that.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Rules:
    """What the guard holds a request against.

    Example: `Rules(token="s3cret", port=8600, host="127.0.0.1", may_write=False)`.
    """

    token: str
    """The secret of this server, made anew at each start."""
    port: int
    """Where it listens."""
    host: str = "127.0.0.1"
    """The interface that it listens on."""
    may_write: bool = False
    """Whether anything but reading is allowed."""

    @property
    def cookie(self) -> str:
        """Name of the cookie: browsers share cookies between the ports of a host."""
        return f"rushes-view-{self.port}"

    def is_host(self, header: str) -> bool:
        """Whether a `Host` header names this server: a name that somebody else's server hands out never does."""
        name, _, port = header.rpartition(":") if not header.endswith("]") else (header, "", "")
        if (port or "80") != str(self.port):
            return False
        if name in {"localhost", "127.0.0.1", "[::1]", self.host, f"[{self.host}]"}:
            return True
        return not is_loopback(self.host) and _is_address(name.strip("[]"))


class Guard:
    """Middleware in front of the app: refuses, or adds the headers that keep a page to itself."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        """Args: app: what it guards. rules: what it holds requests against."""
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._admission(scope)
        await (answer or self.app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request may not be answered, whoever sends it; None if it may."""
        headers, host = Headers(scope=scope), Headers(scope=scope).get("host", "")
        if not self.rules.is_host(host):
            return _refused(f"this server is not {host!r}: open the link that rushes view printed", 421)
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _refused("requests of other sites are refused", 403)
        is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if is_foreign and headers.get("sec-fetch-mode") != "navigate":
            return _refused("requests of other sites are refused", 403)
        if scope["method"] in READING:
            return None
        if not self.rules.may_write:
            return _refused("this server only reads: start it with rushes view --write", 405)
        return _refused("a request that changes something must say its origin", 403) if origin is None else None

    def _admission(self, scope: Scope) -> Response | None:
        """The cookie for a request with the token in its address; a refusal for one with neither; else None."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == TOKEN]
        if given and _same(given[-1], self.rules.token) and scope["method"] in READING:
            rest = urlencode([(name, value) for name, value in query if name != TOKEN])
            # One slash at the start: an address that begins with two would name another host.
            path = "/" + quote(scope["path"].lstrip("/\\"))
            answer = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
            answer.set_cookie(self.rules.cookie, self.rules.token, httponly=True, samesite="strict", path="/")
            return answer
        cookie = cookie_parser(Headers(scope=scope).get("cookie", "")).get(self.rules.cookie, "")
        if _same(cookie, self.rules.token):
            return None
        return _refused("open the link that rushes view printed in the terminal: it holds the token", 401)


def is_loopback(host: str) -> bool:
    """Whether an interface is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(one: str, other: str) -> bool:
    return compare_digest(one.encode(), other.encode())


def _refused(reason: str, status: int) -> Response:
    return PlainTextResponse(f"{reason}\n", status_code=status)
