"""Similarity of two texts in meaning: cosine of sentence embeddings, if the package with the model is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from rushes.llm.packaged import EMBEDDING_INSTALL, embedding_folder
from rushes.prompts.similarity import Near

if TYPE_CHECKING:
    from rushes.llm.embedding import SentenceEmbedder

_BLOCK: Final = 1024
_ROUNDING: Final = 1e-6


def near_in_meaning(texts: Sequence[str], others: Sequence[str], threshold: float) -> Iterator[Near]:
    """Every pair of a text and another one with a similarity of at least `threshold`, in order of (row, other).

    Without the embedding package there are none, with one warning; words are still compared.

    Args:
        texts: texts to check.
        others: texts to compare them with; may be the same list.
        threshold: cosine, 0 < threshold <= 1; 0.85 merges "at dawn" and "at dusk" in otherwise equal sentences.
    """
    if not texts or not others:
        return
    embedder = _embedder()
    if embedder is None:
        return
    import numpy as np

    a_ND = embedder.embed(texts)
    b_MD = a_ND if others is texts else embedder.embed(others)
    for start in range(0, len(texts), _BLOCK):
        cosines = a_ND[start : start + _BLOCK] @ b_MD.T
        for row, other in np.argwhere(cosines >= threshold - _ROUNDING):
            yield Near(int(row) + start, int(other), min(1.0, float(cosines[row, other])))


@cache
def _embedder() -> SentenceEmbedder | None:
    folder = embedding_folder()
    if folder is None:
        warnings.warn(
            "prompts.screen.meaning_duplicate: the sentence embedding is not installed, so prompts are compared by "
            f"their words only; install it with: {EMBEDDING_INSTALL}",
            stacklevel=3,
        )
        return None
    from rushes.llm.embedding import SentenceEmbedder

    return SentenceEmbedder.load(folder)
