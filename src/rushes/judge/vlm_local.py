"""A vision-language model run here: the probability of its first word, from its logits; a clip's questions at once."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from rushes.chat import Message
from rushes.errors import InputError
from rushes.judge.asked import num_frames_for, positions, shrunk, turns
from rushes.judge.probability import p_yes, spellings
from rushes.judge.vlm_processor import load_processor
from rushes.llm.pretrained import defused, explained, precision, source, special_tokens
from rushes.model_specs import LocalModelSpec, VlmJudgeSpec
from rushes.records import Question
from rushes.roles import Failed, GivenAnswer, JudgeRequest

if TYPE_CHECKING:
    import torch

    from rushes.roles import Frames
    from rushes.specs import RuntimeSpec

_MOST = 3


class LocalVlmJudge:
    """`Judge` over any image- or video-capable chat model of transformers; weights wait for the first clip.

    Array legend: Q questions, V vocabulary; T, H, W, C as in `rushes.roles`.
    """

    def __init__(self, spec: VlmJudgeSpec, model: LocalModelSpec, runtime: RuntimeSpec) -> None:
        """Remember what to load; nothing is loaded."""
        self.spec = spec
        self.model = model
        self.runtime = runtime

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order; questions that are shown the same frames share one pass.

        Raises:
            InputError, RecipeError: the model cannot be loaded, or has no tokens for yes and no.
        """
        return [self._clip(request) for request in requests]

    def _clip(self, request: JudgeRequest) -> tuple[GivenAnswer, ...]:
        found: dict[int, GivenAnswer] = {}
        counts = [num_frames_for(question.dimension, self.spec) for question in request.questions]
        for count in dict.fromkeys(counts):
            rows = [i for i, each in enumerate(counts) if each == count]
            logits_QV = self._first_word(request, [request.questions[i] for i in rows], count)
            for i, logits_V in zip(rows, logits_QV, strict=True):
                found[i] = self._given(logits_V)
        return tuple(found[i] for i in range(len(request.questions)))

    def _given(self, logits_V: torch.Tensor) -> GivenAnswer:
        p_V = logits_V.float().softmax(dim=-1).cpu()
        top = p_V.topk(_MOST)
        instead = ", ".join(
            f"{self._processor.tokenizer.decode([int(token)])!r} {float(p):.0%}"
            for token, p in zip(top.indices, top.values, strict=True)
        )
        mass = {word: float(p_V[numbers].sum()) for word, numbers in self._spellings.items()}
        return p_yes(mass["yes"], mass["no"], self.spec.min_mass, instead)

    def _first_word(self, request: JudgeRequest, questions: Sequence[Question], count: int) -> torch.Tensor:
        """Logits of the first word of each answer, shape Q, V."""
        import torch

        frames_THWC = request.video.frames_THWC
        shown = positions(len(frames_THWC), count)
        frames = shrunk(frames_THWC[[*shown]], self.spec.max_side_px)
        labelled = () if self._takes_video else shown
        texts = [
            self._as_text(turns(self.spec, question.text, len(frames_THWC), request.video.fps, labelled), len(shown))
            for question in questions
        ]
        inputs = self._inputs(texts, frames, request.video.fps * len(shown) / len(frames_THWC))
        model, options = self._model
        with torch.inference_mode():
            logits_QTV: torch.Tensor = model(**inputs.to(self.runtime.device, model.dtype), **options).logits
        # Padding is on the left, so the last place is the last of every question.
        return logits_QTV[:, -1]

    def _inputs(self, texts: list[str], frames_THWC: Frames, fps: float) -> Any:
        options: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
        if self._takes_video:
            options |= {"do_sample_frames": False}
            return self._processor(text=texts, videos=[frames_THWC] * len(texts), **options)
        from PIL import Image

        images = [Image.fromarray(frame) for frame in frames_THWC]
        return self._processor(text=texts, images=[images] * len(texts), **options)

    def _as_text(self, words: tuple[Message, ...], num_images: int) -> str:
        """The conversation in the model's own form: the clip first, the question last."""
        pictures = [{"type": "video"}] if self._takes_video else [{"type": "image"}] * num_images
        *before, last = [(each.role, defused(each.text, self._specials)) for each in words]
        chat = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in before]
        chat.append({"role": last[0], "content": [*pictures, {"type": "text", "text": last[1]}]})
        return str(self._processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    # ---------------------------------------------------------------- loaded when first needed

    @cached_property
    def _processor(self) -> Any:
        place, options = source(self.model, self.runtime)
        processor = explained(self.model, "the processor of", lambda: load_processor(place, options))
        if not hasattr(processor, "image_processor") or getattr(processor, "tokenizer", None) is None:
            raise InputError(
                f"the model {self.model.model} does not take pictures",
                expected="a vision-language model, such as Qwen/Qwen2.5-VL-7B-Instruct",
                got=type(processor).__name__,
                next_step="name another model in judge.judge.model",
            )
        processor.tokenizer.padding_side = "left"
        return processor

    @cached_property
    def _takes_video(self) -> bool:
        return getattr(self._processor, "video_processor", None) is not None

    @cached_property
    def _specials(self) -> tuple[str, ...]:
        return special_tokens(self._processor.tokenizer)

    @cached_property
    def _spellings(self) -> dict[Literal["yes", "no"], list[int]]:
        found = spellings(self._processor.tokenizer.get_vocab())
        if not found["yes"] or not found["no"]:
            raise InputError(
                f"the model {self.model.model} has no tokens for yes and no",
                expected="a tokenizer with whole words of English",
                got=found,
                next_step="name another model in judge.judge.model",
            )
        return found

    @cached_property
    def _model(self) -> tuple[Any, dict[str, Any]]:
        """The model, and options of its call that save computing words that nobody reads."""
        from transformers import AutoModelForImageTextToText

        place, options = source(self.model, self.runtime)
        kind = precision(self.model, self.runtime.device)
        model = explained(
            self.model,
            "the model",
            lambda: AutoModelForImageTextToText.from_pretrained(place, dtype=kind, **options),
        )
        keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        return model.eval().requires_grad_(False).to(self.runtime.device), {"logits_to_keep": 1} if keeps else {}
