"""Cosine of word n-grams: order counts, and the fast way agrees with a plain computation."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np

from rushes.prompts.similarity import near_pairs, similarity
from rushes_sandbox.captions import detailed_prompt
from rushes_sandbox.grammar import draw_scene


def plain_cosine(one: str, other: str) -> float:
    """By hand, for texts without synonyms."""
    bags = []
    for text in (one, other):
        found = [word for word in re.findall("[a-z]+", text.lower()) if word not in ("a", "an", "the")]
        bags.append(Counter(" ".join(found[i : i + n]) for n in (1, 2, 3) for i in range(len(found) - n + 1)))
    a, b = bags
    dot = sum(a[gram] * b[gram] for gram in a)
    return dot / math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))


def test_agrees_with_the_definition() -> None:
    one, other = "the grey cat sees a grey cat", "a grey cat sees the old dog near a house"
    assert math.isclose(similarity(one, other), plain_cosine(one, other))
    assert 0.2 < similarity(one, other) < 0.8


def test_order_counts_and_synonyms_do_not() -> None:
    assert similarity("a red circle slides to the left.", "The red circle moves to the left") == 1.0
    assert similarity("a circle moves left, then up", "a circle moves up, then left") < 0.8
    assert similarity("", "a circle") == 0.0


def test_one_word_more_or_less_shows_below_the_default_threshold_up_to_60_words() -> None:
    words = [f"w{i}" for i in range(60)]
    changed = [*words[:30], "other", *words[31:]]
    assert similarity(" ".join(words), " ".join(changed)) < 0.97


def test_near_pairs_are_all_pairs_above_the_threshold() -> None:
    rng = np.random.default_rng(1)
    texts = ["", *(detailed_prompt(draw_scene(rng), rng) for _ in range(60)), "words of another kind"]
    others = texts[10:40]
    found = [(near.row, near.other, round(near.cosine, 9)) for near in near_pairs(texts, others, 0.6)]
    expected = [
        (i, j, round(similarity(one, other), 9))
        for i, one in enumerate(texts)
        for j, other in enumerate(others)
        if similarity(one, other) >= 0.6
    ]
    assert found == expected
    assert len(found) > len(others)
    assert list(near_pairs([], others, 0.6)) == list(near_pairs(texts, [], 0.6)) == []
