"""The scores that follow from what a run's judge has said so far; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.feedback import gives
from rushes.judge.key import judge_name
from rushes.judge.stage import ASKING, by_judge
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.records import Clip, Scored
from rushes.store.run import Run


def stored_scores(run: Run, spec: JudgeSpec, clips: Sequence[Clip]) -> tuple[dict[str, float], str]:
    """The score of each clip that has one, by its key, and the judge's name.

    Args:
        run: an open run.
        spec: its judges.
        clips: of the run.

    Raises:
        RecipeError: a judge is a plug-in that cannot be imported.
    """
    prompts = {prompt.key: prompt for prompt in run.prompts.all()}
    found: dict[str, float] = {}
    for own_spec, own in by_judge(clips, spec):
        asking = ASKING[gives(resolved(own_spec.judge, JUDGE))](own, prompts, own_spec, 1)
        replies = run.table(asking.table, asking.record_type).all()
        found.update(
            (score.clip_key, score.outcome.value)
            for score in asking.grade(replies)
            if isinstance(score.outcome, Scored)
        )
    return found, judge_name(spec)
