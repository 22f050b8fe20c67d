"""One request to a server before a run: is it there, does it have the model, what does the model give and take."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rushes.errors import UserError
from rushes.llm.chat import TOO_MANY_IMAGES, ChatRequest, Message
from rushes.llm.connect import server_of
from rushes.llm.cost import CostMeter
from rushes.llm.http import open_client
from rushes.llm.secrets import Secret, secret_from
from rushes.llm.server import ServerModel
from rushes.recipe.models import ServerModelSpec
from rushes.roles import Failed

if TYPE_CHECKING:
    from rushes.recipe.runtime import RuntimeSpec, ServerRuntime

_LONGEST_S = 20.0
_SIDE_PX = 32


@dataclass(frozen=True)
class Probed:
    """What a server showed."""

    problem: str | None
    """Why no request can succeed, or why this one failed; None if it was answered."""
    listed: tuple[str, ...] | None
    """Names of the models that it lists; None if it lists none."""
    gives_logprobs: bool | None
    """Whether the reply had usable log-probabilities; None if there was no reply."""
    most_images: int | None
    """How many images a request may have; None if all of the probe's were accepted, or it is unknown."""


def probe(spec: ServerModelSpec, runtime: RuntimeSpec, num_images: int = 0) -> Probed:
    """Send a model one short request, and ask its server for the models that it has. Nothing is cached.

    Args:
        spec: the model.
        runtime: where its server is.
        num_images: small grey images to send, as many as a judge would show; 0 for a model that reads only text.

    Raises:
        RecipeError: the server is unknown, its key is not in the environment, or the `openai` package is missing.
    """
    server = server_of(spec, runtime)
    quick = server.model_copy(update={"num_retries": 0, "timeout_s": min(server.timeout_s, _LONGEST_S)})
    secret = secret_from(server.key_env, spec.server)
    model = ServerModel(spec, quick, secret, CostMeter(spec.server, quick, None))
    listed = asyncio.run(_listed(quick, secret))
    request = ChatRequest(
        (Message("user", "Answer with yes or no.", (_image(),) * num_images),),
        max_tokens=1,
        temperature=1.0,
        num_logprobs=20,
    )
    try:
        (reply,) = model.reply([request])
    except UserError as error:
        got = f": {error.got_repr}" if error.got_repr else ""
        return Probed(f"{error.problem}{got}", listed, None, None)
    if isinstance(reply, Failed):
        allowed = int(reply.message.split()[0]) if reply.error_type == TOO_MANY_IMAGES else None
        gives = False if model.taken.num_logprobs == 0 else None
        return Probed(f"{reply.error_type}: {reply.message}", listed, gives, allowed)
    return Probed(None, listed, reply.first_token is not None, None)


async def _listed(server: ServerRuntime, secret: Secret) -> tuple[str, ...] | None:
    """The models that a server lists; None where it has no such list, or cannot be reached: the request says why."""
    try:
        async with open_client(server, secret) as client, asyncio.timeout(server.timeout_s):
            page = await client.models.list()
            return tuple(str(each.id) for each in page.data)
    except Exception:  # whatever the server sends in place of a list
        return None


def _image() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (_SIDE_PX, _SIDE_PX), (128, 128, 128)).save(buffer, format="JPEG")
    return buffer.getvalue()
