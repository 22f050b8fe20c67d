"""Questions of one clip share what comes before them: the clip is read once, and each question goes on from there.

Exact up to rounding: a causal model's states of the common beginning do not depend on what follows. Whether a model's
own code continues as it should is not taken on trust: `agrees` compares with the plain way before it is relied upon.

Legend: Q questions, V vocabulary, P tokens of the common beginning, S tokens of the longest rest.
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
"""Largest difference of a likely word's logit that is rounding, in standard deviations over the vocabulary."""


@dataclass(frozen=True)
class Split:
    """Token sequences cut into their common beginning and their own rests."""

    num_common: int
    """P: tokens of the first sequence, pictures expanded, that all share; at least 1."""
    rests: tuple[tuple[int, ...], ...]
    """What follows in each, at least one token, no pictures."""


def split(whole: Sequence[int], bare: Sequence[Sequence[int]], pictures: frozenset[int]) -> Split | None:
    """Where conversations about the same pictures part; None where they cannot be cut safely.

    Args:
        whole: the first conversation as the model reads it, with as many tokens per picture as it takes.
        bare: every conversation with one token per picture, the first one among them in front.
        pictures: tokens that stand for pictures.
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
    """Logits of the first word of each reply, shape Q, V, with the clip read once; None where it cannot be shared.

    Args:
        vlm: the model.
        texts: conversations about the same frames, from `LocalVlm.as_text`, at least 2.
        frames_THWC: the frames.
        timing: when they were.
    """
    import torch

    inputs = dict(vlm.inputs(texts[:1], frames_THWC, timing).to(vlm.runtime.device, vlm.model.dtype))
    whole: list[int] = inputs["input_ids"][0].tolist()
    cut = split(whole, vlm.processor.tokenizer(list(texts))["input_ids"], vlm.picture_tokens)
    if cut is None:
        return None
    # What has a number per token is cut with the tokens; pixels and sizes stay whole.
    common = {
        name: value[:, : cut.num_common] if tuple(value.shape[:2]) == (1, len(whole)) else value
        for name, value in inputs.items()
    }
    with torch.inference_mode():
        cache = vlm.model(**common, use_cache=True, **_keeping(vlm, 1)).past_key_values
        cache.batch_repeat_interleave(len(texts))
        return _continued(vlm, cache, cut.rests)


def _continued(vlm: LocalVlm, cache: Any, rests: Sequence[Sequence[int]]) -> torch.Tensor:
    """Logits after each rest. Rests are filled up on the right, where no place before looks."""
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
        shared_QV: with the clip read once.
        plain_QV: with every conversation read whole.
    """
    kind = str(plain_QV.dtype)
    a, b = shared_QV.float(), plain_QV.float()
    top = b.topk(min(_COMPARED, b.shape[-1]), dim=-1).indices
    worst = (a - b).gather(-1, top).abs().amax(dim=-1) / b.std(dim=-1)
    return bool((worst <= _ROUNDING.get(kind, 1e-3)).all())
