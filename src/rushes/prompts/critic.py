"""The feasibility critic: a language model refuses, by a written rubric, what no video could show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from rushes.llm.ask import Ask, ReplyForm, Unusable, ask_all, read_decision, schema_of
from rushes.llm.chat import ChatModel, ChatRequest
from rushes.llm.templates import render, template_hash
from rushes.recipe.models import CriticSpec
from rushes.records import Criterion, Prompt, Verdict
from rushes.roles import Failed
from rushes.store.identity import work_key

_MAX_REASON: Final = 300
_MAX_TOKENS: Final = 160


class VerdictForm(ReplyForm):
    """The reply that the template `critic` requests."""

    criterion: Criterion
    reason: str = Field(min_length=1)


@dataclass(frozen=True)
class FeasibilityCritic:
    """Reads every prompt by the rubric; greedy, so that the same text gets the same verdict."""

    spec: CriticSpec
    """Template and number of tries."""
    model: ChatModel
    """The model to ask."""

    def verdicts(self, prompts: Sequence[Prompt]) -> list[Verdict | Failed]:
        """One verdict per prompt, in order; `Failed` where the same request may succeed later.

        Raises:
            UserError: the model cannot be reached at all.
        """
        given = ask_all(self.model, [self._ask(prompt) for prompt in prompts], self.spec.num_tries)
        return [
            form if isinstance(form, Failed) and form.retry != "useless" else self._verdict(prompt, form)
            for prompt, form in zip(prompts, given, strict=True)
        ]

    def _ask(self, prompt: Prompt) -> Ask[VerdictForm]:
        turns = render(
            "rushes.prompts",
            self.spec.template,
            text=prompt.text,
            dimension="" if prompt.origin == "caption" else prompt.dimension.replace("_", " "),
            description="",
        )
        asked = ChatRequest(turns, self.spec.max_tokens or _MAX_TOKENS, schema=schema_of(VerdictForm))
        return Ask(asked, _read, "prompts.screen.critic.max_tokens")

    def _verdict(self, prompt: Prompt, form: VerdictForm | Failed) -> Verdict:
        criterion, reason = (None, form.message) if isinstance(form, Failed) else (form.criterion, form.reason)
        return Verdict(
            key=verdict_key(self.spec, prompt),
            prompt_key=prompt.key,
            text=prompt.text,
            criterion=criterion,
            reason=" ".join(reason.split())[:_MAX_REASON],
            critic=self.model.name,
        )


def verdict_key(spec: CriticSpec, prompt: Prompt) -> str:
    """The work key of a verdict; whether it is enforced changes nothing about it."""
    asked = spec.model_copy(update={"enforce": True})
    return work_key("verdict", {"critic": asked, "rubric": template_hash("rushes.prompts", spec.template)}, [prompt])


def _read(text: str) -> VerdictForm:
    form = read_decision(text, VerdictForm)
    if not form.reason:
        raise Unusable("the reason is empty")
    return form
