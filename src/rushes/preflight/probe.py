"""The two requests of the check of servers, through the run's own client: one question, and the list of models."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from rushes.judge.asked import positions, shrunk, turns
from rushes.judge.vlm import NUM_LOGPROBS, jpeg
from rushes.llm.chat import ChatReply, ChatRequest, Message
from rushes.llm.connect import connect
from rushes.llm.http import open_client
from rushes.llm.server_key import secret_from
from rushes.plain import safe
from rushes.recipe.base import ShapeSpec
from rushes.recipe.models import ServerModelSpec, VlmAskingSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.roles import Failed

PROBE_TIMEOUT_S: Final = 20.0
"""Longest wait for the answer: a server that takes longer may be loading its model."""
_LIST_TIMEOUT_S: Final = 5.0
_SHOWN: Final = 8
_LONGEST_NAME: Final = 120
_FEW_TOKENS: Final = 16


@dataclass(frozen=True)
class Wanted:
    """What one request asks for."""

    asking: VlmAskingSpec | None = None
    """The judge or measurer that shows frames and reads the probability of the first word; None for plain text."""
    num_images: int = 0
    """Images of one request; 0 for plain text."""
    max_side_px: int = 448
    """Longest side of an image, pixels."""
    shape: ShapeSpec | None = None
    """Of the clips that they are frames of; None for plain text."""


def ask_once(model: ServerModelSpec, runtime: RuntimeSpec, wanted: Wanted) -> ChatReply | Failed:
    """Send one request, without retries; its reply is not kept.

    Raises:
        UserError: the server is not defined or cannot be used at all.
    """
    server = runtime.servers.get(model.server)
    limits = {"num_retries": 0} if server is None else {"num_retries": 0, "timeout_s": _patience(server)}
    servers = {} if server is None else {model.server: server.model_copy(update=limits)}
    client = connect(model, runtime.model_copy(update={"servers": servers, "cache_folder": None}))
    return client.reply([_request(wanted)])[0]


def _patience(server: ServerRuntime) -> float:
    return min(server.timeout_s, PROBE_TIMEOUT_S)


def _request(wanted: Wanted) -> ChatRequest:
    """A request of the size that the run will send: grey frames of the clips' own size, a judge's own words."""
    if wanted.shape is None:
        return ChatRequest((Message("user", "Say yes."),), max_tokens=_FEW_TOKENS)
    import numpy as np

    shape, spec = wanted.shape, wanted.asking
    grey = np.full((1, shape.height_px, shape.width_px, 3), 128, dtype=np.uint8)
    image = jpeg(shrunk(grey, wanted.max_side_px)[0])
    if spec is None:
        return ChatRequest((Message("user", "Say yes.", (image,) * wanted.num_images),), max_tokens=_FEW_TOKENS)
    shown = positions(shape.num_frames, wanted.num_images)
    *before, last = turns(spec, "Is there a circle?", shape.num_frames, shape.fps, shown)
    with_frames = Message(last.role, last.text, (image,) * len(shown))
    return ChatRequest((*before, with_frames), max_tokens=1, temperature=1.0, num_logprobs=NUM_LOGPROBS)


def listed_models(model: ServerModelSpec, server: ServerRuntime) -> tuple[str, ...] | None:
    """Names of the models that a server lists, a few of them where there are many; None if it gives no such list."""
    try:
        names = asyncio.run(_listed(server.model_copy(update={"timeout_s": _LIST_TIMEOUT_S}), model.server))
    except Exception:  # whatever the server sends in place of a list
        return None
    if model.model in names:
        return (model.model,)
    return tuple(safe(each)[:_LONGEST_NAME] for each in names[:_SHOWN])


async def _listed(server: ServerRuntime, name: str) -> list[str]:
    secret = secret_from(server.key_env, name)
    async with open_client(server, secret) as client, asyncio.timeout(server.timeout_s):
        return [each.id for each in (await client.models.list()).data]
