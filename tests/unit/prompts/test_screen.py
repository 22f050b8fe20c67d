"""The screen: each refusal with its reason, nothing lost, and enough of the sandbox's prompts left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rushes.families.tokens import token_counter
from rushes.prompts.screen import Reads, Screened, screen, screen_splits
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.prompts import ScreenSpec
from rushes.records import Prompt
from rushes_sandbox.captions import base_prompt, detailed_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.reader.shapes import ShapeReader
from rushes_sandbox.text import MAX_TOKENS, make_tokenizer, vocabulary
from tests.support.sandbox_recipe import MODEL

Make = Callable[..., Prompt]
WORDS = frozenset(vocabulary(num_scenes=150))


def counted(text: str) -> int:
    """Tokens of a text by the sandbox's own tokenizer."""
    count = token_counter(BaseModelSpec(model=MODEL))
    assert count is not None
    return count(text)


def ran(candidates: list[Prompt], *evaluation: Prompt, spec: ScreenSpec | None = None, **more: Any) -> Screened:
    return screen(candidates, evaluation=evaluation, spec=spec or ScreenSpec(), **{"reader": ShapeReader(), **more})


def reasons(screened: Screened) -> list[str]:
    return [rejection.reason for rejection in screened.rejections]


@pytest.mark.parametrize(
    ("text", "reason", "says"),
    [
        (" \n", "empty", "no words"),
        ("...", "empty", "no words"),
        ("_ _", "empty", "no words"),
        ("a circle " * 31, "too_long", "62 words, at most 60"),
        ("circle" * 1666, "too_long", "9996 characters"),
        ("a red elephant moves to the moon.", "unknown_word", "'elephant', 'moon', '.'"),
        ("a red circle, a blue square, a green cross, a yellow circle, a red cross, a blue circle, a red cross and "
         "a green circle together", "too_long", "33 tokens, at most 32"),
        ("a red circle turns red", "infeasible", "which it is already"),
        ("a still camera zooms in on a red circle", "contradiction", "still"),
        ("a cyan cross slides up", "held_out", "the held-out prompt 'a cyan cross moves up'"),
    ],
)  # fmt: skip
def test_each_refusal_says_why(prompt: Make, text: str, reason: str, says: str) -> None:
    held_out = prompt("a cyan cross moves up", origin="held_out")
    found = ran([prompt(text)], held_out, reads=Reads(WORDS, MAX_TOKENS, counted))
    assert found.accepted == ()
    assert [(r.reason, r.text, r.prompt_key) for r in found.rejections] == [(reason, text, prompt(text).key)]
    assert says in found.rejections[0].detail


def test_words_and_tokens_are_those_of_the_tokenizer() -> None:
    tokenizer = make_tokenizer()
    unknown = tokenizer.unk_token_id
    for text in ("a red circle, the camera zooms in", "a red circle.", "two 2 circles", "it's big", "Ein roter Kreis"):
        ids = tokenizer(text)["input_ids"]
        made = Prompt(key="0" * 64, text=text, base_text=text, dimension="Simple", origin="weakness", index=0)
        known = frozenset(tokenizer.get_vocab())
        is_refused = "unknown_word" in reasons(ran([made], reads=Reads(known)))
        assert is_refused == (unknown in ids), text
        just_fits = ran([made], reads=Reads(known, len(ids), counted))
        too_small = ran([made], reads=Reads(known, len(ids) - 1, counted))
        assert "too_long" not in reasons(just_fits), text
        assert "too_long" in reasons(too_small), text


def test_the_first_of_near_duplicates_stays(prompt: Make) -> None:
    texts = ["a red circle moves up", "The red circle slides up", "a red circle moves down", "a red circle travels up"]
    found = ran([prompt(text) for text in texts])
    assert [each.text for each in found.accepted] == [texts[0], texts[2]]
    assert reasons(found) == ["near_duplicate", "near_duplicate"]
    assert "'a red circle moves up'" in found.rejections[1].detail


def test_what_was_refused_does_not_make_others_duplicates(prompt: Make) -> None:
    held_out = prompt("a red circle moves up", origin="held_out")
    found = ran([prompt("a red circle moves up", index=1), prompt("a red circle moves up and grows")], held_out)
    assert [each.text for each in found.accepted] == ["a red circle moves up and grows"]


def test_order_of_motion_is_another_prompt(prompt: Make) -> None:
    held_out = prompt("a red circle moves to the left, then up", origin="held_out")
    found = ran([prompt("a red circle moves up, then to the left")], held_out)
    assert len(found.accepted) == 1


