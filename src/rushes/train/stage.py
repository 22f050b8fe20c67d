"""The training stage: from weighted samples to a checkpoint. One piece of work, resumable step by step inside.

It trains here; or in processes that it starts (`launch`); or here as the first of a launcher's processes, of which the
others are in `worker.assist`. All three do the same in between: `ready`, `optimise`, `checkpoint_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rushes.execute.progress import ProgressUpdate
from rushes.records import Checkpoint, Clip, Prompt
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog
from rushes.store.run import Run
from rushes.train.launched import check_launch, launched
from rushes.train.lesson import Lesson, lesson_key, previews_in

if TYPE_CHECKING:
    from rushes.context import Workbench
    from rushes.families.family import Family
    from rushes.recipe.recipe import Recipe
    from rushes.train.assignment import Assignment
    from rushes.train.parallel import Parallel
    from rushes.train.preview import PreviewOrder
    from rushes.train.state import Progress


def train_round(
    run: Run, bench: Workbench, lesson: Lesson, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]
) -> Checkpoint:
    """The checkpoint of a lesson, trained now where it is missing; killed training goes on from its last state.

    Args:
        run: the open run.
        bench: its tools.
        lesson: what to learn, starting where.
        clips: by key, at least those of the lesson's samples.
        prompts: by key, at least those of the samples.

    Raises:
        TrainingError: training broke down, or left the model as it was.
        Stopped: the user asked to; the state is stored.
    """
    key = lesson_key(lesson)
    (made,) = run.advance(
        run.checkpoints,
        [Work(key, lesson)],
        partial(teach, run, bench, clips, prompts),
        chunk_size=1,
        device=bench.recipe.runtime.device,
        must_finish=True,
    )
    run.clear_scratch(key)
    return made


def teach(
    run: Run,
    bench: Workbench,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
    chunk: Sequence[Work[Lesson]],
) -> list[Checkpoint]:
    """Train the only lesson of a chunk: what `advance` calls for a missing checkpoint.

    Raises:
        RecipeError: the environment contradicts `runtime.train.num_processes`.
        TrainingError: training broke down, or left the model as it was.
        Stopped: the user asked to; the state is stored.
    """
    from rushes.train.handover import Material, write_material
    from rushes.train.hooks import beside
    from rushes.train.job import checkpoint_of, ready
    from rushes.train.loop import optimise
    from rushes.train.material import held_out_sets, training_set
    from rushes.train.preview import texts_at_hand

    (lesson,) = (piece.payload for piece in chunk)
    runtime = bench.recipe.runtime
    check_launch(runtime.train.num_processes)
    family = bench.with_weights(bench.base, ["", *_texts(lesson, clips, prompts)])
    assignment = _assignment(run, bench, lesson, prompts)
    data = training_set(lesson, family, run.blobs, clips, prompts, assignment.scratch)
    material = Material(data, held_out_sets(lesson, family, run.blobs, clips, prompts))
    shown = _Shown(run, lesson.spec.num_steps)
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
            return [checkpoint_of(assignment, job, optimise(job, assignment.scratch, hooks))]


def _in_processes(run: Run, assignment: Assignment, family: Family, shown: _Shown) -> Checkpoint:
    """Start the processes that train; the model that samples gives up its GPU meanwhile."""
    from rushes.train.job import aside
    from rushes.train.launch import train_in_processes

    with aside(family, whole=True):
        return train_in_processes(assignment, shown.step_done, lambda: run.stop.requested)


def _parallel(assignment: Assignment) -> Parallel:
    """This process alone, or together with those that its launcher started, which are told what to train."""
    from rushes.train.parallel import ALONE

    if launched() is None:
        return ALONE
    from rushes.train.worker import in_round, next_round

    next_round(assignment)
    return in_round(assignment)


def _assignment(run: Run, bench: Workbench, lesson: Lesson, prompts: Mapping[str, Prompt]) -> Assignment:
    import torch

    from rushes.train.assignment import Assignment

    recipe, key = bench.recipe, lesson_key(lesson)
    if lesson.start is not None:
        run.blobs.checked_path(lesson.start)  # damage is healed where this process finds it
    return Assignment(
        key=key,
        parent=lesson.parent,
        start=lesson.start,
        spec=lesson.spec,
        runtime=recipe.runtime.train,
        conditions=bench.conditions,
        base=recipe.base,
        fingerprint=bench.family.fingerprint,
        offload=bench.family.placement.offload,
        device=recipe.runtime.device,
        num_threads=torch.get_num_threads(),
        scratch=run.scratch(key).absolute(),
        blobs=Blobs(run.blobs.folder.absolute()),
        log=EventLog(run.log.path.absolute()),
        previews=_preview_order(run, recipe, lesson, prompts),
        curves=(run.home / "tensorboard" / key[:12]).absolute(),
        name=recipe.name,
    )


def _preview_order(run: Run, recipe: Recipe, lesson: Lesson, prompts: Mapping[str, Prompt]) -> PreviewOrder:
    from rushes.train.preview import PreviewOrder

    return PreviewOrder.of(
        recipe.runtime.train.previews,
        [prompts[sample.prompt_key].text for sample in lesson.samples if sample.source == "own"],
        sampler=recipe.generate.sampler,
        shape=recipe.shape,
        num_steps=lesson.spec.num_steps,
        folder=previews_in(run.home, lesson_key(lesson)).absolute(),
    )


def _texts(lesson: Lesson, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]) -> list[str]:
    """All texts that training has to read, those of clips whose error is only noted included."""
    from rushes.train.material import unread_clips

    noted = [clip.prompt_key for clip in unread_clips(lesson, clips, prompts)]
    return [prompts[key].text for key in (*(sample.prompt_key for sample in lesson.samples), *noted)]


class _Shown:
    """Tells the run's progress display about training steps, as a stage of its own."""

    def __init__(self, run: Run, num_steps: int) -> None:
        self.run = run
        self.num_steps = num_steps
        self.first: int | None = None
        self.began_s = 0.0

    def on_step(self, progress: Progress) -> None:
        """A hook of the loop."""
        self.step_done(progress.step, progress.seconds)

    def step_done(self, step: int, seconds: float) -> None:
        """Show the number of steps done and the seconds they took."""
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
                )
            )
