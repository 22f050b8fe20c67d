"""A vision-language model in this process: yes or no from the first word's logits; a clip's questions in one pass."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from rushes.errors import InputError
from rushes.judge.asked import num_frames_for, positions, shrunk, turns
from rushes.judge.gradient import PixelRequest
from rushes.judge.probability import p_yes, spellings
from rushes.judge.vlm_model import LocalVlm, Timing
from rushes.judge.vlm_pixels import shrunk_to, with_gradient
from rushes.judge.vlm_prefix import agrees, first_words
from rushes.recipe.models import VlmAskingSpec
from rushes.records import Question
from rushes.roles import Failed, GivenAnswer, JudgeRequest

if TYPE_CHECKING:
    import torch

    from rushes.roles import Frames

_MOST = 3
NOT_SHARED: Final = (
    "{model} answers differently when the questions of a clip share one pass over it ({why}), so every question "
    "processes the clip again, which takes longer"
)


class LocalVlmJudge:
    """`Judge` over any image- or video-capable chat model of transformers; weights are loaded for the first clip.

    Array legend: Q questions, V vocabulary; T, H, W, C as in `rushes.roles`.
    """

    def __init__(self, spec: VlmAskingSpec, vlm: LocalVlm, setting: str = "judge.judge") -> None:
        """Store the settings, and their place in the recipe; nothing is loaded."""
        self.spec = spec
        self.setting = setting
        self.vlm = vlm
        self._shares: bool | None = None

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order; questions about the same frames share one pass.

        Raises:
            InputError, RecipeError: the model cannot be loaded, or has no tokens for yes and no.
        """
        return [self._clip(request) for request in requests]

    def margins(self, requests: Sequence[PixelRequest]) -> list[torch.Tensor | Failed]:
        """The logit of yes less that of no for each question, with its graph; see `rushes.judge.gradient`.

        Raises:
            InputError: the model cannot be loaded, or has no tokens for yes and no.
            RecipeError: no gradient passes through its processor.
        """
        return [self._margins(request) for request in requests]

    def _margins(self, request: PixelRequest) -> torch.Tensor:
        import torch

        found: dict[int, torch.Tensor] = {}
        counts = [num_frames_for(question.dimension, self.spec) for question in request.questions]
        for count in dict.fromkeys(counts):
            rows = [i for i, each in enumerate(counts) if each == count]
            logits_QV = self._first_word_of_pixels(request, [request.questions[i] for i in rows], count).float()
            yes, no = (logits_QV[:, self._spellings[word]].logsumexp(dim=-1) for word in ("yes", "no"))
            found |= dict(zip(rows, yes - no, strict=True))
        return torch.stack([found[i] for i in range(len(request.questions))])

    def _first_word_of_pixels(self, request: PixelRequest, questions: Sequence[Question], count: int) -> torch.Tensor:
        """Logits of the first word of each answer, shape Q, V, of the frames that `answer` would show."""
        inputs = self.pixel_inputs(request, questions, count)
        logits_QTV: torch.Tensor = self.vlm.model(
            **inputs.to(self.vlm.runtime.device, self.vlm.model.dtype), **self._only_last
        ).logits
        return logits_QTV[:, -1]

    def pixel_inputs(self, request: PixelRequest, questions: Sequence[Question], count: int) -> Any:
        """The model's inputs for questions about `count` frames, with a graph back to them; no weights are loaded.

        Raises:
            InputError: the model's processor cannot be loaded.
            RecipeError: no gradient passes through it.
        """
        import torch

        shown = positions(len(request.frames_THWC), count)
        exact = request.frames_THWC[[*shown]]
        frames = shrunk(exact.detach().round().to(torch.uint8).cpu().numpy(), self.spec.max_side_px)
        texts, timing = self._asked(questions, len(request.frames_THWC), request.fps, shown)
        inputs = self.vlm.inputs(texts, frames, timing)
        small = shrunk_to(exact, *frames.shape[1:3]).to(inputs["input_ids"].device)
        inputs.update(with_gradient(inputs, small, self.vlm.processor, self.vlm.spec.model))
        return inputs

    def _asked(
        self, questions: Sequence[Question], num_frames: int, fps: float, shown: tuple[int, ...]
    ) -> tuple[list[str], Timing]:
        """The conversation of each question, and when the shown frames are."""
        labelled = () if self.vlm.takes_video else shown
        texts = [
            self.vlm.as_text(turns(self.spec, each.text, num_frames, fps, labelled), len(shown)) for each in questions
        ]
        return texts, Timing(num_frames, fps, shown)

    @property
    def _only_last(self) -> dict[str, int]:
        return {"logits_to_keep": 1} if self.vlm.keeps_few_logits else {}

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
            f"{self.vlm.processor.tokenizer.decode([int(token)])!r} {float(p):.0%}"
            for token, p in zip(top.indices, top.values, strict=True)
        )
        mass = {word: float(p_V[numbers].sum()) for word, numbers in self._spellings.items()}
        return p_yes(mass["yes"], mass["no"], self.spec.min_mass, instead)

    def _first_word(self, request: JudgeRequest, questions: Sequence[Question], count: int) -> torch.Tensor:
        """Logits of the first word of each answer, shape Q, V."""
        frames_THWC = request.video.frames_THWC
        shown = positions(len(frames_THWC), count)
        frames = shrunk(frames_THWC[[*shown]], self.spec.max_side_px)
        texts, timing = self._asked(questions, len(frames_THWC), request.video.fps, shown)
        if len(texts) == 1 or self._shares is False:
            return self._plain(texts, frames, timing)
        return self._shared(texts, frames, timing)

    def _plain(self, texts: Sequence[str], frames_THWC: Frames, timing: Timing) -> torch.Tensor:
        """Logits with the whole clip processed for every question; shape Q, V."""
        import torch

        inputs = self.vlm.inputs(texts, frames_THWC, timing)
        with torch.inference_mode():
            logits_QTV: torch.Tensor = self.vlm.model(
                **inputs.to(self.vlm.runtime.device, self.vlm.model.dtype), **self._only_last
            ).logits
        # Padding is on the left, so the last position is the end of every question.
        return logits_QTV[:, -1]

    def _shared(self, texts: Sequence[str], frames_THWC: Frames, timing: Timing) -> torch.Tensor:
        """Logits with the clip processed once; the first clip with several questions tests if the model supports it."""
        if self._shares:
            shared = first_words(self.vlm, texts, frames_THWC, timing)
            return shared if shared is not None else self._plain(texts, frames_THWC, timing)
        plain = self._plain(texts, frames_THWC, timing)
        try:
            shared = first_words(self.vlm, texts, frames_THWC, timing)
            why = "its conversations cannot be cut" if shared is None else "other logits"
        except (AttributeError, TypeError, ValueError, RuntimeError, IndexError, KeyError) as error:
            shared, why = None, f"{type(error).__name__}: {str(error)[:120]}"
        self._shares = shared is not None and agrees(shared, plain)
        if shared is None or not self._shares:
            warnings.warn(NOT_SHARED.format(model=self.vlm.spec.model, why=why), stacklevel=2)
            return plain
        return shared

    @cached_property
    def _spellings(self) -> dict[Literal["yes", "no"], list[int]]:
        found = spellings(self.vlm.processor.tokenizer.get_vocab())
        if not found["yes"] or not found["no"]:
            raise InputError(
                f"the model {self.vlm.spec.model} has no tokens for yes and no",
                expected="a tokenizer with whole words of English",
                got=found,
                next_step=f"name another model in {self.setting}.model.model",
            )
        return found
