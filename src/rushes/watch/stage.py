"""Training in parts, with a look at the model before the first and after each; the best checkpoint is the result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rushes.context import Context
from rushes.families.models import Model
from rushes.recipe.watch import WatchSpec
from rushes.records import Prompt, Sample, WatchSet
from rushes.train.lesson import curves_in, result_key, training_key
from rushes.train.merge import drop
from rushes.train.stage import lesson_of, train
from rushes.train.tracker import WATCH, make_tracker, run_name
from rushes.watch.look import WATCH_POINTS, Watch, When
from rushes.watch.rules import Course, looks
from rushes.watch.words import Curve, curves, values


def watched_train(
    context: Context, samples: Sequence[Sample], start: Model, prompts: Sequence[Prompt], number: int
) -> Model:
    """As `rushes.train.stage.train`, watched by the recipe's rules; without `watch` in the recipe it is only that.

    Args:
        context: the run's context.
        samples: what to learn from.
        start: the initial weights.
        prompts: the watch prompts, in use for nothing else.
        number: the round, from 0.

    Raises:
        TrainingError: training broke down, or did not change the model.
        Stopped: stopped by the user; the state is stored.
    """
    with context.during("train"):
        if context.recipe.watch is None:
            return train(context, samples, start)
        return _by_looks(context, samples, start, prompts, number, context.recipe.watch)


def _by_looks(
    context: Context, samples: Sequence[Sample], start: Model, prompts: Sequence[Prompt], number: int, spec: WatchSpec
) -> Model:
    run = context.run
    watch, lesson = Watch(context, tuple(prompts)), lesson_of(context, samples, start)
    whole = training_key(lesson)
    run.write_derived(WATCH_POINTS, [WatchSet(asked=watch.asked)])
    course = Course(spec, watch.look(context.base, When()))
    with _shown(context, whole) as show:
        for step in looks(spec.every, lesson.spec.steps):
            seen = watch.seen(result_key(replace(lesson, until=step)))
            point = seen or watch.look(train(context, samples, start, until=step), When(whole, number, step))
            course = replace(course, points=(*course.points, point))
            if seen is None:
                show(course)
            drop(run, [each.model for each in course.ranked[spec.keep :]])
            if course.is_over:
                break
    model = train(context, samples, start, until=course.best.step)
    run.clear_scratch(whole)
    return model


@contextlib.contextmanager
def _shown(context: Context, training: str) -> Iterator[Callable[[Course], None]]:
    """Shows the last look of a course in the event log, for `rushes status`, and in the tracker.

    The tracker gets a folder beside the one of the losses: a second writer in one folder would hide some of its points.
    """
    from rushes.train.state import Progress

    folder = curves_in(context.run.home, context.recipe.folder_name, training)
    kind = context.recipe.runtime.train.tracker
    name = run_name(context.recipe.name, context.run.home.absolute())
    with contextlib.closing(make_tracker(kind, folder.with_name(f"{folder.name}-{WATCH}"), name)) as tracker:

        def show(course: Course) -> None:
            point, alarms = course.points[-1], course.alarms(len(course.points) - 1)
            found, texts = values(point, course.base), [each.text for each in alarms]
            if len(course.points) == 1:
                tracker.show(Progress(curves=_named(replace(course, points=()))))
            context.run.log.write("watched", training=training, step=point.step, alarms=texts, **found)
            tracker.show(Progress(step=point.step, curves=_named(course)))

        yield show


def _named(course: Course) -> dict[str, Curve]:
    return {f"watch/{name}": curve for name, curve in curves(course).items()}
