"""The end of a run: from measurements to the scorecard, and everything that the report shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rushes.audit.run import FOLDER as AUDIT_FOLDER
from rushes.audit.run import read_audit
from rushes.feedback import Tested
from rushes.judge.agreement import Agreement, agreement
from rushes.judge.check import num_hard
from rushes.judge.key import judge_name
from rushes.measure.compare import Contest, compare
from rushes.measure.drift import ClipSet, drift
from rushes.measure.latents import LatentMoments, latent_moments
from rushes.measure.pairs import Pair, clusters_of, pair_up
from rushes.measure.shown import shown_notes
from rushes.plan.arithmetic import UnitFlops
from rushes.plan.counts import units_done
from rushes.plan.reference import reference_costs
from rushes.plugins import JUDGE, name_of, resolved
from rushes.prompts.suite import rewritten_note
from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.recipe import Recipe
from rushes.records import (
    Clip,
    Focus,
    Measurement,
    Prompt,
    Rejection,
    Score,
    Scorecard,
)
from rushes.report.data import (
    NOT_AUDITED,
    OWNER,
    Example,
    Missing,
    ReportData,
    Side,
)
from rushes.report.examples import choose_examples
from rushes.report.html import write_report
from rushes.report.made import LAST, made, rounds_of, screening_of, state_of
from rushes.report.pair_files import write_pairs
from rushes.report.scales import places, same_order, scale_rows
from rushes.report.section import Sources, sections_of
from rushes.report.watched import watch_notes
from rushes.roles import AccuracyRow, Video
from rushes.statistics.resampling import Resampling
from rushes.store.run import Run
from rushes.train.off_policy import off_policy
from rushes.weights.report import WeightReport

if TYPE_CHECKING:
    from rushes.roles import Frames


@dataclass(frozen=True)
class Result:
    """The results of the last stages."""

    focus: tuple[Focus, ...]
    base: str
    """Name of the untouched weights."""
    tuned: str
    """Key of the last checkpoint."""
    before: tuple[Measurement, ...]
    after: tuple[Measurement, ...]
    clips: Mapping[str, Clip]
    """By key, at least the measured ones."""
    real: tuple[Clip, ...]
    judged: tuple[Score, ...]
    """The training judge's scores of the measured clips."""
    real_moments: tuple[LatentMoments, ...]
    """Moments of the real clips' latents."""
    unit_flops: UnitFlops
    """Arithmetic of one unit of each kind of work."""

    def scorecard(self, recipe: Recipe, run: Run, prompts: Mapping[str, Prompt]) -> Scorecard:
        """Compare before and after; notes carry what failed, and the warnings of the weighting.

        Args:
            recipe, run: the recipe and its run.
            prompts: by key, at least the measured ones.
        """
        contest = Contest(
            base_model=self.base,
            tuned_model=self.tuned,
            judge=OWNER if recipe.prompts.only_real else judge_name(recipe.judge),
            focus=tuple(each.dimension for each in self.focus),
        )
        before, not_finite_before = self._single_clips(run, self.before)
        after, not_finite_after = self._single_clips(run, self.after)
        real = ClipSet(frames=_frames(run, self.real), moments=self.real_moments)
        notes = [*run.shortfall.words(), *_weight_warnings(run, recipe.num_rounds)]
        notes += [] if (said := off_policy(recipe)) is None else [said]
        notes += watch_notes(recipe, run, rounds_of(run, self.tuned))
        notes += shown_notes([*self.before, *self.after])
        notes += rewritten_note(prompts.values()) if recipe.measure.suite is not None else ()
        for which, num in (("base", not_finite_before), ("tuned", not_finite_after)):
            if num:
                notes.append(
                    f"{num} clips of the {which} model have latents that are not finite and are left out of the drift"
                )
        return compare(
            pair_up(self.before, self.after, self.clips.values()),
            clusters_of(prompts.values()),
            contest,
            Resampling(recipe.measure.num_bootstrap),
            judged=self.judged,
            drift=drift(before, after, real),
            notes=tuple(notes),
        )

    def _single_clips(self, run: Run, measured: Sequence[Measurement]) -> tuple[ClipSet, int]:
        """Single clips of one model, and how many of them have latents that are not finite."""
        clips = [self.clips[each.subject[0]] for each in measured if len(each.subject) == 1]
        moments, num_not_finite = [], 0
        for clip in clips:
            if clip.latents is not None:
                latents_CTHW = run.blobs.read_arrays(clip.latents)["latents"]
                if np.isfinite(latents_CTHW).all():
                    moments.append(latent_moments(latents_CTHW))
                else:
                    num_not_finite += 1
        return ClipSet(frames=_frames(run, clips), moments=moments), num_not_finite


def _frames(run: Run, clips: Sequence[Clip]) -> Iterator[Frames]:
    return (run.blobs.read_video(clip.frames) for clip in clips)


