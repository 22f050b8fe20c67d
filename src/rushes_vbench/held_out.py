"""The suite's prompts as the evaluation prompts of a run: which of them, in which split, with which questions.

The prompts of a dimension are ranked by a hash of their text, so any number of them is a fair sample, and a larger
number contains the smaller one. Probes and the two splits start a third of the ranking apart and wrap around: up to a
third of a dimension's prompts each, they do not overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Final

from rushes.errors import RecipeError
from rushes.records import Question
from rushes.roles import Part, PromptSuite, Runtime, Spec, SuitePrompt
from rushes.store.identity import content_hash
from rushes_vbench.augmented import read_augmented
from rushes_vbench.catalogue import CATALOGUE, SOURCE, facts
from rushes_vbench.suite import Suite, SuiteEntry, read_suite

_START: Final[Mapping[Part, int]] = {"development": 0, "probe": 1, "test": 2}
"""The third of the ranking at which a part starts."""


class SuiteSpec(Spec):
    """The prompts of VBench-2.0, as `measure.suite` of a recipe takes them."""

    spec_name: ClassVar[str] = "vbench2.suite"
    added_later: ClassVar[frozenset[str]] = frozenset({"augmented"})

    path: str
    """Your copy of VBench-2.0: a checkout, a vbench2 wheel, VBench2_full_info.json, or `installed`."""
    augmented: str = ""
    """Texts that models are given in place of the prompts, as for the benchmark's leaderboard: `vbench2` or `wanx` of
    your checkout, or a JSON file {prompt: text}. Clips are named and measured by the originals. Empty for none."""

    def build(self, runtime: Runtime) -> PromptSuite:
        """The suite, read from that copy.

        Raises:
            InputError: there is no such copy, it is not the suite, or a prompt has no rewritten text.
        """
        suite = suite_at(self.path)
        return HeldOut(suite, read_augmented(self.augmented, suite, self.path) if self.augmented else {})


@lru_cache(maxsize=4)
def suite_at(path: str) -> Suite:
    """`rushes_vbench.suite.read_suite`, once per process and path."""
    return read_suite(path)


@dataclass(frozen=True)
class HeldOut:
    """`PromptSuite` over the user's copy."""

    suite: Suite
    """The prompts."""
    rewritten: Mapping[str, str] = field(default_factory=dict)
    """Prompt -> what the model is given in its place; empty to give it the prompt."""

    @property
    def name(self) -> str:
        """Value of `Prompt.source`."""
        return SOURCE

    @property
    def catalogue(self) -> str:
        """The eighteen dimensions."""
        return CATALOGUE

    def prompts(self, dimension: str, num: int, part: Part) -> list[SuitePrompt]:
        """Prompts of a dimension, in the order of the ranking; a `num` above the number available gives all.

        Args:
            dimension: exact identifier.
            num: how many.
            part: probes, or a split of the held-out prompts.

        Raises:
            RecipeError: the dimension is not of the suite.
        """
        entries = _ranked(self.suite, dimension)
        if not entries:
            raise RecipeError(
                f"the suite has no prompts of {dimension!r}",
                expected=f"one of {', '.join(each for each in facts() if self.suite.of(each))}",
                got=dimension,
                next_step="remove it from diagnose.dimensions and diagnose.extra, or measure without measure.suite",
            )
        start = len(entries) * _START[part] // len(_START)
        chosen = [*entries[start:], *entries[:start]][:num]
        return [self._given(index, entry) for index, entry in chosen]

    def guarded(self) -> list[str]:
        """Every text of the suite, rewritten ones too."""
        return list(dict.fromkeys((*self.suite.prompts, *self.rewritten.values())))

    def _given(self, index: int, entry: SuiteEntry) -> SuitePrompt:
        text = self.rewritten.get(entry.prompt)
        if text is None:
            return SuitePrompt(entry.prompt, questions_of(entry), index)
        return SuitePrompt(text, questions_of(entry), index, base_text=entry.prompt)


def questions_of(entry: SuiteEntry) -> tuple[Question, ...]:
    """The yes/no questions of an entry, verbatim; empty if the benchmark asks none."""
    if facts()[entry.dimension].reference != "questions":
        return ()
    return tuple(
        Question(text=text, expected="yes", dimension=entry.dimension, about="vbench") for text in entry.reference
    )


def _ranked(suite: Suite, name: str) -> list[tuple[int, SuiteEntry]]:
    """Position in the file and entry of each prompt of a dimension, in the order of the ranking."""
    entries = {entry.prompt: (index, entry) for index, entry in enumerate(suite.of(name))}
    return sorted(entries.values(), key=lambda each: content_hash(each[1].prompt))
