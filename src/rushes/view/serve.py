"""Starting the studio: a socket, a token, a link, and a server until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from rushes.errors import UserError, command
from rushes.view.guard import Rules, is_loopback
from rushes.view.studio import Studio

FIRST_PORT: Final = 8600
"""Tried first where no port is asked for; any free one follows."""


@dataclass(frozen=True)
class Place:
    """Where to listen, and what to allow.

    Example: `Place(host="127.0.0.1", port=8600, may_write=False)`.
    """

    host: str = "127.0.0.1"
    """Name or address of the interface."""
    port: int | None = None
    """Port; 0 for any free one, None for 8600 if it is free."""
    may_write: bool = False
    """Whether pages may change something."""


def listening(place: Place) -> socket.socket:
    """A socket that listens there.

    Raises:
        UserError: the port is in use, or the interface is not of this machine.
    """
    ports = (FIRST_PORT, 0) if place.port is None else (place.port,)
    for port in ports:
        try:
            family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
            return socket.create_server((place.host, port), family=family)
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE and port != ports[-1]:
                continue
            raise UserError(
                f"cannot listen on {place.host}, port {port}",
                expected="an address of this machine, and a port that no other program uses",
                got=str(error),
                next_step=f"let it choose a port: {command('view', '--port', '0')}",
            ) from error
    raise AssertionError("one of the ports returns or raises")


def meaning(place: Place) -> str | None:
    """What listening on that interface means, for people; None on this machine alone."""
    if is_loopback(place.host):
        return None
    may = "see and change" if place.may_write else "see"
    return (
        f"warning: {place.host} is not this machine alone: whoever can reach it over the network and has the link can "
        f"{may} these runs, and nothing on the way is encrypted. Safer: leave out --host, and forward the port with "
        "ssh -L"
    )


def serve(studio: Studio, place: Place, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        studio: the runs.
        place: where to listen.
        say: prints the link, once the server can be reached.

    Raises:
        UserError: it cannot listen there.
    """
    import uvicorn

    from rushes.view.app import make_app

    class Server(uvicorn.Server):
        """Ends the streams of changes first: they would go on for ever."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            studio.closing.set()
            # Not kept to be raised again, as uvicorn does: what was made for the browser is deleted after this.
            self.force_exit = self.should_exit
            self.should_exit = True

    with listening(place) as server_socket:
        port = int(server_socket.getsockname()[1])
        rules = Rules(secrets.token_urlsafe(24), port, place.host, place.may_write)
        # The access log would hold the token.
        config = uvicorn.Config(
            make_app(studio, rules),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            proxy_headers=False,
        )
        say(link(rules))
        with contextlib.closing(studio):
            Server(config).run(sockets=[server_socket])


def link(rules: Rules) -> str:
    """What to open in a browser."""
    host = f"[{rules.host}]" if ":" in rules.host else rules.host
    host = "127.0.0.1" if host == "0.0.0.0" else host
    return f"http://{host}:{rules.port}/?token={rules.token}"
