"""Train one round inside a run: one piece of work for `advance`, with its own steps, state and progress."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rushes.context import Context
from rushes.execute.progress import ProgressUpdate
from rushes.families.models import Model
from rushes.records import Checkpoint, Clip, Prompt, Sample
from rushes.store.advance import Work, advance
from rushes.store.run import Run
from rushes.train.lesson import Lesson, lesson_key, previews_in

if TYPE_CHECKING:
    from rushes.train.data import TrainingSet
    from rushes.train.parallel import Parallel
    from rushes.train.preview import PreviewOrder
    from rushes.train.state import Progress
    from rushes.train.tracker import Tracker
    from rushes.train.watch import HeldOut


def train(context: Context, samples: Sequence[Sample], start: Model) -> Model:
    """Fine-tune `start` on weighted samples."""
    recipe = context.recipe
    lesson = Lesson(
        samples=tuple(samples),
        parent=start.name,
        start=start.weights,
        spec=recipe.train,
        reencode=recipe.generate.latents == "reencoded",
    )
    return Model.of(train_round(context.run, context, lesson, context.clips, context.prompts))


def train_round(
    run: Run,
    bench: Context,
    lesson: Lesson,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
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
    made = advance(
        run.checkpoints,
        [Work(key, lesson)],
        lambda chunk: [_teach(run, bench, piece.payload, clips, prompts) for piece in chunk],
        chunk_size=1,
        place=run.place(device=bench.recipe.runtime.device),
        must_finish=True,
    )
    run.clear_scratch(key)
    return made[0]


def _teach(
    run: Run,
    bench: Context,
    lesson: Lesson,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
) -> Checkpoint:
    """Get everything ready, alone or with other processes, and train."""
    from rushes.train.material import held_out_sets, training_set
    from rushes.train.preview import Previews, texts_at_hand
    from rushes.train.stage import teach
    from rushes.train.tracker import make_tracker

    key, runtime = lesson_key(lesson), bench.recipe.runtime.train
    tracker = make_tracker(runtime.tracker, run.home / "tensorboard" / key[:12], bench.recipe.name)
    family = bench.models.with_weights(bench.base, ["", *_texts(lesson, clips, prompts)])
    data = training_set(lesson, family, run.blobs, clips, prompts, run.scratch(key))
    held_out = held_out_sets(lesson, family, run.blobs, clips, prompts)
    show = _Shown(run, lesson.spec.num_steps, tracker)
    previews = Previews(_preview_order(run, bench, lesson, prompts), run.log.write)
    with (
        contextlib.closing(tracker),
        _together(run, bench, lesson, data, held_out) as parallel,
        texts_at_hand(family, previews.order.read, free_encoder=bench.recipe.runtime.free_text_encoder),
    ):
        checkpoint, _ = teach(
            lesson,
            family,
            data,
            run.blobs,
            run.scratch(key),
            should_stop=lambda: run.stop.requested,
            on_step=show.step,
            conditions=bench.conditions,
            held_out=held_out,
            runtime=runtime,
            parallel=parallel,
            on_setup=lambda setup: run.log.write("training_set_up", **asdict(setup)),
            previews=previews,
        )
    return checkpoint


@contextlib.contextmanager
def _together(
    run: Run, bench: Context, lesson: Lesson, data: TrainingSet, held_out: Sequence[HeldOut]
) -> Iterator[Parallel]:
    """What shares the steps: one process, or as many as the recipe or the launcher says, told and ready."""
    from rushes.train.parallel import ALONE

    recipe = bench.recipe
    num = recipe.runtime.train.num_processes
    if num == 1:
        yield ALONE
        return
    import torch

    from rushes.train.assignment import Assignment, write_material
    from rushes.train.stage import task_of
    from rushes.train.team import team_of

    scratch = run.scratch(lesson_key(lesson)).absolute()
    write_material(scratch, data, held_out)
    assignment = Assignment(
        task=task_of(lesson, recipe.runtime.train, bench.conditions),
        base=recipe.base,
        fingerprint=bench.models.family.fingerprint,
        device=recipe.runtime.device,
        num_threads=torch.get_num_threads(),
        scratch=scratch,
        start=None if lesson.start is None else run.blobs.checked_path(lesson.start).absolute(),
    )
    with team_of(num, scratch) as team, team.working(assignment) as parallel:
        run.log.write("training_together", num_processes=num, parallel=recipe.runtime.train.parallel)
        yield parallel


def _preview_order(run: Run, bench: Context, lesson: Lesson, prompts: Mapping[str, Prompt]) -> PreviewOrder:
    from rushes.train.preview import PreviewOrder

    recipe = bench.recipe
    return PreviewOrder.of(
        recipe.runtime.train.previews,
        [prompts[sample.prompt_key].text for sample in lesson.samples if sample.source == "own"],
        sampler=recipe.generate.sampler,
        shape=recipe.shape,
        num_steps=lesson.spec.num_steps,
        folder=previews_in(run.home, lesson_key(lesson)),
    )


def _texts(lesson: Lesson, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]) -> list[str]:
    """All texts that training has to read, those of clips that it only looks at included."""
    from rushes.train.material import unread_clips

    looked_at = [clip.prompt_key for clip in unread_clips(lesson, clips, prompts)]
    return [prompts[key].text for key in (*(sample.prompt_key for sample in lesson.samples), *looked_at)]


class _Shown:
    """Tells the run's progress display about training steps, as a stage of its own, and the tracker."""

    def __init__(self, run: Run, num_steps: int, tracker: Tracker) -> None:
        self.run = run
        self.num_steps = num_steps
        self.tracker = tracker
        self.first: int | None = None
        self.began_s = 0.0

    def step(self, progress: Progress) -> None:
        """Called after every step."""
        self.tracker.show(progress)
        if self.first is None:
            self.first, self.began_s = progress.step - 1, progress.seconds
        if self.run.on_progress is not None:
            self.run.on_progress(
                ProgressUpdate(
                    stage="training steps",
                    num_total=self.num_steps,
                    num_before=self.first,
                    num_done=progress.step,
                    num_failed=0,
                    elapsed_s=progress.seconds - self.began_s,
                )
            )
