"""A vision-language model as judge. On a server: frames as images first, the question last, a reply of one word."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import RecipeError
from rushes.judge.asked import num_frames_for, positions, shrunk, turns
from rushes.judge.probability import AnswerForm, from_chances, from_text
from rushes.llm.ask import is_thinking, schema_of
from rushes.llm.build import chat_model
from rushes.llm.chat import NO_CHANCES, TOO_LONG, TOO_MANY_IMAGES, ChatModel, ChatReply, ChatRequest, Message
from rushes.recipe.models import ServerModelSpec, VlmAskingSpec
from rushes.roles import Failed, GivenAnswer, Judge, JudgeRequest

if TYPE_CHECKING:
    from rushes.recipe.runtime import RuntimeSpec
    from rushes.roles import Frames

NUM_LOGPROBS: Final = 20
"""Candidates of the first token to request: the maximum of most servers."""
MIN_FRAMES: Final = 2
"""Frames of a clip that show motion at all."""
FEWER_FRAMES: Final = (
    "the server of {model} allows {allowed} images in a request, so questions are asked with at most {allowed} frames "
    "of a clip; a higher limit of the server (vLLM: --limit-mm-per-prompt) shows more"
)
_CONSTRAINED_TOKENS: Final = 16
_QUALITY: Final = 95


def build_vlm_judge(spec: VlmAskingSpec, runtime: RuntimeSpec, setting: str = "judge.judge") -> Judge:
    """The judge over the model that the recipe names.

    Args:
        spec: the model, and how it is asked.
        runtime: where it runs.
        setting: the place of `spec` in the recipe, for errors.

    Raises:
        RecipeError: the server is unknown, its key is not set, or a package is missing.
    """
    if isinstance(spec.model, ServerModelSpec):
        return ServerVlmJudge(spec, chat_model(spec.model, runtime), setting)
    from rushes.judge.vlm_local import LocalVlmJudge
    from rushes.judge.vlm_model import local_vlm

    return LocalVlmJudge(spec, local_vlm(spec.model, runtime), setting)


class ServerVlmJudge:
    """`Judge` over a server. Requests about one clip are adjacent and share a prefix that the server can cache."""

    def __init__(self, spec: VlmAskingSpec, model: ChatModel, setting: str = "judge.judge") -> None:
        """Store what to show, how to ask, the model to ask, and the place of `spec` in the recipe."""
        self.spec = spec
        self.setting = setting
        self.model = model
        self._most_frames: int | None = None

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order; a clip with a question that failed in transit is `Failed` and tried again.

        Raises:
            RecipeError: the server allows fewer images than the recipe demands.
            UserError: the server cannot be used at all.
        """
        asked = [ask for request in requests for ask in self._asks(request)]
        replies = self.model.reply(asked)
        crowded = [i for i, reply in enumerate(replies) if _is(reply, TOO_MANY_IMAGES)]
        if crowded:
            self._most_frames = frames_allowed(replies[crowded[0]], self.spec, self.model.name, self.setting)
            asked = [ask for request in requests for ask in self._asks(request)]
            for i, reply in zip(crowded, self.model.reply([asked[i] for i in crowded]), strict=True):
                replies[i] = reply
        given = [self._given(reply) for reply in replies]
        # Without probabilities, a second request constrains the format of the reply itself.
        bare = [i for i, answer in enumerate(given) if answer is None]
        held = [replace(asked[i], **_CONSTRAINED) for i in bare]
        for i, reply in zip(bare, self.model.reply(held) if held else [], strict=True):
            given[i] = from_text(reply.text) if isinstance(reply, ChatReply) else self._lost(reply)
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
            num = num_frames_for(question.dimension, self.spec)
            shown = positions(len(frames_THWC), min(num, self._most_frames or num))
            if len(shown) not in images:
                images[len(shown)] = tuple(jpeg(each) for each in shrunk(frames_THWC[[*shown]], self.spec.max_side_px))
            words = turns(self.spec, question.text, len(frames_THWC), request.video.fps, shown)
            *before, last = words
            with_frames = Message(last.role, last.text, images[len(shown)])
            # One token is written and ignored. Its probabilities are read, to which some servers apply the temperature.
            asks.append(ChatRequest((*before, with_frames), max_tokens=1, temperature=1.0, num_logprobs=NUM_LOGPROBS))
        return asks

    def _given(self, reply: ChatReply | Failed) -> GivenAnswer | Failed | None:
        """An answer, a failure, or None if there are no probabilities of an answer's first word."""
        if isinstance(reply, Failed):
            return None if reply.error_type == NO_CHANCES else self._lost(reply)
        if reply.first_token is None or is_thinking(reply.first_token[0].text):
            return None
        return from_chances(reply.first_token, self.spec.min_mass)

    def _lost(self, failed: Failed) -> GivenAnswer | Failed:
        """A failure that no retry can fix becomes an answer with a reason; others stay failures and are tried again."""
        if failed.error_type != TOO_LONG:
            return failed
        fewer = f"{self.setting}.num_frames, {self.setting}.max_side_px"
        return GivenAnswer(None, f"{failed.message[:300]}; show fewer or smaller frames ({fewer})")


def frames_allowed(refusal: ChatReply | Failed, spec: VlmAskingSpec, name: str, setting: str) -> int:
    """How many frames to show where a server allows fewer images than a question would show.

    Args:
        refusal: the failure that says how many are allowed (`TOO_MANY_IMAGES`).
        spec: a fixed `num_frames` is never reduced.
        name: the model's name.
        setting: the place of `spec` in the recipe.

    Raises:
        RecipeError: the number of frames is fixed, or a single image is allowed, which shows no motion.
    """
    assert isinstance(refusal, Failed)
    said = refusal.message
    allowed = int(said.split()[0])
    if spec.num_frames is not None or allowed < MIN_FRAMES:
        raise RecipeError(
            f"the server of {name} allows fewer images in a request than the recipe shows frames",
            expected=f"{setting}.num_frames of at most {max(allowed, 1)}, or a server that allows more images",
            got=said,
            next_step=f"--set {setting}.num_frames={max(allowed, 1)}, or start the server with a higher limit (vLLM: "
            "--limit-mm-per-prompt '{\"image\": 16}')",
        )
    warnings.warn(FEWER_FRAMES.format(model=name, allowed=allowed), stacklevel=2)
    return allowed


_SCHEMA: Final = schema_of(AnswerForm)


_CONSTRAINED: Final[dict[str, Any]] = {
    "num_logprobs": 0, "max_tokens": _CONSTRAINED_TOKENS, "temperature": 0.0, "schema": _SCHEMA
}  # fmt: skip


def _is(reply: ChatReply | Failed, error_type: str) -> bool:
    return isinstance(reply, Failed) and reply.error_type == error_type


def jpeg(frame_HWC: Frames) -> bytes:
    """A frame as a JPEG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame_HWC).save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()
