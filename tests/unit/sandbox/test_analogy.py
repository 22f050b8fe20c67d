"""Substitution by analogy: one mapping for a prompt and its questions, opposites kept, verbs left alone."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from rushes_sandbox.analogy import vary
from rushes_sandbox.captions import detailed_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import Check, ask, checks
from rushes_sandbox.questions import read as read_question
from rushes_sandbox.reader.contradictions import objection
from rushes_sandbox.reader.reading import read

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up", "above": "below", "below": "above"}
CHASE = "A red circle follows a blue square to the left, then up, on a grey background"
ASKED = {
    "does the red circle move to the left?": "yes",
    "does the blue square move to the right?": "no",
    "is the blue square above the red circle at the end?": "yes",
    "is there a green cross?": "no",
}


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def mapping(old: list[str], new: list[str]) -> dict[str, str]:
    """Word -> its substitute; fails when one word became two."""
    found: dict[str, str] = {}
    words = [re.findall(r"[a-z]+", " ".join(texts).lower()) for texts in (old, new)]
    for before, after in zip(*words, strict=True):
        assert found.setdefault(before, after) == after, (before, found[before], after)
    return found


def test_one_mapping_holds_in_the_prompt_and_in_all_questions() -> None:
    seen = set()
    for seed in range(200):
        new = vary(CHASE, ASKED, seeded(seed))
        found = mapping([CHASE, *ASKED], [new.text, *new.questions])
        assert len(set(found.values())) == len(found)  # different words stay different
        assert list(new.questions.values()) == list(ASKED.values())
        assert found["left"] == OPPOSITE[found["right"]]
        assert (found["up"] == "down") == (found["above"] == "below")
        assert {f"{a} -> {b}" for a, b in found.items() if a != b} == set(new.changes)
        seen.add(new.text)
    assert len(seen) > 150
    assert vary(CHASE, ASKED, seeded(7)) == vary(CHASE, ASKED, seeded(7))
    assert all(text.startswith("A ") and " follows a " in text for text in seen)


@pytest.mark.parametrize(
    "text",
    [
        "a red circle left the frame",
        "a red circle moves right away",
        "the red circle is the right colour",
        "a red circle speeds up",
        "a red circle falls and a blue square goes up",
        "two red circles cross",
        "the shapes circle around",
        "a red circle crosses the way of a dog",
    ],
)
def test_words_with_another_meaning_stay(text: str) -> None:
    kept = ("left", "right", "up", "falls", "cross", "crosses", "around", "away")
    for seed in range(40):
        new = vary(text, {}, seeded(seed)).text.split()
        for before, after in zip(text.split(), new, strict=True):
            if before in kept:
                assert after == before
    if "shapes circle" in text:
        assert vary(text, {}, seeded(0)).text == text


def test_a_plural_stays_a_plural() -> None:
    found = {vary("two red crosses move up", {}, seeded(seed)).text.split()[2] for seed in range(60)}
    assert found == {"circles", "squares", "triangles", "crosses"}


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_answers_of_the_grammars_own_prompts_stay_right(dimension: str) -> None:
    """The substituted prompt says what the substituted questions expect, judged by facts read from the words."""
    rng = seeded(11)
    for _ in range(25):
        scene = draw_scene(rng, dimension)
        text = detailed_prompt(scene, np.random.default_rng(1))
        facts = checks(scene, rng)
        asked = {ask(check): "yes" if is_true else "no" for check, is_true in facts}
        new = vary(text, asked, rng)
        assert objection(read(new.text)) is None
        renamed = [read_question(question) for question in new.questions]
        assert None not in renamed
        assert list(new.questions.values()) == list(asked.values())
        # Renaming keeps apart what was apart: no question may become another one.
        for a, b in combinations(renamed, 2):
            assert a != b
        yes = [check for check, answer in zip(renamed, asked.values(), strict=True) if answer == "yes"]
        no = [check for check, answer in zip(renamed, asked.values(), strict=True) if answer == "no"]
        for check in yes:
            assert isinstance(check, Check)
            asked_about = {name for noun in read(check.subject).nouns for name in noun.name.split()}
            assert asked_about <= {name for noun in read(new.text).nouns for name in noun.name.split()}
        assert not set(yes) & set(no)