def _weight_warnings(run: Run, num_rounds: int) -> tuple[str, ...]:
    found: list[str] = []
    for number in range(num_rounds):
        for report in run.read_derived(f"weights-{number}", WeightReport) or []:
            found.extend(f"round {number + 1}: {warning}" for warning in report.warnings)
    return tuple(found)


def publish(recipe: Recipe, run: Run, result: Result, scorecard: Scorecard, prompts: Mapping[str, Prompt]) -> None:
    """Write `report.html` and `scorecard.json` into the run folder.

    Args:
        recipe, run, result, scorecard: the recipe, its run, and its results.
        prompts: every prompt that this recipe wrote or read, by key, including refused ones.
    """
    pairs = pair_up(result.before, result.after, result.clips.values()).pairs
    screening = screening_of(prompts, run.read_derived("rejections", Rejection))
    so_far = made(recipe, run, rounds_of(run, result.tuned), result.focus, screening, recipe.num_rounds - 1)
    reference = reference_costs(units_done(run, recipe), result.unit_flops, recipe)
    data = ReportData(
        **vars(replace(so_far, reference=reference, made_from=state_of(run, LAST))),
        scorecard=scorecard,
        num_pairs=write_pairs(run, pairs, result.clips, prompts, [each.dimension for each in result.focus]),
        examples=_examples(run, pairs, result, scorecard, prompts) or Missing("no pair of clips was scored"),
        judge_accuracy=_judge_accuracy(recipe),
        num_answers=run.answers.num_records(),
        scales=scale_rows(result.judged, result.clips, result.base, result.tuned),
        same_order=same_order(result.judged, (*result.before, *result.after), result.clips),
        places=places(run.votes.each()),
        num_hard_answers=_num_hard(recipe, run),
        agreement_before=_agreement(run, result.before, "base"),
        agreement_after=_agreement(run, result.after, "tuned"),
        sections=sections_of(Sources(run, result.before, result.after, prompts, result.clips)),
        audit=read_audit(run.home / AUDIT_FOLDER) or Missing(NOT_AUDITED),
    )
    write_report(data, run.home)


def _agreement(run: Run, measured: Sequence[Measurement], which: str) -> tuple[Agreement, ...] | Missing:
    """Judge against measurer on one model's clips. Answers about all other clips, most of them, are not parsed."""
    about_own = run.answers.each_with("clip_key", {each.subject[0] for each in measured})
    return agreement(about_own, measured) or Missing(
        f"judge and measurer have no answered question in common for clips of the {which} model"
    )


def _examples(
    run: Run, pairs: Sequence[Pair], result: Result, scorecard: Scorecard, prompts: Mapping[str, Prompt]
) -> tuple[Example, ...]:
    """Clips of the focus dimensions, and of those that got worse."""
    names = [each.dimension for each in result.focus]
    names += [row.dimension for row in scorecard.rows if row.verdict == "worse" and row.dimension not in names]
    chosen = choose_examples(pairs, names)
    return tuple(
        Example(
            dimension=choice.pair.dimension,
            rule=choice.rule,
            prompt=prompts[choice.pair.prompt_key].text,
            questions=prompts[choice.pair.prompt_key].questions,
            seed=result.clips[choice.pair.before.subject[0]].seed,
            seed_index=choice.pair.seed_indices[0],
            before=_side(run, result, choice.pair.before),
            after=_side(run, result, choice.pair.after),
        )
        for choice in chosen
    )


def _side(run: Run, result: Result, measured: Measurement) -> Side:
    clip = result.clips[measured.subject[0]]
    return Side(Video(run.blobs.read_video(clip.frames), clip.fps), measured.outcome)


def _judge_accuracy(recipe: Recipe) -> tuple[AccuracyRow, ...] | Missing:
    """The judges' accuracy as measured before their release; unknown for judges without such a table."""
    if recipe.prompts.only_real:
        return Missing("no judge was asked: the videos were trained on as their owner says")
    own: list[AccuracyRow] = []
    for name, judge in recipe.judge.by_dimension.items():
        spec = resolved(judge, JUDGE)
        own += [row for row in spec.accuracy() if row.dimension == name] if isinstance(spec, Tested) else []
    default = resolved(recipe.judge.judge, JUDGE)
    if not isinstance(default, Tested):
        return tuple(own) or Missing("the accuracy of this judge is unknown; audit it on clips whose content is known")
    others = [row for row in default.accuracy() if row.dimension not in recipe.judge.by_dimension]
    return (*others, *own) or Missing("the judge has no accuracy table")


def _num_hard(recipe: Recipe, run: Run) -> int:
    """Answers of vision-language models without a probability."""
    names = {name_of(each, JUDGE) for each in recipe.judge.named.values() if isinstance(each, VlmJudgeSpec)}
    return num_hard(run.answers.each_with("judge", names)) if names else 0
