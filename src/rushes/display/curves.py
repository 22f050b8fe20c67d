"""Training's curves in words: what each shows, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MEANINGS: Final[Mapping[str, str]] = {
    "weighted_flow": "Error on the model's own clips, each counted by its weight.",
    "real_flow": "Error on the real clips that are trained on. It should not rise.",
    "held_out_own": "Error on own clips that are not trained on, good and bad ones alike. It may rise, and jumps where "
    "they are few: a model that moves away from its own bad clips errs more on them.",
    "held_out_real": "Error on real clips that are not trained on. If it keeps rising, the model forgets them.",
    "anchor": "Squared distance of the prediction to the frozen model's.",
    "norm_guard": "By how much the prediction is longer than the frozen model's.",
    "moments": "How far predicted clips are distributed otherwise than real ones.",
    "learning_rate": "Size of the steps, by train.schedule and train.warmup_steps.",
    "gradient_norm": "Length of the gradient before it is cut to train.max_grad_norm.",
    "online_score": "The judge's mean score of the clips that were generated in training.",
    "online_asked": "Share of clips for which the judge was asked.",
    "online_missing": "Share of clips to which the judge gave no score.",
}
_STARTS: Final[Mapping[str, str]] = {
    "distance_to_": "How far the prediction has moved from that of the frozen model it is compared with.",
    "norm_to_": "Length of the prediction over that of the frozen model it is compared with; 1 is unchanged.",
}


def meaning(curve: str) -> str:
    """What a curve of training shows, in a sentence or two; empty for one that a plug-in brought.

    Args:
        curve: its name in the checkpoint: `real_flow`.
    """
    return _MEANINGS.get(curve) or next((text for start, text in _STARTS.items() if curve.startswith(start)), "")
