"""A reward server behind an address of this machine: each request is a POST, each reply the body of status 200."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rushes.judge.child import NoReply
from rushes.judge.talk import MAX_REPLY_BYTES, said
from rushes.llm.http import ReplyTooLarge, bounded_client, import_openai
from rushes.llm.server_key import secret_from
from rushes.recipe.runtime import RewardRuntime

_OK: Final = 200


class Address:
    """A server that runs already; this process neither starts nor ends it.

    Args:
        runtime: its address, key and limits.
        name: its name in the recipe, for errors.

    Raises:
        RecipeError: the client's package is not installed, or the key is not in the environment.
    """

    def __init__(self, runtime: RewardRuntime, name: str) -> None:
        import_openai()  # brings the client
        self._url = runtime.url or ""
        self._secret = secret_from(runtime.key_env, name)

    def exchange(self, line: bytes, timeout_s: float) -> bytes:
        """Send one request and wait for its reply; see `rushes.judge.child.Child.exchange`."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._sent(line, timeout_s))
        # In a notebook, this thread already runs a loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, self._sent(line, timeout_s)).result()

    async def _sent(self, line: bytes, timeout_s: float) -> bytes:
        import httpx2

        headers = {"content-type": "application/json"}
        if self._secret.value:
            headers["authorization"] = f"Bearer {self._secret.value}"
        try:
            async with asyncio.timeout(timeout_s), bounded_client(timeout_s, goes_by_proxy=False) as client:
                response = await client.post(self._url, content=line, headers=headers)
        except (TimeoutError, httpx2.TimeoutException):
            raise NoReply(f"no reply within {timeout_s:g} s") from None
        except ReplyTooLarge as error:
            raise NoReply(str(error)) from None
        except httpx2.HTTPError as error:
            raise NoReply(f"it cannot be reached: {said(str(error) or type(error).__name__)}") from None
        if response.is_redirect:
            raise NoReply("it sends requests on to another address, which is not followed")
        body: bytes = response.content
        if response.status_code != _OK:
            raise NoReply(f"status {response.status_code}: {said(body[:2000].decode('utf-8', 'replace'))}")
        if len(body) > MAX_REPLY_BYTES:
            raise NoReply(f"its reply is longer than {MAX_REPLY_BYTES // 2**20} MiB")
        return body

    @property
    def last_words(self) -> str:
        """Nothing: what it writes stays with it."""
        return ""

    def close(self) -> None:
        """Nothing to end."""
