"""Evaluation prompts of a suite: used as the suite gives them, never screened, and guarded against training.

A text that serves several dimensions is one record for each, with its questions, but its clips are generated once.
Their seeds come from the text and its origin. So the first clips of a group dimension are those of the others, and a
text that is both a probe and held out has different seeds in each part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rushes.records import Origin, Prompt
from rushes.roles import Part, PromptSuite, SuitePrompt
from rushes.store.advance import Work
from rushes.store.identity import work_key


def suite_work(suite: PromptSuite, wanted: Mapping[str, int], part: Part) -> list[Work[Prompt]]:
    """Prompts to use, as work whose payload is the finished record.

    Args:
        suite: where they come from.
        wanted: name of a dimension -> how many prompts; all of them if there are fewer.
        part: probes, or a split of the held-out prompts.

    Raises:
        RecipeError: the suite does not have a dimension.
    """
    prompts = [
        _prompt(suite, each, name, "probe" if part == "probe" else "held_out")
        for name, num in wanted.items()
        for each in suite.prompts(name, num, part)
    ]
    return [Work(prompt.key, prompt) for prompt in prompts]


def guarded(suite: PromptSuite) -> tuple[Prompt, ...]:
    """Every text of the suite, used or not, for the screen to compare with. Not to be stored."""
    return tuple(_prompt(suite, SuitePrompt(text, (), 0), "any", "held_out") for text in suite.guarded())


def rewritten_note(prompts: Iterable[Prompt]) -> Iterator[str]:
    """The note that clips were generated from rewritten texts, where the prompts of a suite were rewritten.

    Args:
        prompts: those of a run whose evaluation prompts come from a suite.
    """
    held_out = [prompt for prompt in prompts if prompt.origin == "held_out"]
    num = sum(prompt.text != prompt.base_text for prompt in held_out)
    if num:
        yield (
            f"{num} of {len(held_out)} prompts of the suite were rewritten for the model: clips were generated from "
            "the rewritten texts, and are measured and named by the suite's own."
        )


def _prompt(suite: PromptSuite, found: SuitePrompt, dimension: str, origin: Origin) -> Prompt:
    base = found.text if found.base_text is None else found.base_text
    shared = {"suite": suite.name, "text": base, "origin": origin}
    if found.text != base:
        shared["rewritten"] = found.text
    asked = [question.text for question in found.questions]
    return Prompt(
        key=work_key("prompt", {**shared, "dimension": dimension, "questions": asked}),
        text=found.text,
        base_text=base,
        dimension=dimension,
        origin=origin,
        index=found.index,
        questions=found.questions,
        source=suite.name,
        seed_name=work_key("prompt", shared),
    )
