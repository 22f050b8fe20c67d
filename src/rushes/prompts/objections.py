"""The critic's objections to drafts: a language model refuses what no video could show."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.context import Context
from rushes.llm.build import chat_model
from rushes.prompts.critic import FeasibilityCritic
from rushes.recipe.models import CriticSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Prompt
from rushes.roles import Critic


def objections(context: Context, drafts: Sequence[Prompt], name: str) -> dict[str, tuple[str, str]]:
    """Reason and detail of each refusal by the draft's key; empty if there is no critic or it only records verdicts.

    Args:
        context: the run's context.
        drafts: the drafts to review.
        name: all verdicts are written to `derived/critic-<name>.json`.
    """
    spec = context.recipe.prompts.screen.critic
    if spec is None or not drafts:
        return {}
    verdicts = build_critic(spec, context.runtime).verdicts(drafts)
    context.run.write_derived(f"critic-{name}", verdicts)
    if not spec.enforce:
        return {}
    return {each.prompt_key: found for each in verdicts if (found := each.objection) is not None}


def build_critic(spec: CriticSpec, runtime: RuntimeSpec) -> Critic:
    """The recipe's critic.

    Raises:
        RecipeError: a model that cannot be used.
    """
    return FeasibilityCritic(spec, chat_model(spec.model, runtime))
