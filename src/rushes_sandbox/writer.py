"""The sandbox's prompt writer: it draws a scene of the dimension, puts it in words, and asks questions about it.

Two steps, as in the paper: a short base prompt like the dimension's seed examples, then, for a share of the prompts,
its augmentation into a detailed one that keeps the wording and adds the setting. Scenes come from the balanced world,
not from the skewed one that the model was pre-trained on. Dimensions that the user adds are written by analogy with
their examples; Diversity gets prompts that leave things open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rushes.errors import RecipeError, nearest
from rushes.measure.pairs import DIVERSITY
from rushes.records import Question
from rushes.roles import Brief, Draft, Failed
from rushes_sandbox.analogy import vary
from rushes_sandbox.captions import NUMBER, TO, base_prompt, detailed_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import Check, checks, plural, questions_of, yes_or_no
from rushes_sandbox.scene import BACKGROUNDS, COLOURS, DIRECTIONS, SHAPES, Scene

Rng = np.random.Generator
Facts = list[tuple[Check, bool]]


@dataclass(frozen=True)
class GrammarWriter:
    """`PromptWriter` over the scene grammar: the same brief always gives the same draft."""

    detailed: float
    """Share of prompts that are augmented with their setting, 0 to 1."""

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        """One draft with its questions per brief, in order.

        Raises:
            RecipeError: a dimension that neither the grammar nor the user's recipe has.
        """
        return [self._draft(brief) for brief in briefs]

    def _draft(self, brief: Brief) -> Draft:
        rng = np.random.default_rng(brief.seed)
        if brief.dimension == DIVERSITY:
            text, facts = _open_prompt(rng)
            return Draft(text, text, "grammar, left open", questions_of(facts, DIVERSITY, rng))
        if brief.dimension not in DIMENSIONS and brief.examples:
            return self._by_analogy(brief, rng)
        if brief.dimension not in DIMENSIONS:
            raise _unknown(brief.dimension)
        scene = draw_scene(rng, brief.dimension)
        base, detailed = _in_words(scene, rng)
        text = detailed if rng.random() < self.detailed else base
        return Draft(text, base, "grammar", questions_of(checks(scene, rng), brief.dimension, rng))

    def _by_analogy(self, brief: Brief, rng: Rng) -> Draft:
        number = int(rng.integers(len(brief.examples)))
        asked = brief.example_questions[number] if brief.example_questions else ()
        # The sandbox's model has no word for a full stop.
        found = vary(brief.examples[number].rstrip(".!"), {each.text: each.expected for each in asked}, rng)
        text = found.text
        if rng.random() < self.detailed and "background" not in text.lower():
            text = f"{text} on a {_one_of(rng, BACKGROUNDS)} background"
        questions = tuple(
            Question(text=text.strip(), expected=yes_or_no(answer == "yes"), dimension=brief.dimension, about="user")
            for text, answer in found.questions.items()
        )
        changes = "; ".join(found.changes) or "nothing to substitute"
        return Draft(text, found.text, f"analogy with example {number + 1}: {changes}", questions)


def _in_words(scene: Scene, rng: Rng) -> tuple[str, str]:
    """The base prompt of a scene, and the same words with the setting added."""
    wording = int(rng.integers(2**63))
    say = [write(scene, np.random.default_rng(wording)) for write in (base_prompt, detailed_prompt)]
    return say[0], say[1]


def _unknown(dimension: str) -> RecipeError:
    known = [*DIMENSIONS, DIVERSITY]
    near = nearest(dimension, known)
    return RecipeError(
        "the sandbox's writer has no such dimension",
        expected=f"one of {', '.join(known)}",
        got=dimension,
        next_step=f"did you mean {near!r}?" if near else "add it with examples and questions in diagnose.extra",
    )


# ---------------------------------------------------------------------------------------------- prompts left open


def _one_of(rng: Rng, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _open_prompt(rng: Rng) -> tuple[str, Facts]:
    """A prompt that says little, and the few questions that it allows."""
    forms: tuple[Callable[[Rng], tuple[str, Facts]], ...] = (_one_thing, _one_motion, _several, _two_shapes)
    return forms[int(rng.choice(len(forms), p=(0.3, 0.4, 0.15, 0.15)))](rng)


def _vague_name(rng: Rng) -> tuple[str, str]:
    """A name that leaves colour or shape (or both) open, and the part of it that a question can name."""
    shape, colour = _one_of(rng, SHAPES), _one_of(rng, COLOURS)
    return ((shape, shape), (f"{colour} shape", ""), ("shape", ""))[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]


def _one_thing(rng: Rng) -> tuple[str, Facts]:
    name, shape = _vague_name(rng)
    return f"a {name}", [(Check("exists", shape), True)] if shape else []


def _one_motion(rng: Rng) -> tuple[str, Facts]:
    name, shape = _vague_name(rng)
    direction = _one_of(rng, DIRECTIONS)
    text = f"a {name} {_one_of(rng, ('moves', 'slides', 'travels'))} {TO[direction]}"
    return text, [(Check("exists", shape), True), (Check("moves", shape, value=direction), True)] if shape else []


def _several(rng: Rng) -> tuple[str, Facts]:
    number, shape = NUMBER[2 + int(rng.integers(2))], _one_of(rng, (*SHAPES, "shape"))
    name = plural(shape)
    return f"{number} {name}", [(Check("count", name, value=number), True)] if shape in SHAPES else []


def _two_shapes(rng: Rng) -> tuple[str, Facts]:
    one, other = (SHAPES[int(i)] for i in rng.choice(len(SHAPES), size=2, replace=False))
    return f"a {one} and a {other}", [(Check("exists", one), True), (Check("exists", other), True)]
