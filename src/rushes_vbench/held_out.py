"""The suite's prompts as the evaluation prompts of a run: which of them, in which split, with which questions.

Prompts of a dimension are ranked by a hash of their text, so that any number of them is a fair sample and a larger
number holds the smaller one. Probes and the two splits begin a third of the ranking apart and go round: up to a third
of a dimension's prompts each, they share none. A prompt that serves several dimensions is one record for each, with its
questions, and is filmed once: its seeds come from its text and origin, so that the first clips of Diversity are those
of the other dimensions, and a prompt that is both a probe and held out is filmed with other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from rushes.errors import RecipeError
from rushes.records import Origin, Prompt, Question
from rushes.store.advance import Work
from rushes.store.identity import content_hash, work_key
from rushes_vbench.catalogue import SOURCE, facts
from rushes_vbench.suite import Suite, SuiteEntry, read_suite

Part = Literal["development", "probe", "test"]
"""Which prompts of the ranking."""
_START: Final[Mapping[Part, int]] = {"development": 0, "probe": 1, "test": 2}
"""Third of the ranking that a part begins at."""


@lru_cache(maxsize=4)
def suite_at(path: str) -> Suite:
    """`rushes_vbench.suite.read_suite`, once per process and path."""
    return read_suite(path)


def suite_work(suite: Suite, wanted: Mapping[str, int], part: Part) -> list[Work[Prompt]]:
    """Prompts to use, as work whose payload is the finished record.

    Args:
        suite: the user's copy.
        wanted: exact identifier -> how many prompts; more than there are takes all.
        part: probes, or a split of the held-out prompts.

    Raises:
        RecipeError: a dimension is not of the suite.
    """
    work: list[Work[Prompt]] = []
    for name, num in wanted.items():
        entries = _ranked(suite, name)
        if not entries:
            raise RecipeError(
                f"the suite has no prompts of {name!r}",
                expected=f"one of {', '.join(each for each in facts() if suite.of(each))}",
                got=name,
                next_step="take it out of diagnose.dimensions, or measure without measure.suite",
            )
        start = len(entries) * _START[part] // len(_START)
        chosen = [*entries[start:], *entries[:start]][:num]
        prompts = [_prompt(entry, index, "probe" if part == "probe" else "held_out") for index, entry in chosen]
        work += [Work(prompt.key, prompt) for prompt in prompts]
    return work


def guarded(suite: Suite) -> tuple[Prompt, ...]:
    """Every prompt of the suite, used or not: none of them may be trained on. Not for storing."""
    firsts = {entry.prompt: entry for entry in reversed(suite.entries)}
    return tuple(_prompt(firsts[text], 0, "held_out") for text in suite.prompts)


def filmed_as(prompt: Prompt) -> str | None:
    """The name that the seeds of a suite's prompt come from, whatever dimension it serves; None for other prompts."""
    if prompt.source != SOURCE:
        return None
    return work_key("prompt", {"suite": "vbench2", "text": prompt.text, "origin": prompt.origin})


def questions_of(entry: SuiteEntry) -> tuple[Question, ...]:
    """The yes/no questions of an entry, word for word; empty where the benchmark asks none."""
    if facts()[entry.dimension].reference != "questions":
        return ()
    return tuple(
        Question(text=text, expected="yes", dimension=entry.dimension, about="vbench") for text in entry.reference
    )


def _ranked(suite: Suite, name: str) -> list[tuple[int, SuiteEntry]]:
    """Position in the file and entry of each prompt of a dimension, in the order of the ranking."""
    entries = {entry.prompt: (index, entry) for index, entry in enumerate(suite.of(name))}
    return sorted(entries.values(), key=lambda each: content_hash(each[1].prompt))


def _prompt(entry: SuiteEntry, index: int, origin: Origin) -> Prompt:
    questions = questions_of(entry)
    asked = [question.text for question in questions]
    spec = {
        "suite": "vbench2",
        "dimension": entry.dimension,
        "text": entry.prompt,
        "questions": asked,
        "origin": origin,
    }
    return Prompt(
        key=work_key("prompt", spec),
        text=entry.prompt,
        base_text=entry.prompt,
        dimension=entry.dimension,
        origin=origin,
        index=index,
        questions=questions,
        source=SOURCE,
    )
