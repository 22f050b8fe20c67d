"""The grammar writer: prompts and questions of one scene, by seed; the user's dimensions by analogy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rushes.errors import RecipeError
from rushes.measure.pairs import DIVERSITY
from rushes.records import Question
from rushes.roles import Brief, Draft, Runtime
from rushes_sandbox.grammar import DIMENSIONS
from rushes_sandbox.questions import read as read_question
from rushes_sandbox.reader.contradictions import objection
from rushes_sandbox.reader.reading import read
from rushes_sandbox.specs import WriterSpec
from rushes_sandbox.text import MAX_TOKENS, vocabulary

OWN: dict[str, Any] = {
    "examples": ("A red circle moves after a blue square.", "a cyan cross and a red triangle move up"),
    "example_questions": (
        (Question(text="is there a red circle?", expected="yes", dimension="Following", about="user"),),
        (Question(text="is there a red cross?", expected="no", dimension="Following", about="user"),),
    ),
}
"""What a brief says of a dimension that the user brings."""
WORDS = frozenset(vocabulary(num_scenes=150))


def write(dimension: str, num: int, start: int = 0, detailed: float = 0.5, **fields: Any) -> list[Draft]:
    told: dict[str, Any] = {"description": "", "examples": (), "example_questions": (), "origin": "weakness"} | fields
    briefs = [Brief(dimension=dimension, index=i, seed=2**62 + start + i, **told) for i in range(num)]
    found = WriterSpec(detailed=detailed).build(Runtime()).write(briefs)
    drafts = [each for each in found if isinstance(each, Draft)]
    assert len(drafts) == num
    return drafts


@pytest.mark.parametrize("dimension", [*DIMENSIONS, DIVERSITY])
def test_drafts_are_by_seed_and_in_words_the_model_knows(dimension: str) -> None:
    drafts = write(dimension, 40)
    assert write(dimension, 3, start=10) == drafts[10:13]
    assert len({draft.text for draft in drafts}) > (15 if dimension == DIVERSITY else 30)
    for draft in drafts:
        pieces = draft.text.replace(",", " , ").split()
        assert set(pieces) <= WORDS
        assert len(pieces) < MAX_TOKENS
        assert objection(read(draft.text)) is None
        assert all(read_question(question.text) is not None for question in draft.questions)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_questions_come_in_both_polarities_and_fit_the_text(dimension: str) -> None:
    drafts = write(dimension, 40)
    answers = [question.expected for draft in drafts for question in draft.questions]
    assert 0.1 < answers.count("no") / len(answers) < 0.7
    for draft in drafts:
        assert len(draft.questions) >= 3
        assert {question.dimension for question in draft.questions} == {dimension}
        names = {noun.name for noun in read(draft.text).nouns}
        for question in draft.questions:
            check = read_question(question.text)
            assert check is not None
            assert question.about == check.kind
            if check.kind == "exists" and question.expected == "yes":
                assert any(set(check.subject.split()) <= set(name.split()) for name in names)
            if check.kind == "moves" and check.when == "" and question.expected == "yes" and dimension == "Simple":
                assert check.value in {fact.value for fact in read(draft.text).facts}


def test_augmentation_adds_the_setting_to_the_same_words() -> None:
    plain, both, full = (write("Mechanics", 60, detailed=share) for share in (0.0, 0.5, 1.0))
    assert all(draft.text == draft.base_text for draft in plain)
    for draft in full:
        assert draft.text.startswith(draft.base_text + " ")
        assert "background" in draft.text
    share = np.mean([draft.text != draft.base_text for draft in both])
    assert 0.3 < share < 0.7
    assert {read(draft.base_text).facts for draft in full} == {read(draft.text).facts for draft in full}


def test_the_world_is_balanced() -> None:
    nouns = [noun for draft in write("Composition", 800) for noun in read(draft.text).nouns]
    for values in (
        [colour for noun in nouns for colour in noun.colours],
        [shape for noun in nouns for shape in noun.shapes],
    ):
        counts = np.unique(values, return_counts=True)[1]
        assert counts.max() < 1.5 * counts.min()


def test_diversity_leaves_most_things_open() -> None:
    for draft in write(DIVERSITY, 60):
        reading = read(draft.text)
        assert not reading.setting
        assert all(not noun.colours or noun.shapes == ("shape",) for noun in reading.nouns)
        assert len(draft.questions) <= 2
        assert all(question.expected == "yes" for question in draft.questions)


def test_a_dimension_of_the_users_is_written_by_analogy() -> None:
    drafts = write("Following", 60, **OWN)
    assert {draft.source.split(":")[0] for draft in drafts} == {"analogy with example 1", "analogy with example 2"}
    assert len({draft.text for draft in drafts}) > 40
    for draft in drafts:
        assert not draft.text.endswith(".")
        assert {question.dimension for question in draft.questions} == {"Following"}
        assert draft.text in (
            draft.base_text,
            *(f"{draft.base_text} on a {b} background" for b in ("black", "grey", "navy", "sand")),
        )
        if "example 1" in draft.source:
            subject = " ".join(draft.base_text.split()[1:3])
            assert draft.questions[0].text == f"is there a {subject}?"
            assert draft.questions[0].expected == "yes"
        else:
            assert draft.questions[0].expected == "no"
            check = read_question(draft.questions[0].text)
            assert check is not None
            assert check.subject not in {noun.name for noun in read(draft.text).nouns}


def test_an_unknown_dimension_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'Mechanics'") as caught:
        write("Mechanic", 1)
    assert caught.value.got_repr == "'Mechanic'"
    with pytest.raises(RecipeError, match=r"diagnose\.extra"):
        write("Thermotics", 1)