def test_overlap_with_evaluation_is_found_in_any_dimension_and_wording(prompt: Make) -> None:
    asked = [
        prompt("a red circle moves up and pushes a blue square", "Motion_Rationality", "held_out"),
        prompt("a green cross falls and bounces on a grey background", "Mechanics", "probe"),
    ]
    drafts = [
        prompt("a red circle runs into a blue square and pushes it up", "Composition"),
        prompt("a green cross drops to the floor and bounces back up against a grey background, with a still camera"),
        prompt("a green cross falls and bounces on a navy background", "Mechanics"),
    ]
    found = ran(drafts, *asked)
    assert reasons(found) == ["held_out", "held_out"]
    assert "the probe prompt" in found.rejections[1].detail
    strict = ran(drafts, *asked, spec=ScreenSpec(any_background=True))
    assert reasons(strict) == ["held_out"] * 3


def test_near_match_with_evaluation_is_found_in_texts_that_cannot_be_read(prompt: Make) -> None:
    held_out = prompt("a time-lapse of a cheese that melts slowly on a table in the sun", origin="held_out")
    draft = prompt("a time-lapse of a cheese that melts quickly on a table in the sun")
    assert reasons(ran([draft], held_out, spec=ScreenSpec(held_out_overlap=0.7))) == ["held_out"]
    assert reasons(ran([draft], held_out)) == []


def test_the_first_prompts_of_a_dimension_are_taken(prompt: Make) -> None:
    ups = [prompt(f"a {colour} circle moves up", "Up") for colour in ("red", "blue", "green")]
    downs = [prompt("a red circle moves down", "Down")]
    found = ran([*ups, *downs], wanted={"Up": 2, "Down": 3, "Nowhere": 1})
    assert [each.text for each in found.accepted] == [ups[0].text, ups[1].text, downs[0].text]
    assert found.rejections == ()


def test_switched_off_refuses_only_what_would_leak(prompt: Make) -> None:
    held_out = prompt("a cyan cross moves up", origin="held_out")
    drafts = [
        prompt("a red circle turns red"),
        prompt("a blue circle moves up"),
        prompt("a blue circle slides up"),
        prompt("a cyan cross slides up"),
        prompt("!"),
    ]
    found = ran(drafts, held_out, spec=ScreenSpec(enabled=False), reads=Reads(WORDS))
    assert [each.text for each in found.accepted] == [each.text for each in drafts[:3]]
    assert reasons(found) == ["held_out", "empty"]


def test_splits_share_no_content(prompt: Make) -> None:
    names = ("development", "test", "probe")
    texts = {
        "development": ["a red circle moves up", "a red circle moves down"],
        "test": ["a red circle slides up", "a red circle moves to the left", "a red circle turns blue"],
        "probe": ["a red circle travels to the left", "a red circle becomes blue", "a red circle shrinks"],
    }
    drafts = {name: [prompt(text, origin="held_out") for text in texts[name]] for name in names}
    found = screen_splits(drafts, spec=ScreenSpec(), reader=ShapeReader())
    assert [each.text for each in found["development"].accepted] == texts["development"]
    assert [each.text for each in found["test"].accepted] == [
        "a red circle moves to the left",
        "a red circle turns blue",
    ]
    assert [each.text for each in found["probe"].accepted] == ["a red circle shrinks"]


def drawn(prompt: Make, dimension: str, num: int, seed: int, origin: str = "weakness") -> list[Prompt]:
    rng = np.random.default_rng([seed, num])
    found = []
    for index in range(num):
        scene = draw_scene(rng, dimension)
        text = (detailed_prompt if rng.random() < 0.5 else base_prompt)(scene, rng)
        found.append(prompt(text, dimension, origin, index))
    return found


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_enough_of_the_grammar_passes(prompt: Make, dimension: str) -> None:
    drafts = drawn(prompt, dimension, 300, seed=1)
    asked = drawn(prompt, dimension, 88, seed=2, origin="held_out")
    found = ran(drafts, *asked, reads=Reads(WORDS, MAX_TOKENS))
    assert {each.reason for each in found.rejections} <= {"near_duplicate", "held_out"}
    assert len(found.accepted) + len(found.rejections) == 300
    # Mechanics can say the least: 72 events, on 4 backgrounds or none.
    assert len(found.accepted) >= (150 if dimension == "Mechanics" else 190)


def test_two_thousand_drafts_are_no_matter_of_minutes(prompt: Make) -> None:
    drafts = [each for dimension in DIMENSIONS for each in drawn(prompt, dimension, 222, seed=1)]
    asked = [each for dimension in DIMENSIONS for each in drawn(prompt, dimension, 88, seed=2, origin="held_out")]
    ran(drafts[:10], *asked[:10])  # imports are not what is measured
    start = time.process_time()
    first = ran(drafts, *asked, reads=Reads(WORDS))
    # Half a second; pair by pair in plain Python it would be a minute or two.
    assert time.process_time() - start < 8.0
    assert ran(drafts, *asked, reads=Reads(WORDS)) == first
