"""The train stage: from weighted samples to a checkpoint. One piece of work, resumable at every step.

It trains in this process, or in processes that it starts (`launch`), or in this process as the first one of a launcher,
whose others run `worker.assist`. All three do the same steps: `ready`, `optimise`, `checkpoint_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rushes.context import Context
from rushes.errors import RecipeError
from rushes.execute.progress import ProgressUpdate
from rushes.families.defaults import ONE_CALL_A_STEP
from rushes.families.folder import family_of, has_experts
from rushes.families.models import Model
from rushes.plugins import objective_needs
from rushes.recipe.objectives import RewardGradientSpec
from rushes.recipe.train import in_steps
from rushes.records import Checkpoint, Clip, Prompt, Sample, SamplerSettings
from rushes.store.advance import Work, advance
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog
from rushes.store.files import make_folder
from rushes.store.run import Run
from rushes.train.judging import asked_identity, judge_order
from rushes.train.launched import launched
from rushes.train.lesson import Lesson, curves_in, lesson_key, previews_in, result_key, training_key
from rushes.train.merge import joined, merged, trained_before, unmerged_of
from rushes.train.tracker import run_name

if TYPE_CHECKING:
    from rushes.families.experts import Expert
    from rushes.families.family import Family
    from rushes.recipe.recipe import Recipe
    from rushes.recipe.train import TrainSpec
    from rushes.train.assignment import Assignment
    from rushes.train.parallel import Parallel
    from rushes.train.preview import PreviewOrder
    from rushes.train.state import Progress


def train(context: Context, samples: Sequence[Sample], start: Model, until: int | None = None) -> Model:
    """Fine-tune `start` on weighted samples, unless the checkpoint exists; interrupted training resumes.

    Args:
        context: the run's context; it contains the clips and prompts of the samples.
        samples: what to learn from.
        start: the initial weights.
        until: pause after this many steps with the state kept, so that a later call goes on; None for all steps.

    Raises:
        TrainingError: training broke down, or did not change the model.
        Stopped: stopped by the user; the state is stored.
    """
    recipe, run = context.recipe, context.run
    lesson = lesson_of(context, samples, start, until)
    before = trained_before(run, lesson)
    if lesson.spec.merge == 1 and before is not None:
        run.checkpoints.land([before])
    (made,) = advance(
        run.checkpoints,
        [Work(result_key(lesson), lesson)],
        partial(_teaching(lesson) if lesson.spec.merge == 1 else teach_in_part, context),
        chunk_size=1,
        place=run.place(device=recipe.runtime.device, during=context.doing),
        must_finish=True,
    )
    if lesson.is_whole:
        run.clear_scratch(training_key(lesson))
    return Model.of(made)


def lesson_of(context: Context, samples: Sequence[Sample], start: Model, until: int | None = None) -> Lesson:
    """What `train` with the same arguments learns."""
    recipe = context.recipe
    return Lesson(
        samples=tuple(samples),
        parent=start.name,
        start=start.weights,
        start_2=start.weights_2,
        experts=_experts(recipe),
        spec=in_steps(
            recipe.training, num_epoch_clips(recipe.train, samples, _shaped(context)), objective_needs(recipe.train)
        ),
        reencode=recipe.generate.latents == "reencoded",
        asked=asked_identity(recipe, tuple(samples), context.prompts),
        guidance=_own_guidance(context),
        until=until,
    )


def _experts(recipe: Recipe) -> tuple[Expert, ...]:
    """Which of two transformers the recipe tunes; none for a model with one.

    Raises:
        RecipeError: the recipe names one of two, and the model has one.
    """
    asked, has_two = recipe.train.experts, has_experts(recipe.base)
    if not has_two and asked != "both":
        raise RecipeError(
            "train.experts chooses between two transformers, and the model has one",
            expected="both, which means all that there are",
            got=asked,
            next_step="--set train.experts=both",
        )
    return () if not has_two else ("high", "low") if asked == "both" else (asked,)


def _own_guidance(context: Context) -> float | None:
    """The guidance scale of training, where the base takes one and samples with another."""
    own = context.training_conditions.guidance
    is_other = own != context.conditions.guidance and family_of(context.recipe.base) in ONE_CALL_A_STEP
    return own if is_other else None


def _shaped(context: Context) -> Mapping[str, Clip] | None:
    """The clips by key, where they may have several shapes: training then reads their shapes."""
    return context.clips if len(context.recipe.real_shapes) > 1 else None


def num_epoch_clips(spec: TrainSpec, samples: Sequence[Sample], clips: Mapping[str, Clip] | None = None) -> int:
    """Own clips that an epoch of training reads; 0 unless the recipe counts in epochs.

    Args:
        spec: how the model is trained.
        samples: what it learns from.
        clips: by key, where they may have several shapes.

    Raises:
        TrainingError: the objective can use none of them.
    """
    if spec.num_epochs is None or all(sample.source == "real" for sample in samples):
        return 0
    from rushes.train.draw import units_of
    from rushes.train.material import known_of

    needs = objective_needs(spec)
    return units_of(known_of(samples, clips), needs).num_draws * needs.unit_size


def _teaching(lesson: Lesson) -> Callable[[Context, Sequence[Work[Lesson]]], list[Checkpoint]]:
    return teach_parts if lesson.parts else teach


def teach_parts(context: Context, chunk: Sequence[Work[Lesson]]) -> list[Checkpoint]:
    """As `teach` for two experts, one after the other; one that is trained already is not trained again.

    At every noise level only one of the two predicts, so a step of one has no effect on the loss of the other: training
    them by turns would give the same weights, and would hold both with their optimisers.

    Raises:
        TrainingError, Stopped: as for `teach`.
    """
    ((key, lesson),) = ((piece.key, piece.payload) for piece in chunk)
    found = []
    for part in lesson.parts:
        one = trained_before(context.run, part)
        if one is None:
            (one,) = teach(context, [Work(lesson_key(part), part)])
            unmerged_of(context.run).land([one])
        found.append(one)
    return [joined(context.run, key, found)]


def teach(context: Context, chunk: Sequence[Work[Lesson]]) -> list[Checkpoint]:
    """Train the only lesson of a chunk; `advance` calls it for a missing checkpoint.

    Raises:
        TrainingError: training broke down, or did not change the model.
        Stopped: stopped by the user; the state is stored.
    """
    from rushes.train.handover import Material, write_material
    from rushes.train.hooks import beside
    from rushes.train.job import checkpoint_of, ready
    from rushes.train.loop import optimise
    from rushes.train.material import held_out_sets, training_set
    from rushes.train.preview import texts_at_hand

    ((key, lesson),) = ((piece.key, piece.payload) for piece in chunk)
    run, runtime, clips, prompts = context.run, context.recipe.runtime, context.clips, context.prompts
    family = context.models.with_weights(context.base, ["", *_texts(lesson, clips, prompts)])
    assignment = _assignment(context, lesson, key)
    make_folder(assignment.state)
    data = training_set(lesson, family, run.blobs, clips, prompts, assignment.scratch)
    material = Material(data, held_out_sets(lesson, family, run.blobs, clips, prompts))
    shown = _Shown(run, lesson.spec.steps, context.doing)
    texts = assignment.previews.read
    with texts_at_hand(family, texts, free_encoder=runtime.free_text_encoder):
        if runtime.train.num_processes > 1:
            states = family.encode_text(texts) if texts else None
            write_material(assignment.scratch, replace(material, preview_texts=states))
            num, mode = runtime.train.num_processes, runtime.train.parallel
            run.log.write("training_together", num_processes=num, parallel=mode)
            if launched() is None:
                return [_in_processes(run, assignment, family, shown)]
        with (
            beside(assignment, shown.on_step, lambda: run.stop.requested) as hooks,
            ready(assignment, family, material, _parallel(assignment)) as job,
        ):
            return [checkpoint_of(assignment, job, optimise(job, assignment.state, hooks))]


def teach_in_part(context: Context, chunk: Sequence[Work[Lesson]]) -> list[Checkpoint]:
    """As `teach`, then merged with the weights that it starts from; trained only where no share of it is there yet.

    Raises:
        TrainingError, Stopped: as for `teach`.
    """
    lesson = chunk[0].payload
    before = trained_before(context.run, lesson)
    trained = before
    if trained is None:
        (trained,) = _teaching(lesson)(context, [Work(lesson_key(lesson), lesson)])
    unmerged_of(context.run).land([trained])
    return [merged(context, lesson, trained)]


def _in_processes(run: Run, assignment: Assignment, family: Family, shown: _Shown) -> Checkpoint:
    """Start the training processes; meanwhile the sampling model leaves its GPU."""
    from rushes.train.job import aside
    from rushes.train.launch import train_in_processes

    with aside(family, whole=True):
        return train_in_processes(assignment, shown.step_done, lambda: run.stop.requested)


def _parallel(assignment: Assignment) -> Parallel:
    """This process alone, or together with its launcher's other processes, which get the assignment."""
    from rushes.train.parallel import ALONE

    if launched() is None:
        return ALONE
    from rushes.train.worker import in_round, next_round

    next_round(assignment)
    return in_round(assignment)


