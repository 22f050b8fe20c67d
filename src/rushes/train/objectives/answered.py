"""The term of clips about which the judge gave an answer: the others leave it, and those that stay count as before."""

from __future__ import annotations

from torch import Tensor

from rushes.train.batch import LossTerms


def answered(name: str, loss_B: Tensor, kept_B: Tensor, strength: float) -> LossTerms:
    """The mean over clips that are kept, times their share, so that parts of a batch add up to the whole.

    Args:
        name: of the term.
        loss_B: the loss of each clip, (B,), with its graph; anything finite where it is not kept.
        kept_B: which clips are kept, (B,) bool.
        strength: coefficient of the term if all are.
    """
    num = int(kept_B.sum())
    # Where none is kept the graph stays, without a gradient: processes that train together all wait for one.
    value = loss_B[kept_B].mean() if num else 0.0 * loss_B.sum()
    return LossTerms({name: value}, {name: strength * num / len(kept_B)}, num_items={name: num})
