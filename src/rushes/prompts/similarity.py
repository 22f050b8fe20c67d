"""Similarity of two texts: cosine of the counts of their n-grams of one to three words, so that order matters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rushes.prompts.language import normalised

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_LONGEST = 3
_BLOCK = 512


def ngrams(text: str) -> Counter[tuple[str, ...]]:
    """Counts of the runs of one, two and three normalised words of a text."""
    found = normalised(text)
    return Counter(found[i : i + n] for n in range(1, _LONGEST + 1) for i in range(len(found) - n + 1))


def similarity(one: str, other: str) -> float:
    """Cosine of the n-gram counts of two texts: 0 for nothing in common, 1 for the same words in the same order."""
    a, b = ngrams(one), ngrams(other)
    dot = sum(count * b[gram] for gram, count in a.items())
    norms = sum(c * c for c in a.values()) * sum(c * c for c in b.values())
    return float(dot / norms**0.5) if norms else 0.0


@dataclass(frozen=True)
class Near:
    """Two similar texts."""

    row: int
    """Position of the text that is checked."""
    other: int
    """Position of the similar text."""
    cosine: float
    """Their similarity, 0 to 1."""


def near_pairs(texts: Sequence[str], others: Sequence[str], threshold: float) -> Iterator[Near]:
    """Every pair of a text and another one whose cosine is at least `threshold`, in order of (row, other).

    Counts are whole numbers and so are their products: the result does not depend on the machine.

    Args:
        texts: texts to check.
        others: texts to compare them with; may be the same list (then each text is also a neighbour of itself).
        threshold: 0 < threshold <= 1.
    """
    if not texts or not others:
        return
    columns: dict[tuple[str, ...], int] = {}
    a, a_squares = _counts([ngrams(text) for text in texts], columns)
    b, b_squares = _counts([ngrams(text) for text in others], columns)
    a.resize(len(texts), len(columns))
    transposed = b.T.tocsr()
    for start in range(0, len(texts), _BLOCK):
        products = (a[start : start + _BLOCK] @ transposed).tocoo()
        rows, cols, dots = products.row.astype(np.int64) + start, products.col.astype(np.int64), products.data
        norms = a_squares[rows].astype(np.float64) * b_squares[cols]
        close = np.flatnonzero(dots.astype(np.float64) ** 2 >= (threshold - 1e-12) ** 2 * norms)
        order = close[np.lexsort((cols[close], rows[close]))]
        for k in order:
            yield Near(int(rows[k]), int(cols[k]), float(dots[k] / norms[k] ** 0.5))


def _counts(grams: Sequence[Counter[tuple[str, ...]]], columns: dict[tuple[str, ...], int]) -> tuple[Any, Ints]:
    """Sparse matrix of counts (texts x n-grams) and each text's sum of squares; new n-grams are added to `columns`."""
    from scipy.sparse import csr_matrix

    indices: list[int] = []
    data: list[int] = []
    ends = [0]
    for counts in grams:
        indices += [columns.setdefault(gram, len(columns)) for gram in counts]
        data += counts.values()
        ends.append(len(indices))
    shape = (len(grams), len(columns))
    parts = (np.array(data, dtype=np.int64), np.array(indices, dtype=np.int64), np.array(ends))
    matrix = csr_matrix(parts, shape=shape)
    squares = np.array([sum(c * c for c in counts.values()) for counts in grams], dtype=np.int64)
    return matrix, squares
