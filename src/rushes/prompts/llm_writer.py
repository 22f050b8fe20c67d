"""The paper's prompt engine: a dimension and its seed examples -> base prompts by analogy -> detailed prompts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import Field

from rushes.llm.ask import Ask, ReplyForm, Unusable, ask_all, read_json, schema_of
from rushes.llm.chat import ChatModel, ChatRequest
from rushes.llm.templates import render
from rushes.prompts.ideas import ideas, shuffled
from rushes.prompts.similarity import similarity
from rushes.recipe.models import LlmWriterSpec
from rushes.roles import Brief, Draft, Failed
from rushes.store.identity import seed_from_key

_MAX_BASE_WORDS: Final = 30
_TOKENS_PER_WORD: Final = 3
_LETTER: Final = re.compile(r"[^\W\d_]")
_CHATTER: Final = re.compile(
    r"^(here('s| is| are)|sure|certainly|of course|okay|the prompt)\b|```|[{}<>|]", re.IGNORECASE
)
_MIN_WORDS: Final = 3
_LIMIT: Final = "prompts.writer.max_tokens"
_SAME: Final = 0.97


class PromptForm(ReplyForm):
    """The reply that the templates `base` and `augment` request."""

    prompt: str = Field(min_length=1)


@dataclass(frozen=True)
class LlmWriter:
    """`PromptWriter` over a language model: two requests per brief, each with a strict form and several attempts."""

    spec: LlmWriterSpec
    """Templates, lengths, temperature and number of tries."""
    model: ChatModel
    """The model to ask."""

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        """One draft per brief, in order; `Failed` if no reply could be used.

        Raises:
            UserError: the model cannot be reached at all.
        """
        bases = ask_all(self.model, [self._base(brief) for brief in briefs], self.spec.num_tries)
        results: dict[int, Draft | Failed] = {}
        wanting: list[tuple[int, str]] = []
        for position, (brief, base) in enumerate(zip(briefs, bases, strict=True)):
            if isinstance(base, Failed):
                results[position] = base
            elif self._is_detailed(brief):
                wanting.append((position, base))
            else:
                results[position] = self._draft(base, base)
        asks = [self._augment(briefs[position], base) for position, base in wanting]
        detailed = ask_all(self.model, asks, self.spec.num_tries)
        for (position, base), text in zip(wanting, detailed, strict=True):
            results[position] = text if isinstance(text, Failed) else self._draft(text, base)
        return [results[position] for position in range(len(briefs))]

    def _is_detailed(self, brief: Brief) -> bool:
        return seed_from_key(str(brief.seed), "detailed") / 2**63 < self.spec.detailed

    def _base(self, brief: Brief) -> Ask[str]:
        most = min(_MAX_BASE_WORDS, self.spec.max_words)
        turns = render(
            "rushes.prompts",
            self.spec.base_template,
            dimension=_words(brief.dimension),
            description=brief.description,
            examples=shuffled(brief.examples, brief.seed),
            ideas=ideas(brief.seed) if self.spec.ideas else (),
            max_words=most,
        )
        request = self._request(brief, "base", most)

        def read(text: str) -> str:
            prompt = prompt_in(text, most * 2)
            if any(similarity(prompt, example) >= _SAME for example in brief.examples):
                raise Unusable("it repeats an example instead of giving a new idea")
            return prompt

        return Ask(replace(request, messages=turns), read, _LIMIT)

    def _augment(self, brief: Brief, base: str) -> Ask[str]:
        turns = render(
            "rushes.prompts",
            self.spec.augment_template,
            dimension=_words(brief.dimension),
            description=brief.description,
            base=base,
            max_words=self.spec.max_words,
        )
        request = self._request(brief, "augment", self.spec.max_words)
        return Ask(replace(request, messages=turns), lambda text: prompt_in(text, self.spec.max_words * 2), _LIMIT)

    def _request(self, brief: Brief, step: str, max_words: int) -> ChatRequest:
        return ChatRequest(
            messages=(),
            max_tokens=self.spec.max_tokens or 32 + _TOKENS_PER_WORD * max_words,
            temperature=self.spec.temperature,
            seed=seed_from_key(str(brief.seed), step),
            schema=schema_of(PromptForm),
        )

    def _draft(self, text: str, base: str) -> Draft:
        steps = [self.spec.base_template] if text == base else [self.spec.base_template, self.spec.augment_template]
        return Draft(text, base, f"{self.model.name}, {', '.join(steps)}")


def _words(name: str) -> str:
    return name.replace("_", " ")


def prompt_in(text: str, max_words: int) -> str:
    """The prompt in a reply, on one line.

    Args:
        text: the reply.
        max_words: a longer text is refused.

    Raises:
        Unusable: no JSON object, or its prompt is empty, chatter, markup, too short or too long.
    """
    prompt = " ".join(read_json(text, PromptForm).prompt.split()).strip("\"' ")
    num_words = len(prompt.split())
    if not _LETTER.search(prompt) or num_words < _MIN_WORDS:
        raise Unusable(f"a prompt needs at least {_MIN_WORDS} words, got {prompt[:80]!r}")
    if num_words > max_words:
        raise Unusable(f"the prompt has {num_words} words, at most {max_words} are of use")
    if _CHATTER.search(prompt):
        raise Unusable(f"the prompt must describe a clip and nothing else, got {prompt[:80]!r}")
    return prompt
