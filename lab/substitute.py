"""Controls: the answers about training clips replaced, everything else as it is.

The replaced answers are put into the run's records before its judge is asked about these clips, so the run itself is an
ordinary one. About probes and held-out clips its judge answers as the sandbox's does: the focus and the scorecard are
those of the other arms.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from lab.budgets import clips_judged_a_step
from rushes.context import Context
from rushes.diagnose.stage import diagnose
from rushes.errors import RecipeError
from rushes.generate.stage import generate
from rushes.judge.key import answer_keys, judge_name
from rushes.measure.stage import measurements_of
from rushes.pipeline import improve
from rushes.prompts.evaluation import evaluation
from rushes.prompts.real import real_material
from rushes.prompts.stage import write
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Answer, Clip, Scored
from rushes.roles import Judge, Spec
from rushes.store.run import Run
from rushes_sandbox.specs import JudgeSpec as SandboxJudgeSpec

How = Literal["shuffled", "random", "truth"]
"""Answers about another take of the same prompt; independent of the clip; or the measurer's."""
Said = Mapping[int, float]
"""Position of a question -> probability of yes; questions without an answer are left out."""


class SubstituteSpec(Spec):
    """The sandbox's judge under another name, so that its answers are kept apart."""

    spec_name: ClassVar[str] = "lab.substitute"

    how: How
    """Whose answers about training clips stand for its own."""

    def version(self) -> str | None:
        """As of the judge underneath."""
        return SandboxJudgeSpec().version()

    def build(self, runtime: RuntimeSpec) -> Judge:
        """The judge, for all clips about which nothing was replaced."""
        return SandboxJudgeSpec().build(runtime)


def substitute(true: Recipe, control: Recipe, how: How, home: Path) -> None:
    """Put the answers about the training clips of `control` into the run folder. Run again, it adds what is missing.

    Args:
        true: the same recipe with the judge whose answers are replaced.
        control: the recipe that will be run next; its judge is a `SubstituteSpec`.
        how: what replaces them.
        home: the run folder.

    Raises:
        RecipeError: the recipe has several rounds or drafts, whose clips depend on the answers, or its objective asks
            the judge in training as well.
    """
    if true.num_rounds > 1 or true.generate.draft is not None or clips_judged_a_step(true):
        raise RecipeError(
            "the answers about training clips cannot be replaced in this recipe",
            expected="one round, no drafts, and an objective that does not ask the judge in training",
            got=(true.num_rounds, true.generate.draft, true.train.objective.kind),
            next_step="leave this control out for that objective",
        )
    improve(true, home, until="judge", allow_change=True)
    with Run.open(home, true, allow_change=True) as run:
        context = Context(true, run)
        clips = training_clips(context)
        replaced = _replaced(context, clips, control.judge, how)
        missing = set(run.answers.missing([each.key for each in replaced]))
        run.answers.land([each for each in replaced if each.key in missing])


def training_clips(context: Context) -> list[Clip]:
    """The clips that the first round trains on; made if missing."""
    prompts = evaluation(context)
    focus = diagnose(context, prompts)
    captions = real_material(context, prompts).captions
    return generate(context, context.base, write(context, focus, prompts, captions, 0))


def _replaced(context: Context, clips: Sequence[Clip], spec: JudgeSpec, how: How) -> list[Answer]:
    if how == "truth":
        said = _true(context, clips)
    else:
        said = _shuffled(context, clips) if how == "shuffled" else _at_random(context, clips)
    return [
        Answer(
            key=key,
            clip_key=clip.key,
            question=prompt.questions[index],
            p_yes=said[clip.key].get(index),
            unscored_reason=None if index in said[clip.key] else "there is no answer to put in its place",
            judge=judge_name(spec),
        )
        for clip in clips
        for prompt in [context.prompts[clip.prompt_key]]
        for index, key in enumerate(answer_keys(clip, prompt, spec))
    ]


def _shuffled(context: Context, clips: Sequence[Clip]) -> dict[str, Said]:
    """The judge's answers, each take's given to another take of its prompt."""
    takes: dict[str, list[Clip]] = {}
    for clip in clips:
        takes.setdefault(clip.prompt_key, []).append(clip)
    found: dict[str, Said] = {}
    for prompt_key, own in takes.items():
        for clip, other in zip(own, reordered(own, prompt_key), strict=True):
            keys = answer_keys(other, context.prompts[prompt_key], context.recipe.judge)
            given = context.run.answers.get_many(keys)
            answers = {index: given[key].p_yes for index, key in enumerate(keys) if key in given}
            found[clip.key] = {index: p_yes for index, p_yes in answers.items() if p_yes is not None}
    return found


def reordered(takes: Sequence[Clip], name: str) -> list[Clip]:
    """The takes of a prompt in another order, the same whenever it is asked; it may leave some where they are."""
    order = list(takes)
    random.Random(f"shuffled {name}").shuffle(order)
    return order


def _at_random(context: Context, clips: Sequence[Clip]) -> dict[str, Said]:
    """Answers whose product is uniform between 0 and 1."""
    found: dict[str, Said] = {}
    for clip in clips:
        questions = context.prompts[clip.prompt_key].questions
        p = random.Random(f"random {clip.key}").random() ** (1 / max(1, len(questions)))
        found[clip.key] = {index: each.p_expected(p) for index, each in enumerate(questions)}
    return found


def _true(context: Context, clips: Sequence[Clip]) -> dict[str, Said]:
    """What the measurer says of each question; nothing of clips about which it cannot say."""
    outcomes = {each.subject[0]: each.outcome for each in measurements_of(context, clips)}
    found: dict[str, Said] = {}
    for clip in clips:
        outcome = outcomes.get(clip.key)
        right = {part.name: part.value for part in outcome.parts} if isinstance(outcome, Scored) else {}
        questions = enumerate(context.prompts[clip.prompt_key].questions)
        found[clip.key] = {index: each.p_expected(right[each.text]) for index, each in questions if each.text in right}
    return found
