"""Chat models in the roles of VBench-2.0 scoring: on a server or local, they describe clips and compare texts.

Decoding is greedy, so the same clip and text get the same reply. A request that fails now is `Unanswered` and measured
again on the next run; one that can never succeed (too long, truncated) leaves the clip unscored with the reason.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rushes.errors import RecipeError
from rushes.judge.asked import shrunk
from rushes.judge.probability import THINKS
from rushes.judge.vlm import jpeg
from rushes.llm.ask import is_thinking, without_thoughts
from rushes.llm.build import chat_model
from rushes.llm.chat import TOO_LONG, TOO_MANY_IMAGES, ChatModel, ChatReply, ChatRequest, Message
from rushes.recipe.models import ServerModelSpec
from rushes.roles import Failed, Video
from rushes_vbench.metrics import models
from rushes_vbench.metrics.core import Unanswered
from rushes_vbench.metrics.told import FEWEST_TOLD, Telling, Told

if TYPE_CHECKING:
    from rushes.judge.vlm_model import LocalVlm
    from rushes.recipe.runtime import RuntimeSpec
    from rushes_vbench.metrics.chat_specs import LlmTextJudgeSpec, VlmTellerSpec


TOLD: Final = "measure.measurer.options.num_told"
"""The setting of the number of frames that a teller is shown."""
FEWER_TOLD: Final = (
    "the server of {model} allows {allowed} images in a request, so clips are described from at most {allowed} frames; "
    "their scores say so; a higher limit of the server (vLLM: --limit-mm-per-prompt) shows more"
)


class NoWords(Exception):
    """A reply that no retry can get; the scoring turns it into an `Unscored` with this reason."""


def build_teller(spec: VlmTellerSpec, runtime: RuntimeSpec) -> models.VideoTeller:
    """The teller over whichever model the recipe names.

    Raises:
        RecipeError: no such server, no key, or a package is missing.
    """
    if isinstance(spec.model, ServerModelSpec):
        return ServerTeller(spec, chat_model(spec.model, runtime))
    from rushes.judge.vlm_model import local_vlm

    return LocalTeller(spec, local_vlm(spec.model, runtime))


class ServerTeller:
    """`VideoTeller` over a chat model that takes images: the frames first, the instruction after them."""

    def __init__(self, spec: VlmTellerSpec, model: ChatModel) -> None:
        """Store how large frames are sent, how long the reply may be, and the model to ask."""
        self.spec = spec
        self.model = model
        self._most_frames: int | None = None

    def tell(self, video: Video, instruction: str) -> str:
        """Its reply about the frames of `video`, all of which are sent.

        Raises:
            Unanswered: the request failed now.
            NoWords: too much for the model, or a reply that does not end.
            UserError: the server cannot be used at all.
        """
        (reply,) = self.model.reply([self._request(video, instruction)])
        return _given(self._said(reply))

    def tell_all(self, requests: Sequence[Telling]) -> list[Told | Exception]:
        """See `TellsMany`; as many at once as the server's `max_concurrent`.

        Raises:
            RecipeError: the server allows fewer images than there are frames to be shown, and fewer may not be shown.
            UserError: the server cannot be used at all.
        """
        asked = [self._fitting(request) for request in requests]
        replies = self.model.reply([self._request(*each.shown()) for each in asked])
        while crowded := [i for i, reply in enumerate(replies) if _is_crowded(reply)]:
            self._most_frames = min(_frames_allowed(replies[i], asked[i], self.model.name) for i in crowded)
            warnings.warn(FEWER_TOLD.format(model=self.model.name, allowed=self._most_frames), stacklevel=2)
            for i in crowded:
                asked[i] = self._fitting(requests[i])
            again = self.model.reply([self._request(*asked[i].shown()) for i in crowded])
            for i, reply in zip(crowded, again, strict=True):
                replies[i] = reply
        said = [self._said(reply) for reply in replies]
        return [
            words if isinstance(words, Exception) else Told(words, len(each.indices))
            for words, each in zip(said, asked, strict=True)
        ]

    def _fitting(self, request: Telling) -> Telling:
        if self._most_frames is None or request.fewest is None:
            return request
        return request.with_at_most(max(self._most_frames, request.fewest))

    def _request(self, video: Video, instruction: str) -> ChatRequest:
        images = tuple(jpeg(frame) for frame in shrunk(video.frames_THWC, self.spec.max_side_px))
        return ChatRequest((Message("user", instruction, images),), max_tokens=self.spec.max_tokens)

    def _said(self, reply: ChatReply | Failed) -> str | Exception:
        if isinstance(reply, ChatReply) and reply.is_cut:
            return _endless(self.spec)
        return _words(reply)


class LocalTeller:
    """`VideoTeller` over a local vision-language model."""

    def __init__(self, spec: VlmTellerSpec, vlm: LocalVlm) -> None:
        """Store the model; nothing is loaded."""
        self.spec = spec
        self.vlm = vlm

    def tell(self, video: Video, instruction: str) -> str:
        """Its reply about the frames of `video`, all of which are sent.

        Raises:
            NoWords: a reply that does not end.
            InputError, RecipeError: the model cannot be loaded.
        """
        import torch

        from rushes.judge.vlm_model import Timing

        frames = shrunk(video.frames_THWC, self.spec.max_side_px)
        text = self.vlm.as_text([Message("user", instruction)], len(frames))
        model = self.vlm.model
        timing = Timing(len(frames), video.fps, tuple(range(len(frames))))
        inputs = self.vlm.inputs([text], frames, timing).to(self.vlm.runtime.device, model.dtype)
        with torch.inference_mode():
            ids_BL = model.generate(**inputs, do_sample=False, max_new_tokens=self.spec.max_tokens)
        written = ids_BL[0, inputs["input_ids"].shape[1] :].tolist()
        named = model.generation_config.eos_token_id
        ends = set(named if isinstance(named, list) else [named]) | {self.vlm.processor.tokenizer.eos_token_id}
        if len(written) >= self.spec.max_tokens and written[-1] not in ends:
            raise _endless(self.spec)
        return _given(_worded(str(self.vlm.processor.tokenizer.decode(written, skip_special_tokens=True))))


@dataclass(frozen=True)
class ChatTextJudge:
    """`TextJudge` over any chat model."""

    spec: LlmTextJudgeSpec
    """How long the reply may be."""
    model: ChatModel
    """The model to ask."""

    def reply(self, messages: Sequence[models.Message]) -> str:
        """Its reply; a truncated reply keeps its beginning, which contains the verdict.

        Raises:
            Unanswered: the request failed now.
            NoWords: longer than the model's context, or a reply without words: it has only thoughts, or nothing.
            UserError: the model or its server cannot be used at all.
        """
        (reply,) = self.reply_all([messages])
        return _given(reply)

    def reply_all(self, conversations: Sequence[Sequence[models.Message]]) -> list[str | Exception]:
        """See `RepliesToMany`; as many at once as a server's `max_concurrent`.

        Raises:
            UserError: the model or its server cannot be used at all.
        """
        requests = [
            ChatRequest(tuple(_turn(each) for each in messages), max_tokens=self.spec.max_tokens)
            for messages in conversations
        ]
        return [_words(reply) for reply in self.model.reply(requests)]


def _turn(message: models.Message) -> Message:
    role = message["role"]
    if role == "system":
        return Message("system", message["content"])
    return Message("assistant" if role == "assistant" else "user", message["content"])


def _words(reply: ChatReply | Failed) -> str | Exception:
    """The words of a reply, or why there are none."""
    if isinstance(reply, ChatReply):
        return _worded(reply.text)
    if reply.error_type in (TOO_LONG, TOO_MANY_IMAGES):
        return NoWords(f"{reply.message[:300]}; show fewer or smaller frames (num_told, max_side_px)")
    return Unanswered(reply)


def _worded(text: str) -> str | NoWords:
    """A reply without the thoughts before it, which hold both yes and no. An empty reply says neither."""
    words = without_thoughts(text).strip()
    if not words or is_thinking(words):
        return NoWords(f"the model gave no reply, only {text[:80]!r}; {THINKS}")
    return words


def _given(words: str | Exception) -> str:
    if isinstance(words, Exception):
        raise words
    return words


def _is_crowded(reply: ChatReply | Failed) -> bool:
    return isinstance(reply, Failed) and reply.error_type == TOO_MANY_IMAGES


def _frames_allowed(refusal: ChatReply | Failed, request: Telling, name: str) -> int:
    """How many frames to show where a server allows fewer images than `request` has.

    Raises:
        RecipeError: so few may not be shown.
    """
    assert isinstance(refusal, Failed)
    allowed = int(refusal.message.split()[0])
    if request.fewest is not None and allowed >= request.fewest:
        return allowed
    higher = "start the server with a higher limit (vLLM: --limit-mm-per-prompt '{\"image\": 64}')"
    raise RecipeError(
        f"the server of {name} allows fewer images in a request than the teller of VBench-2.0 shows frames",
        expected=f"{TOLD} of at most {allowed}, or a server that allows more images",
        got=refusal.message,
        next_step=f"--set {TOLD}={allowed}, or {higher}" if allowed >= FEWEST_TOLD else higher,
    )


def _endless(spec: VlmTellerSpec) -> NoWords:
    return NoWords(f"the description of {spec.model.model} did not end within {spec.max_tokens} tokens (max_tokens)")
