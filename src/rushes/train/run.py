"""Train one round inside a run: one piece of work for `advance`, with its own steps, state and progress."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rushes.execute.progress import ProgressUpdate
from rushes.records import Checkpoint, Clip, Prompt, Score
from rushes.store.advance import Work
from rushes.store.run import Run
from rushes.train.lesson import Lesson, lesson_key

if TYPE_CHECKING:
    from rushes.train.state import Progress
    from rushes.train.tracker import Tracker
    from rushes.workbench import Workbench


def train_round(
    run: Run,
    bench: Workbench,
    lesson: Lesson,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
    scores: Sequence[Score],
) -> Checkpoint:
    """The checkpoint of a lesson, trained now where it is missing; killed training goes on from its last state.

    Args:
        run: the open run.
        bench: its tools.
        lesson: what to learn, starting where.
        clips: by key, at least those of the lesson's samples.
        prompts: by key, at least those of the samples.
        scores: of the own clips among them.

    Raises:
        TrainingError: training broke down, or left the model as it was.
        Stopped: the user asked to; the state is stored.
    """
    key = lesson_key(lesson)

    def teach_it(chunk: Sequence[Work[Lesson]]) -> list[Checkpoint]:
        from rushes.train.material import held_out_sets, training_set
        from rushes.train.stage import teach
        from rushes.train.tracker import make_tracker

        runtime = bench.recipe.runtime.train
        tracker = make_tracker(runtime.tracker, run.home / "tensorboard" / key[:12], bench.recipe.name)
        family = bench.with_weights(bench.base, ["", *_texts(lesson, clips, prompts)])
        data = training_set(lesson, family, run.blobs, clips, prompts, {score.clip_key: score for score in scores})
        show = _Shown(run, lesson.spec.num_steps, tracker)
        with contextlib.closing(tracker):
            checkpoint, _ = teach(
                lesson,
                family,
                data,
                run.blobs,
                run.scratch(key),
                should_stop=lambda: run.stop.requested,
                on_step=show.step,
                conditions=bench.conditions,
                held_out=held_out_sets(lesson, family, run.blobs, clips, prompts),
                runtime=runtime,
                on_setup=lambda setup: run.log.write("training_set_up", **asdict(setup)),
            )
        return [checkpoint]

    made = run.advance(
        run.checkpoints,
        [Work(key, lesson)],
        teach_it,
        chunk_size=1,
        device=bench.recipe.runtime.device,
        must_finish=True,
    )
    run.clear_scratch(key)
    return made[0]


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
