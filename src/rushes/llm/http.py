"""The connection to a server: no redirect is followed, and a reply has a largest size, also after decompression."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import RecipeError

if TYPE_CHECKING:
    import openai

    from rushes.llm.server_key import Secret
    from rushes.recipe.runtime import ServerRuntime

INSTALL: Final = "pip install -c constraints.txt 'rushes[servers]'"
"""Install command for the `openai` package."""
MAX_REPLY_BYTES: Final = 8 * 2**20
"""Largest body of a reply after decompression; the longest replies that are asked for have a few thousand tokens."""
_OF_TRANSFER: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class ReplyTooLarge(Exception):
    """The body of a reply exceeds `MAX_REPLY_BYTES`."""


def open_client(server: ServerRuntime, secret: Secret) -> openai.AsyncOpenAI:
    """A client of one server, to be used in one event loop. It never retries by itself.

    Raises:
        RecipeError: the `openai` package is missing.
    """
    api = import_openai()
    return api.AsyncOpenAI(  # type: ignore[no-any-return]
        base_url=server.url,
        api_key=secret.value or "none",
        timeout=server.timeout_s,
        max_retries=0,
        http_client=bounded_client(server.timeout_s),
    )


def bounded_client(timeout_s: float, *, goes_by_proxy: bool = True) -> Any:
    """An `httpx2.AsyncClient` that follows no redirect and reads no body beyond `MAX_REPLY_BYTES`.

    Args:
        timeout_s: longest wait for a connection or a piece of a reply.
        goes_by_proxy: False ignores the proxies that the environment names, for addresses of this machine.
    """
    import httpx2
    import openai

    class Bounded(openai.DefaultAsyncHttpxClient):
        """Reads every body, those of errors included, up to the largest size."""

        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            response = await super().send(request, **(options | {"stream": True, "follow_redirects": False}))
            try:
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_REPLY_BYTES:
                        raise ReplyTooLarge(f"the reply is longer than {MAX_REPLY_BYTES // 2**20} MiB")
            finally:
                await response.aclose()
            headers = [(name, value) for name, value in response.headers.items() if name not in _OF_TRANSFER]
            return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)

    return Bounded(timeout=timeout_s, verify=_certificates(), trust_env=goes_by_proxy)


@cache
def _certificates() -> Any:
    """Reading them takes a tenth of a second, and a client lives for one call."""
    import httpx2

    return httpx2.create_ssl_context()


def import_openai() -> Any:
    """The `openai` package.

    Raises:
        RecipeError: it is missing.
    """
    try:
        import openai
    except ImportError as error:
        raise RecipeError(
            "models on servers need the openai package, which is not installed",
            expected="openai 3 in this environment",
            got=str(error),
            next_step=INSTALL,
        ) from error
    return openai
