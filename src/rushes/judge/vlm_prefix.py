"""Questions about one clip share their prefix: the clip is processed once, and each question continues from there.

Exact up to rounding: a causal model's states of the common prefix do not depend on what follows. A model's own code may
not continue from a prefix correctly, so `agrees` compares the result with the plain computation before it is used.

Legend: Q questions, V vocabulary, P tokens of the common prefix, S tokens of the longest rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

    from rushes.judge.vlm_model import LocalVlm, Timing
    from rushes.roles import Frames

_COMPARED: Final = 100
_ROUNDING: Final = {"torch.float32": 1e-3, "torch.bfloat16": 0.15, "torch.float16": 0.05}
"""Largest difference of a likely word's logit that counts as rounding, in standard deviations over the vocabulary."""


@dataclass(frozen=True)
class Split:
    """Token sequences split into their common prefix and the rest of each."""

    num_common: int
    """P: tokens of the first sequence, with images expanded, that all share; at least 1."""
    rests: tuple[tuple[int, ...], ...]
    """The rest of each sequence, at least one token, no images."""


def split(whole: Sequence[int], bare: Sequence[Sequence[int]], pictures: frozenset[int]) -> Split | None:
    """Split conversations about the same images where they start to differ; None if they cannot be split safely.

    Args:
        whole: the first conversation as the model reads it, with all tokens of each image.
        bare: every conversation with one token per image, the same first one at index 0.
        pictures: tokens that stand for images.
    """
    longest = min(map(len, bare)) - 1
    num = next((i for i in range(longest) if len({ids[i] for ids in bare}) > 1), longest)
    rests = tuple(tuple(ids[num:]) for ids in bare)
    num_common = len(whole) - len(rests[0])
    if num < 1 or num_common < 1 or tuple(whole[num_common:]) != rests[0]:
        return None
    if not pictures or any(token in pictures for rest in rests for token in rest):
        return None
    return Split(num_common, rests)


def first_words(
    vlm: LocalVlm, texts: Sequence[str], frames_THWC: Frames, timing: Timing | None = None
) -> torch.Tensor | None:
    """Logits of the first word of each reply, shape Q, V, with the clip processed once; None if it cannot be shared.

    Args:
        vlm: the model.
        texts: conversations about the same frames, from `LocalVlm.as_text`, at least 2.
        frames_THWC: the frames.
        timing: their positions in the clip.
    """
    import torch

    inputs = dict(vlm.inputs(texts[:1], frames_THWC, timing).to(vlm.runtime.device, vlm.model.dtype))
    whole: list[int] = inputs["input_ids"][0].tolist()
    cut = split(whole, vlm.processor.tokenizer(list(texts))["input_ids"], vlm.picture_tokens)
    if cut is None:
        return None
    # Inputs with a value per token are cut like the tokens; pixels and sizes stay complete.
    common = {
        name: value[:, : cut.num_common] if tuple(value.shape[:2]) == (1, len(whole)) else value
        for name, value in inputs.items()
    }
    with torch.inference_mode():
        cache = vlm.model(**common, use_cache=True, **_keeping(vlm, 1)).past_key_values
        cache.batch_repeat_interleave(len(texts))
        return _continued(vlm, cache, cut.rests)


def _continued(vlm: LocalVlm, cache: Any, rests: Sequence[Sequence[int]]) -> torch.Tensor:
    """Logits after each rest. Rests are padded on the right, which earlier positions do not attend to."""
    import torch

    lengths = [len(rest) for rest in rests]
    longest, spread = max(lengths), max(lengths) - min(lengths) + 1
    rows = [[*rest, *[rest[-1]] * (longest - len(rest))] for rest in rests]
    ids_QS = torch.tensor(rows, device=vlm.runtime.device)
    logits_QSV: torch.Tensor = vlm.model(
        input_ids=ids_QS, past_key_values=cache, use_cache=True, **_keeping(vlm, spread)
    ).logits
    skipped = longest - logits_QSV.shape[1]
    places = torch.tensor([length - 1 - skipped for length in lengths], device=logits_QSV.device)
    return logits_QSV[torch.arange(len(rests), device=logits_QSV.device), places]


def _keeping(vlm: LocalVlm, num: int) -> dict[str, int]:
    return {"logits_to_keep": num} if vlm.keeps_few_logits else {}


def agrees(shared_QV: torch.Tensor, plain_QV: torch.Tensor) -> bool:
    """Whether two ways to compute the same logits differ by rounding only, over the most likely words.

    Args:
        shared_QV: with the clip processed once.
        plain_QV: with every conversation processed completely.
    """
    kind = str(plain_QV.dtype)
    a, b = shared_QV.float(), plain_QV.float()
    top = b.topk(min(_COMPARED, b.shape[-1]), dim=-1).indices
    worst = (a - b).gather(-1, top).abs().amax(dim=-1) / b.std(dim=-1)
    return bool((worst <= _ROUNDING.get(kind, 1e-3)).all())