def _assignment(context: Context, lesson: Lesson, key: str) -> Assignment:
    import torch

    from rushes.train.assignment import Assignment
    from rushes.train.material import divide

    run, recipe, family = context.run, context.recipe, context.models.family
    whole = training_key(lesson)
    if lesson.start is not None:
        run.blobs.checked_path(lesson.start)  # so that this process finds damage, which can then be healed
    return Assignment(
        key=whole,
        checkpoint=key,
        until=lesson.last_step,
        parent=lesson.parent,
        start=lesson.start,
        spec=at_last_step(lesson.spec, family, recipe.own_sampler),
        runtime=recipe.runtime.train,
        conditions=context.training_conditions,
        base=recipe.base,
        fingerprint=family.fingerprint,
        offload=family.placement.offload,
        expert=lesson.expert,
        device=recipe.runtime.device,
        num_threads=torch.get_num_threads(),
        judge=judge_order(context, lesson.spec, divide(lesson)[0]),
        scratch=run.scratch(lesson.scratch).absolute(),
        blobs=Blobs(run.blobs.folder.absolute()),
        log=EventLog(run.log.path.absolute()),
        previews=_preview_order(context, lesson, whole),
        curves=curves_in(run.home, recipe.folder_name, whole).absolute(),
        name=run_name(recipe.name, run.home.absolute()),
    )


