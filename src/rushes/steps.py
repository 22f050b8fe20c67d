"""How each step of a run is put together: what to work on, with which tool, into which table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from rushes.diagnose.weakest import weakest
from rushes.dimensions import known, probed
from rushes.execute import Lazily
from rushes.generate.film import Take, WanGenerator, film, takes
from rushes.judge.grade import check_unscored_share, grade
from rushes.judge.stage import asking, chunk_size, questions
from rushes.measure.stage import measuring, subjects
from rushes.prompts.stage import PromptDesk
from rushes.records import Clip, Focus, Measurement, Prompt, Rejection, Sample, Score
from rushes.specs import Recipe
from rushes.store.run import Run
from rushes.train.lesson import Lesson
from rushes.train.run import train_round
from rushes.weights.report import report_weights
from rushes.weights.weigh import weigh
from rushes.workbench import Model, Workbench

if TYPE_CHECKING:
    from collections.abc import Mapping


class Halt(Exception):  # noqa: N818 - no error: the user asked for the stages up to here
    """The run has reached the stage it was asked to stop after."""
