"""People as a measurer: what they say of a run's clips in a CSV file (`rushes.judge.labels`).

    measure:
      measurer: {use: "rushes.measure.people:PeopleMeasurerSpec", options: {path: scores.csv}}

A measurement is a share of 1: the share of questions that most people answer as expected, or the mean of people's
scores, which must then lie in 0 to 1. Labels that the judge gives its rewards by are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar, Literal

from rushes.errors import InputError
from rushes.findings import Finding
from rushes.judge.labels import LabelFile, key_name
from rushes.judge.people import NOBODY, content_of, findings_of, labels_name, labels_of
from rushes.records import Outcome, Part, Scored, Unscored
from rushes.roles import Runtime, Spec, Subject


class PeopleMeasurerSpec(Spec):
    """A measurer whose measurements are what people say."""

    spec_name: ClassVar[str] = "measurer.people"
    loads_when_built: ClassVar[bool] = True  # the file is there only once people have labelled

    path: str
    """The CSV file."""
    gives: Literal["answers", "scores"] = "scores"
    """What it holds."""

    def version(self) -> str | None:
        """The content of the file; None before there is one."""
        return content_of(self.path)

    def sees_with(self, dimension: str) -> Collection[str]:
        """The file."""
        return {labels_name(self.path)}

    def findings(self, runtime: Runtime) -> list[Finding]:
        """A file that is not there yet, or that cannot be used."""
        return findings_of(self.path, self.gives)

    def build(self, runtime: Runtime) -> PeopleMeasurer:
        """The labels, read.

        Raises:
            InputError: the file cannot be used, holds another kind of labels, or scores outside of 0 to 1.
        """
        labels = labels_of(self.path, self.gives)
        values = [value for said in labels.said.values() for _, value in said]
        if self.gives == "scores" and not all(0.0 <= value <= 1.0 for value in values):
            raise InputError(
                f"{self.path} has scores from {min(values):g} to {max(values):g}, and measurements lie in 0 to 1",
                expected="scores from 0 to 1",
                next_step="divide them by the largest that people could give",
            )
        return PeopleMeasurer(labels)


@dataclass(frozen=True)
class PeopleMeasurer:
    """Looks up what people say."""

    labels: LabelFile

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome]:
        """What people say of each subject."""
        return [self._one(each) for each in subjects]

    def _one(self, subject: Subject) -> Outcome:
        if len(subject.clip_keys) != 1:
            return Unscored(reason="people label single clips, and this compares several takes")
        clip = key_name(subject.clip_keys[0])
        if self.labels.kind == "scores":
            value = self.labels.value((clip, ""))
            return Unscored(reason=NOBODY) if value is None else Scored(value=value)
        parts = []
        for question in subject.questions:
            said = self.labels.answer(clip, question.text)
            if said is None:
                return Unscored(reason=f"{NOBODY}, or people are evenly split: {question.text!r}")
            parts.append(Part(name=question.text, value=question.p_expected(float(said))))
        if not parts:
            return Unscored(reason="the prompt has no questions")
        return Scored(value=fmean(part.value for part in parts), parts=tuple(parts))