def at_last_step(spec: TrainSpec, family: Family, sampler: SamplerSettings) -> TrainSpec:
    """The same training with the noise level of the sampler's last step, where the objective takes it from there."""
    objective = spec.objective
    if not isinstance(objective, RewardGradientSpec) or objective.at != "last_step" or objective.last_sigma is not None:
        return spec
    settled = objective.model_copy(update={"last_sigma": family.last_sigma(sampler)})
    return spec.model_copy(update={"objective": settled})


def _preview_order(context: Context, lesson: Lesson, key: str) -> PreviewOrder:
    from rushes.train.preview import PreviewOrder

    recipe, prompts = context.recipe, context.prompts
    return PreviewOrder.of(
        recipe.runtime.train.previews,
        [prompts[sample.prompt_key].text for sample in lesson.samples if sample.source == "own"],
        sampler=recipe.own_sampler,
        shape=recipe.shape,
        num_steps=lesson.spec.steps,
        folder=previews_in(context.run.home, key).absolute(),
    )


def _texts(lesson: Lesson, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]) -> list[str]:
    """All texts that training reads, including those of clips whose error is only recorded."""
    from rushes.train.material import unread_clips

    noted = [clip.prompt_key for clip in unread_clips(lesson, clips, prompts)]
    return [prompts[key].text for key in (*(sample.prompt_key for sample in lesson.samples), *noted)]


class _Shown:
    """Reports training steps to the run's progress display, as a separate stage."""

    def __init__(self, run: Run, num_steps: int, during: str) -> None:
        self.run = run
        self.during = during
        self.num_steps = num_steps
        self.first: int | None = None
        self.began_s = 0.0

    def on_step(self, progress: Progress) -> None:
        """A hook of the loop."""
        self.step_done(progress.step, progress.seconds, progress.note)

    def step_done(self, step: int, seconds: float, note: str = "") -> None:
        """Show the number of steps done, the seconds spent, and a word about the last one."""
        if self.first is None:
            self.first, self.began_s = step - 1, seconds
        if self.run.on_progress is not None:
            self.run.on_progress(
                ProgressUpdate(
                    stage="training steps",
                    num_total=self.num_steps,
                    num_before=self.first,
                    num_done=step,
                    num_failed=0,
                    elapsed_s=seconds - self.began_s,
                    note=note,
                    during=self.during,
                )
            )
