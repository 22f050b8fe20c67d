"""Chat models in the roles of VBench-2.0 scoring: on a server or local, they describe clips and compare texts.

Decoding is greedy, so the same clip and text get the same reply. A request that fails now is `Unanswered` and measured
again on the next run; one that can never succeed (too long, truncated) leaves the clip unscored with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from rushes.judge.vlm_model import LocalVlm
    from rushes.recipe.runtime import RuntimeSpec
    from rushes_vbench.metrics.chat_specs import LlmTextJudgeSpec, VlmTellerSpec


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


@dataclass(frozen=True)
class ServerTeller:
    """`VideoTeller` over a chat model that takes images: the frames first, the instruction after them."""

    spec: VlmTellerSpec
    """How large frames are sent, and how long the reply may be."""
    model: ChatModel
    """The model to ask."""

    def tell(self, video: Video, instruction: str) -> str:
        """Its reply about the frames of `video`, all of which are sent.

        Raises:
            Unanswered: the request failed now.
            NoWords: too much for the model, or a reply that does not end.
            UserError: the server cannot be used at all.
        """
        images = tuple(jpeg(frame) for frame in shrunk(video.frames_THWC, self.spec.max_side_px))
        request = ChatRequest((Message("user", instruction, images),), max_tokens=self.spec.max_tokens)
        reply = _asked(self.model, request)
        if reply.is_cut:
            raise _endless(self.spec)
        return _words(reply.text)


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
        return _words(str(self.vlm.processor.tokenizer.decode(written, skip_special_tokens=True)))


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
        turns = tuple(_turn(each) for each in messages)
        return _words(_asked(self.model, ChatRequest(turns, max_tokens=self.spec.max_tokens)).text)


def _turn(message: models.Message) -> Message:
    role = message["role"]
    if role == "system":
        return Message("system", message["content"])
    return Message("assistant" if role == "assistant" else "user", message["content"])


def _asked(model: ChatModel, request: ChatRequest) -> ChatReply:
    (reply,) = model.reply([request])
    if not isinstance(reply, Failed):
        return reply
    if reply.error_type in (TOO_LONG, TOO_MANY_IMAGES):
        raise NoWords(f"{reply.message[:300]}; show fewer or smaller frames (num_told, max_side_px)")
    raise Unanswered(reply)


def _words(text: str) -> str:
    """A reply without the thoughts before it, which hold both yes and no. An empty reply says neither.

    Raises:
        NoWords: there is nothing but thoughts.
    """
    words = without_thoughts(text).strip()
    if not words or is_thinking(words):
        raise NoWords(f"the model gave no reply, only {text[:80]!r}; {THINKS}")
    return words


def _endless(spec: VlmTellerSpec) -> NoWords:
    return NoWords(f"the description of {spec.model.model} did not end within {spec.max_tokens} tokens (max_tokens)")
