"""Train one round inside a run: one piece of work for `advance`, with its own steps, state and progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rushes.execute.progress import ProgressUpdate
from rushes.records import Checkpoint, Clip, Prompt, Score
from rushes.store.advance import Work
from rushes.store.run import Run
from rushes.train.lesson import Lesson, lesson_key

if TYPE_CHECKING:
    from rushes.train.state import Progress
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
        from rushes.train.stage import teach, training_set

        wan = bench.with_weights(bench.base)
        data = training_set(lesson, wan, run.blobs, clips, prompts, {score.clip_key: score for score in scores})
        show = _Shown(run, lesson.spec.num_steps)
        scratch = run.scratch(key)
        checkpoint, _ = teach(
            lesson, wan, data, run.blobs, scratch, should_stop=lambda: run.stop.requested, on_step=show.step
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


class _Shown:
    """Tells the run's progress display about training steps, as a stage of its own."""

    def __init__(self, run: Run, num_steps: int) -> None:
        self.run = run
        self.num_steps = num_steps
        self.first: int | None = None
        self.began_s = 0.0

    def step(self, progress: Progress) -> None:
        """Called after every step."""
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
