"""The critic's objections to drafts: a language model refuses what no video could show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from rushes.context import Context
from rushes.execute.local import Lazily
from rushes.llm.build import chat_model
from rushes.prompts.critic import FeasibilityCritic, verdict_key
from rushes.prompts.write import CHUNK_SIZE
from rushes.recipe.models import CriticSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Prompt, Verdict
from rushes.roles import Critic, Failed
from rushes.store.advance import Work, advance

VERDICTS: Final = "verdicts"
"""Table of the critic's verdicts."""
NO_VERDICT: Final = ("no_verdict", "the request to the critic failed; the next run sends it again")


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
    work = [Work(verdict_key(spec, draft), draft) for draft in drafts]
    table = context.run.table(VERDICTS, Verdict)
    review = Lazily(partial(build_critic, spec, context.runtime), _review)
    verdicts = advance(table, work, review, chunk_size=CHUNK_SIZE, place=context.here)
    context.run.write_derived(f"critic-{name}", verdicts)
    if not spec.enforce:
        return {}
    found = {each.prompt_key: each.objection for each in verdicts}
    # A request that failed says nothing of its prompt, which waits for the next run.
    missing = {draft.key: NO_VERDICT for draft in drafts if draft.key not in found}
    return missing | {key: objection for key, objection in found.items() if objection is not None}


def _review(critic: Critic, chunk: Sequence[Work[Prompt]]) -> list[Verdict | Failed]:
    return critic.verdicts([piece.payload for piece in chunk])


def build_critic(spec: CriticSpec, runtime: RuntimeSpec) -> Critic:
    """The recipe's critic.

    Raises:
        RecipeError: a model that cannot be used.
    """
    return FeasibilityCritic(spec, chat_model(spec.model, runtime))
