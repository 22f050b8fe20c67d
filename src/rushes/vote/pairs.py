"""Which pairs people see: those of the run's study, their questions, and checks of attention among them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from rushes.audit.study import BlindPair, study_pairs, take_pairs
from rushes.dimensions.catalogue import Dimension
from rushes.display.words import readable
from rushes.errors import InputError
from rushes.recipe.dimensions import known
from rushes.recipe.recipe import Recipe
from rushes.store.identity import content_hash
from rushes.store.run import Run
from rushes.vote.records import MAX_PAIRS, OVERALL, AskedQuestion, Check, ShownPair, Study

_NOISE_EVERY, _SAME_EVERY, _AGAIN_EVERY = 10, 20, 10
"""Pairs for each check of a kind."""
ASK_OVERALL: Final = AskedQuestion(name=OVERALL, text="All in all, which video is better?")


@dataclass(frozen=True)
class Wanted:
    """What a study shall ask."""

    of: Literal["models", "takes"] = "models"
    """Base against tuned, or takes of training prompts."""
    num: int = 10
    """Prompts of each dimension at most."""
    seed: int = 0
    """Of the choice, the order, and the sides."""
    ask: tuple[str, ...] = ()
    """Dimensions asked about every pair, besides its own and overall."""
    with_checks: bool = True
    """False leaves the checks of attention out."""


def make_study(run: Run, recipe: Recipe, wanted: Wanted) -> Study:
    """The study that a run's clips allow.

    Raises:
        StoreError: the run has compared nothing yet.
        InputError: nothing to compare, an unknown dimension, or too many pairs.
    """
    found = (study_pairs if wanted.of == "models" else take_pairs)(run, wanted.num, wanted.seed)
    dimensions = {each.name: each for each in known(recipe.diagnose)}
    unknown = [name for name in wanted.ask if name not in dimensions]
    if unknown:
        raise InputError(
            "there is no such dimension to ask about",
            expected=f"one of {', '.join(dimensions)}",
            got=unknown[0],
            next_step="leave --ask out to ask about each prompt's own dimension",
        )
    pairs = _with_names(_counting(found, wanted), wanted)
    if len(pairs) > MAX_PAIRS:
        raise InputError(
            "so many pairs are not one study",
            expected=f"at most {MAX_PAIRS} pairs, checks included",
            got=len(pairs),
            next_step="lower --num",
        )
    names = dict.fromkeys(name for pair in pairs for name in pair.questions if name != OVERALL)
    questions = (*(_question(dimensions, name) for name in names), ASK_OVERALL)
    shown = [pair.model_dump(mode="json") for pair in pairs]
    key = content_hash(["study", wanted.of, wanted.seed, [each.model_dump(mode="json") for each in questions], shown])
    return Study(study=key[:12], of=wanted.of, seed=wanted.seed, questions=questions, pairs=tuple(pairs))


def _question(dimensions: Mapping[str, Dimension], name: str) -> AskedQuestion:
    found = dimensions.get(name)
    text = f"Which video is better in this: {readable(name)}?"
    return AskedQuestion(name=name, text=text, hint=found.description if found is not None else "")


def _counting(found: Sequence[BlindPair], wanted: Wanted) -> list[ShownPair]:
    """The pairs that count, still without names of their own.

    Each model is on the left in half of them, at random which: then a habit of choosing one side shows.
    """
    rng = np.random.default_rng([wanted.seed, 0])
    is_turned = rng.permutation(np.arange(len(found)) % 2 == 1)
    pairs = []
    for each, turn in zip(found, is_turned, strict=True):
        clips = sorted((each.first, each.second), key=lambda clip: (clip.model, clip.seed_index))
        left, right = reversed(clips) if turn else clips
        dimension = left.dimension
        pairs.append(
            ShownPair(
                name="p0000",
                left=left.key,
                right=right.key,
                text=each.text,
                dimension=dimension,
                questions=tuple(dict.fromkeys((dimension, *wanted.ask, OVERALL))),
            )
        )
    return pairs


def _with_names(pairs: Sequence[ShownPair], wanted: Wanted) -> list[ShownPair]:
    """All pairs under names that say nothing, with the checks at random places among them."""
    rng = np.random.default_rng([wanted.seed, 1])
    checks = _checks(pairs, rng) if wanted.with_checks else []
    # A check stands for the place of the pair that it repeats; names are given once the order is known.
    order = [(pair, None) for pair in pairs] + [(check, of) for check, of in checks]
    order = [order[int(i)] for i in rng.permutation(len(order))]
    names = {id(pair): f"p{number:04d}" for number, (pair, _) in enumerate(order, 1)}
    return [
        pair.model_copy(update={"name": names[id(pair)], "repeats": None if of is None else names[id(of)]})
        for pair, of in order
    ]


def _checks(pairs: Sequence[ShownPair], rng: np.random.Generator) -> list[tuple[ShownPair, ShownPair | None]]:
    """Checks of each kind, with the pair that one repeats."""

    def some(every: int) -> list[ShownPair]:
        num = min(len(pairs), max(1, len(pairs) // every))
        return [pairs[int(i)] for i in rng.choice(len(pairs), size=num, replace=False)]

    found: list[tuple[ShownPair, ShownPair | None]] = []
    for pair in (*some(_NOISE_EVERY), *some(_NOISE_EVERY)[:1]):
        found.append((_check(pair, "noise_left" if rng.random() < 0.5 else "noise_right"), None))
    for pair in some(_SAME_EVERY):
        found.append((_check(pair, "same").model_copy(update={"right": pair.left}), None))
    for pair in some(_AGAIN_EVERY):
        found.append((_check(pair, "again").model_copy(update={"left": pair.right, "right": pair.left}), pair))
    return found


def _check(pair: ShownPair, what: Check) -> ShownPair:
    return pair.model_copy(update={"questions": (OVERALL,), "check": what})
