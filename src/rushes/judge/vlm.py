"""A vision-language model as judge. On a server: frames as images first, the question last, a reply of one word."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rushes.judge.asked import num_frames_for, positions, shrunk, turns
from rushes.judge.probability import AnswerForm, from_chances, from_text
from rushes.llm.ask import schema_of
from rushes.llm.build import chat_model
from rushes.llm.chat import TOO_LONG, ChatModel, ChatReply, ChatRequest, Message
from rushes.recipe.models import ServerModelSpec, VlmAskingSpec
from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest

if TYPE_CHECKING:
    from rushes.recipe.runtime import RuntimeSpec
    from rushes.roles import Frames

NUM_LOGPROBS: Final = 20
"""Candidates of the first token to request: the maximum of most servers."""
_CONSTRAINED_TOKENS: Final = 16
_QUALITY: Final = 95


def build_vlm_judge(spec: VlmAskingSpec, runtime: RuntimeSpec) -> Judge:
    """The judge over the model that the recipe names.

    Raises:
        RecipeError: the server is unknown, its key is not set, or a package is missing.
    """
    if isinstance(spec.model, ServerModelSpec):
        return ServerVlmJudge(spec, chat_model(spec.model, runtime))
    from rushes.judge.vlm_local import LocalVlmJudge
    from rushes.judge.vlm_model import local_vlm

    return LocalVlmJudge(spec, local_vlm(spec.model, runtime))


@dataclass(frozen=True)
class ServerVlmJudge:
    """`Judge` over a server. Requests about one clip are adjacent and share a prefix that the server can cache."""

    spec: VlmAskingSpec
    """What to show and how to ask."""
    model: ChatModel
    """The model to ask."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order; a clip with a question that failed in transit is `Failed` and tried again.

        Raises:
            UserError: the server cannot be used at all.
        """
        asked = [ask for request in requests for ask in self._asks(request)]
        given = [self._given(reply) for reply in self.model.reply(asked)]
        # Without probabilities, a second request constrains the format of the reply itself.
        bare = [i for i, answer in enumerate(given) if answer is None]
        held = [replace(asked[i], num_logprobs=0, max_tokens=_CONSTRAINED_TOKENS, schema=_SCHEMA) for i in bare]
        for i, reply in zip(bare, self.model.reply(held) if held else [], strict=True):
            given[i] = from_text(reply.text) if isinstance(reply, ChatReply) else _lost(reply)
        results: list[tuple[GivenAnswer, ...] | Failed] = []
        at = 0
        for request in requests:
            own = given[at : at + len(request.questions)]
            at += len(request.questions)
            failed = next((each for each in own if isinstance(each, Failed)), None)
            results.append(failed or tuple(each for each in own if isinstance(each, GivenAnswer)))
        return results

    def _asks(self, request: JudgeRequest) -> list[ChatRequest]:
        frames_THWC = request.video.frames_THWC
        images: dict[int, tuple[bytes, ...]] = {}
        asks = []
        for question in request.questions:
            shown = positions(len(frames_THWC), num_frames_for(question.dimension, self.spec))
            if len(shown) not in images:
                images[len(shown)] = tuple(jpeg(each) for each in shrunk(frames_THWC[[*shown]], self.spec.max_side_px))
            words = turns(self.spec, question.text, len(frames_THWC), request.video.fps, shown)
            *before, last = words
            with_frames = Message(last.role, last.text, images[len(shown)])
            asks.append(ChatRequest((*before, with_frames), max_tokens=1, num_logprobs=NUM_LOGPROBS))
        return asks

    def _given(self, reply: ChatReply | Failed) -> GivenAnswer | Failed | None:
        """An answer, a failure, or None if there are no probabilities."""
        if isinstance(reply, Failed):
            return _lost(reply)
        return None if reply.first_token is None else from_chances(reply.first_token, self.spec.min_mass)


_SCHEMA: Final = schema_of(AnswerForm)
_FEWER_IMAGES: Final = re.compile(r"at most \d+ image|(too many|number of|maximum of \d+) images", re.IGNORECASE)
"""What a server says that accepts fewer images: "At most 1 image(s) may be provided"."""


def _lost(failed: Failed) -> GivenAnswer | Failed:
    """A failure that no retry can fix becomes an answer with a reason; others stay failures and are tried again."""
    if failed.error_type == TOO_LONG:
        said = f"{failed.message[:300]}; show fewer or smaller frames (judge.judge.num_frames, max_side_px)"
        return GivenAnswer(None, said)
    if _FEWER_IMAGES.search(failed.message):
        said = f"{failed.message[:300]}; show fewer frames (num_frames of this judge or measurer)"
        return replace(failed, message=said)
    return failed


def jpeg(frame_HWC: Frames) -> bytes:
    """A frame as a JPEG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame_HWC).save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()
