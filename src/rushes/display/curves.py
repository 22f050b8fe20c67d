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
    "crd": "By how much the errors of a prompt's takes fell otherwise than their scores ask for. It should fall.",
    "crd_right": "Share of takes whose error moved to the side that their score asks for; one half at the start.",
    "dpo": "Loss over pairs of takes: it falls as the better one's error falls against the worse one's.",
    "dpo_beta": "How hard a pair pulls.",
    "dpo_unsure": "Mean pull of a pair, from one half at the start towards 0 when it is learned.",
    "dpo_right": "Share of pairs in which the better take's error fell more; one half at the start.",
    "dpo_better": "Change of the better takes' error. Above 0 the model also moves away from them.",
    "dpo_worse": "Change of the worse takes' error. Above 0 the model moves away from them.",
    "nft": "Pull towards good takes and away from bad ones, with their distance to the frozen model. It need not fall.",
    "rvm": "Errors, each times its clip's advantage: it falls as good takes' errors fall against bad ones'.",
    "awm": "Clipped ratio of errors, each times its clip's advantage. It falls as good takes come closer.",
    "awm_clipped": "Share of clips beyond the clip, which pull no more.",
    "art": "Distance of the prediction to the shifted one that the scores point to. It should fall.",
    "art_done": "How much of the asked shift is made; 1 is all of it.",
    "online": "Errors of clips, each times the score that the judge gave in training.",
    "online_reused": "Share of clips that took an earlier score of the judge.",
    "reward_gradient": "The judge's gradient times the clip. Its value says little: look at the logit.",
    "reward_logit": "How sure the judge is of the expected answers about what training sees.",
    "reward_gradient_size": "Length of the judge's gradient before it is cut.",
    "reward_clipped": "Share of clips whose gradient was cut.",
    "reward_missing": "Share of clips to which the judge gave no score.",
    "online_score": "The judge's mean score of the clips that were generated in training.",
    "online_asked": "Share of clips for which the judge was asked.",
    "online_missing": "Share of clips to which the judge gave no score.",
}
_STARTS: Final[Mapping[str, str]] = {
    "distance_to_": "How far the prediction has moved from that of the frozen model it is compared with.",
    "online_mean_": "Running mean of the judge's scores at the noise levels from this one on.",
    "online_score_": "The judge's mean score at the noise levels from this one on.",
    "norm_to_": "Length of the prediction over that of the frozen model it is compared with; 1 is unchanged.",
}


def meaning(curve: str) -> str:
    """What a curve of training shows, in a sentence or two; empty for one that a plug-in brought.

    Args:
        curve: its name in the checkpoint: `real_flow`.
    """
    return _MEANINGS.get(curve) or next((text for start, text in _STARTS.items() if curve.startswith(start)), "")
