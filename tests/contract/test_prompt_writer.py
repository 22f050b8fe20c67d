"""The prompt writer's contract: good writers pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rushes.records import Question
from rushes.roles import Brief, Draft, Failed, Video
from tests.contract.prompt_writer import check_prompt_writer
from tests.contract.spoiled import (
    Change,
    Spoiled,
    first,
    of_companions,
    of_place,
    one_for_nothing,
    unchanged,
    video,
    wandering,
)
from tests.support.judged import make_question


def briefs() -> list[Brief]:
    return [Brief("Mechanics", "Things fall.", ("a ball falls",), (), "weakness", i, seed=i * 7) for i in range(6)]


def drafts(requests: Sequence[Brief]) -> list[Any]:
    return [
        Draft(f"ball {each.seed} falls slowly", f"ball {each.seed} falls", questions=(make_question("does it fall?"),))
        for each in requests
    ]


def number(draft: Draft, by: int) -> Draft:
    return replace(draft, text=f"{draft.text} {by}")


def with_question(question: Question) -> Change:
    return first(lambda draft: replace(draft, questions=(question,)))


def test_good_writers_pass() -> None:
    check_prompt_writer(Spoiled(drafts, unchanged), briefs())
    check_prompt_writer(Spoiled(drafts, wandering(number)), briefs(), repeatable=False)
    check_prompt_writer(
        Spoiled(drafts, first(lambda draft: replace(draft, real_clip=video(3)))), briefs(), repeatable=False
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda results, _: tuple(results), "expected a list"),
        (lambda results, _: results[:-1], "one draft for each of 6 briefs, got 5"),
        (first(lambda _: "a ball falls"), "expected a Draft or Failed"),
        (first(lambda draft: replace(draft, text=" ")), "expected a text and a base text"),
        (first(lambda draft: replace(draft, base_text="")), "expected a text and a base text"),
        (with_question(make_question("red?", dimension="Composition")), "questions about 'Mechanics'"),
        (first(lambda draft: replace(draft, real_clip=Video(np.zeros((3, 4, 4)), 8.0))), "uint8 frames of shape"),
        (lambda results, _: [Failed("X", "y") for _ in results], "briefs that the writer can write for"),
        (lambda results, _: [replace(draft, text="a ball falls") for draft in results], "expected different texts"),
        (one_for_nothing, "no briefs must give no drafts"),
        (wandering(number), "the same briefs must give the same texts"),
        (of_place(number), "the order of briefs"),
        (of_companions(number), "written alone"),
    ],
)
def test_bad_writers_are_caught(change: Change, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_prompt_writer(Spoiled(drafts, change), briefs())
