"""People as a judge: what they say of a run's clips in a CSV file (`rushes.judge.labels`) is the feedback.

    judge:
      judge: {use: "rushes.judge.people:PeopleSpec", options: {path: labels.csv, gives: preferences}}

Generate first (`rushes generate RECIPE`), let people see the clips (`rushes export study HOME --of takes` writes pairs
of takes), then run the recipe. The content of the file is part of every reply's key: with more labels the same command
looks all of them up again. A clip about which nobody says anything is unscored; so is a question on which people are
evenly split.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from rushes.errors import InputError
from rushes.feedback import (
    GivenPreference,
    Gives,
    PreferenceRequest,
    Scale,
    ScaleValue,
    ScoreRequest,
)
from rushes.findings import Finding
from rushes.judge.labels import LabelFile, key_name, read_label_file
from rushes.roles import GivenAnswer, JudgeRequest, Runtime, Spec
from rushes.store.files import sha256_of_file

SCALE: Final = Scale(name="people", unit="points that people gave")
"""The scale of people's scores, a mean over those who scored a clip."""
NOBODY: Final = "nobody has labelled it"


class PeopleSpec(Spec):
    """A judge whose answers, scores or preferences are those of people."""

    spec_name: ClassVar[str] = "judge.people"
    loads_when_built: ClassVar[bool] = True  # the file is there only once people have labelled
    has_position_bias: ClassVar[bool] = False

    path: str
    """The CSV file."""
    gives: Gives = "preferences"
    """What it holds."""

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The scale of scores."""
        return (SCALE,)

    def version(self) -> str | None:
        """The content of the file; None before there is one."""
        return content_of(self.path)

    def sees_with(self, dimension: str) -> Collection[str]:
        """The file, so that nobody measures with the labels that gave the rewards."""
        return {labels_name(self.path)}

    def findings(self, runtime: Runtime) -> list[Finding]:
        """A file that is not there yet, or that cannot be used."""
        return findings_of(self.path, self.gives)

    def build(self, runtime: Runtime) -> PeopleJudge:
        """The labels, read.

        Raises:
            InputError: the file cannot be used, or holds another kind of labels.
        """
        return PeopleJudge(labels_of(self.path, self.gives))


@dataclass(frozen=True)
class PeopleJudge:
    """Looks up what people say."""

    labels: LabelFile

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...]]:
        """The answers of most people."""
        return [
            tuple(self._answer(key_name(each.clip_key), question.text) for question in each.questions)
            for each in requests
        ]

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[ScaleValue, ...]]:
        """The means of people's scores."""
        found = [self.labels.value((key_name(each.clip_key), "")) for each in requests]
        return [(ScaleValue(SCALE.name, value, None if value is not None else NOBODY),) for value in found]

    def prefer(self, requests: Sequence[PreferenceRequest]) -> list[GivenPreference]:
        """The shares of people who prefer the first take."""
        found = [self.labels.p_first(key_name(each.first_key), key_name(each.second_key)) for each in requests]
        return [GivenPreference(p, None if p is not None else "nobody has compared them") for p in found]

    def _answer(self, clip: str, question: str) -> GivenAnswer:
        said = self.labels.answer(clip, question)
        return GivenAnswer(None, NOBODY + ", or people are evenly split") if said is None else GivenAnswer(float(said))


def labels_of(path: str, kind: Gives) -> LabelFile:
    """The labels of a file that must hold one kind.

    Raises:
        InputError: it cannot be used, or holds another kind.
    """
    found = read_label_file(Path(path))
    if found.kind != kind:
        raise InputError(
            f"{path} holds {found.kind}, and the recipe expects {kind}",
            expected=f"a file of {kind}",
            got=found.kind,
            next_step=f"set the option gives: {found.kind}, or name another file",
        )
    return found


def content_of(path: str) -> str | None:
    """Hash of the file's content; None if it cannot be read."""
    try:
        return sha256_of_file(Path(path))
    except OSError:
        return None


def labels_name(path: str) -> str:
    """A name of these labels, whatever the file is called."""
    return f"the labels {(content_of(path) or path)[:12]}"


def findings_of(path: str, kind: Gives) -> list[Finding]:
    """What is wrong with a file of labels. One that is not there yet may come while the run waits for it."""
    if content_of(path) is None:
        return [
            Finding(
                "path",
                f"there are no labels in {path} yet: the run can generate clips, and not judge them",
                expected="a CSV file that people have filled in",
                next_step="rushes generate RECIPE, then rushes export study HOME --of takes",
                is_certain=False,
            )
        ]
    try:
        labels_of(path, kind)
    except InputError as error:
        return [Finding.of("path", error)]
    return []
