"""A vision-language model of transformers: loaded on first use, and shared by all users of the same model."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from rushes.errors import InputError
from rushes.execute.machine import check_device
from rushes.judge.vlm_processor import load_processor
from rushes.llm.chat import Message
from rushes.llm.pretrained import as_chat, defused, explained, precision, source, special_tokens
from rushes.recipe.models import LocalModelSpec
from rushes.store.identity import content_hash

if TYPE_CHECKING:
    from rushes.recipe.runtime import RuntimeSpec
    from rushes.roles import Frames

_PICTURES: Final = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")
_TILING: Final = ("crop_to_patches", "do_image_splitting")
"""Settings by which image processors split an image into tiles, which multiplies its tokens."""


@dataclass(frozen=True)
class Timing:
    """The positions of the shown frames in their clip."""

    num_clip_frames: int
    """Length of the clip, frames."""
    fps: float
    """Frames per second of the clip."""
    shown: tuple[int, ...]
    """Which of its frames are shown."""

    def as_metadata(self) -> dict[str, Any]:
        """As a video's metadata in transformers."""
        return {
            "total_num_frames": self.num_clip_frames,
            "fps": self.fps,
            "duration": self.num_clip_frames / self.fps,
            "frames_indices": [*self.shown],
        }


class LocalVlm:
    """Any image- or video-capable chat model of transformers, on one device.

    Array legend: T, H, W, C as in `rushes.roles`.
    """

    def __init__(self, spec: LocalModelSpec, runtime: RuntimeSpec) -> None:
        """Store what to load; nothing is loaded."""
        self.spec = spec
        self.runtime = runtime

    def as_text(self, words: Sequence[Message], num_images: int) -> str:
        """A conversation in the model's chat template: the clip is at the beginning of the last turn.

        Args:
            words: the turns, at least one; special tokens in them become plain text.
            num_images: number of frames shown, for a model that takes images; a video counts as one.
        """
        pictures = [{"type": "video"}] if self.takes_video else [{"type": "image"}] * num_images

        def render(turns: Sequence[Message]) -> str:
            texts = [{"role": each.role, "content": [{"type": "text", "text": each.text}]} for each in turns[:-1]]
            last = {"role": turns[-1].role, "content": [*pictures, {"type": "text", "text": turns[-1].text}]}
            options = dict(self.spec.chat_template_kwargs or {})
            chat = [*texts, last]
            return str(self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **options))

        return as_chat([replace(each, text=defused(each.text, self.specials)) for each in words], render)

    def inputs(self, texts: Sequence[str], frames_THWC: Frames, timing: Timing | None = None) -> Any:
        """The model's inputs: one row per text, each with all frames, padded on the left.

        Args:
            texts: conversations from `as_text`.
            frames_THWC: the frames shown with each of them.
            timing: their times, for models that take videos; without it 24 frames per second are assumed.
        """
        options: dict[str, Any] = {"padding": True, "return_tensors": "pt"}
        if self.takes_video:
            options |= {"do_sample_frames": False}
            if timing is not None:
                options["video_metadata"] = [timing.as_metadata() for _ in texts]
            return self.processor(text=list(texts), videos=[frames_THWC] * len(texts), **options)
        from PIL import Image

        images = [Image.fromarray(frame) for frame in frames_THWC]
        # As in videos, a frame is one image: with tiles, a clip can exceed the model's context length.
        options |= {name: False for name in _TILING if hasattr(self.processor.image_processor, name)}
        return self.processor(text=list(texts), images=[images] * len(texts), **options)

    # ---------------------------------------------------------------- loaded on first use

    @cached_property
    def processor(self) -> Any:
        """The model's processor for text and images."""
        place, options = source(self.spec, self.runtime)
        processor = explained(self.spec, "the processor of", lambda: load_processor(place, options))
        if not hasattr(processor, "image_processor") or getattr(processor, "tokenizer", None) is None:
            raise InputError(
                f"the model {self.spec.model} does not take images",
                expected="a vision-language model, such as Qwen/Qwen2.5-VL-7B-Instruct",
                got=type(processor).__name__,
                next_step="name another model where the recipe names this one",
            )
        processor.tokenizer.padding_side = "left"
        return processor

    @cached_property
    def takes_video(self) -> bool:
        """True if frames are passed as one video, False for images."""
        return getattr(self.processor, "video_processor", None) is not None

    @cached_property
    def specials(self) -> tuple[str, ...]:
        """Special tokens, which mean more than their letters."""
        return special_tokens(self.processor.tokenizer)

    @cached_property
    def model(self) -> Any:
        """The model, frozen."""
        from transformers import AutoModelForImageTextToText

        check_device(self.runtime.device)
        place, options = source(self.spec, self.runtime)
        kind = precision(self.spec, self.runtime.device)
        model = explained(
            self.spec,
            "the model",
            lambda: AutoModelForImageTextToText.from_pretrained(place, dtype=kind, **options),
        )
        return model.eval().requires_grad_(False).to(self.runtime.device)

    @cached_property
    def keeps_few_logits(self) -> bool:
        """Whether the model can compute the logits of only the last positions."""
        return "logits_to_keep" in inspect.signature(self.model.forward).parameters

    @cached_property
    def picture_tokens(self) -> frozenset[int]:
        """Ids of the tokens that stand for images or videos, from its configuration; empty if it names none."""
        found = [getattr(self.model.config, name, None) for name in _PICTURES]
        return frozenset(number for number in found if isinstance(number, int))


_alive: WeakValueDictionary[str, LocalVlm] = WeakValueDictionary()


def local_vlm(spec: LocalModelSpec, runtime: RuntimeSpec) -> LocalVlm:
    """The model; the same object for the same model and device while it is in use, so that it is loaded once."""
    key = content_hash({"model": spec, "device": runtime.device, "remote_code": runtime.allow_remote_code})
    found = _alive.get(key)
    if found is None:
        found = _alive[key] = LocalVlm(spec, runtime)
    return found
