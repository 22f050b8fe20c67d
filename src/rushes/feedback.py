"""The three kinds of feedback, and what a judge of each kind is: its requests, its replies, its one method.

A judge's Spec says by `gives` which kind it is; without it, a judge gives answers (`rushes.roles.Judge`):

    class SharpnessSpec(Spec):
        spec_name: ClassVar[str] = "my-package.sharpness"
        gives: ClassVar[Gives] = "scores"
        scales: ClassVar[tuple[Scale, ...]] = (Scale(name="sharpness", unit="levels of 255", repeat_error=0.0),)
        def build(self, runtime: Runtime) -> ScoreJudge: ...

Lists that come back are aligned with those that went in; a list, or an iterator (`yield`) whose replies are kept if an
error follows. An item that failed is a `Failed` in its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args, runtime_checkable

from rushes.errors import RecipeError
from rushes.records import AccuracyRow
from rushes.records import Scale as Scale
from rushes.roles import Failed, Spec, Video

Gives = Literal["answers", "scores", "preferences"]
"""What a judge gives: probabilities of yes to questions; values on named scales; preferences between two takes."""
SHARE: Final = "share from 0 to 1"
"""Unit of a scale like that of answers. Where all scales of a judge that count have it, its scores are shares too: they
need not be standardised, and mix with answers of other judges."""
KINDS: Final[tuple[Gives, ...]] = get_args(Gives)


@dataclass(frozen=True, eq=False)
class ScoreRequest:
    """A clip to rate."""

    video: Video
    """The clip."""
    text: str
    """The prompt it was made from."""
    dimension: str
    """Quality dimension of that prompt."""
    clip_key: str = ""
    """Name of the stored clip, for judges that look their values up; empty where the clip is not stored."""


@dataclass(frozen=True)
class ScaleValue:
    """A judge's value on one scale, in memory; what is not a finite number is recorded as unscored, never changed."""

    scale: str
    """Name of one of the Spec's scales."""
    value: float | None
    """Any finite number, higher is better; None when there is none."""
    unscored_reason: str | None = None
    """Why there is none; set exactly when `value` is None."""


class ScoreJudge(Protocol):
    """Clips -> values on named scales. Frozen: the same request gets the same values.

    Its Spec has `gives = "scores"` and `scales`, a tuple of `Scale`: a class variable, a field or a property.
    """

    def score(self, requests: Sequence[ScoreRequest]) -> Iterable[tuple[ScaleValue, ...] | Failed]:
        """One tuple per request, in order, with one value for each scale of the Spec, in any order.

        Raises:
            UserError: no further request can be answered; the run ends. One that cannot is `Failed`.
        """
        ...


@dataclass(frozen=True, eq=False)
class PreferenceRequest:
    """Two takes of one prompt to choose between."""

    first: Video
    """The take that is shown first."""
    second: Video
    """The take that is shown second."""
    text: str
    """Their prompt."""
    dimension: str
    """Quality dimension of that prompt."""
    first_key: str = ""
    """Name of the first stored clip, for judges that look their choices up; empty where it is not stored."""
    second_key: str = ""
    """Name of the second one."""


@dataclass(frozen=True)
class GivenPreference:
    """A judge's preference in memory; what is not a number from 0 to 1 is recorded as unscored, never changed."""

    p_first: float | None
    """Probability that the first take is the better one, 0 to 1; 0.5 for a tie. None when there is none."""
    unscored_reason: str | None = None
    """Why there is none; set exactly when `p_first` is None."""


class PreferenceJudge(Protocol):
    """Pairs of takes -> preferences. Frozen: the same request gets the same preference.

    Its Spec has `gives = "preferences"`. Every pair is asked in both orders, and the mean counts, unless the Spec says
    `has_position_bias = False`. It may state `repeat_error`, 0 to 1: by how much a preference moves when asked again.
    """

    def prefer(self, requests: Sequence[PreferenceRequest]) -> Iterable[GivenPreference | Failed]:
        """One preference per request, in order.

        Raises:
            UserError: no further request can be answered; the run ends. One that cannot is `Failed`.
        """
        ...


def gives(judge: Spec) -> Gives:
    """Which kind of feedback a judge gives, by its own Spec.

    Raises:
        RecipeError: its Spec names a kind that does not exist.
    """
    found: object = getattr(judge, "gives", "answers")
    for kind in KINDS:
        if found == kind:
            return kind
    raise RecipeError(
        f"the judge {judge.spec_name} gives {found!r}, which is no kind of feedback",
        expected=f"gives: one of {', '.join(KINDS)}",
        got=found,
        next_step=f"correct gives in the class {type(judge).__name__}",
    )


def scales_of(judge: Spec) -> tuple[Scale, ...]:
    """The scales of a judge that gives scores; empty for any other.

    Raises:
        RecipeError: its Spec has none, or something else instead, or two of one name.
    """
    if gives(judge) != "scores":
        return ()
    found: object = getattr(judge, "scales", None)
    if isinstance(found, (tuple, list)) and found and all(isinstance(each, Scale) for each in found):
        scales: tuple[Scale, ...] = tuple(found)
        if len({each.name for each in scales}) == len(scales):
            return scales
    raise RecipeError(
        f"the judge {judge.spec_name} gives scores and does not say on which scales",
        expected="scales: a tuple of rushes.feedback.Scale with different names, at least one",
        got=found,
        next_step=f"add scales to the class {type(judge).__name__}",
    )


def has_position_bias(judge: Spec) -> bool:
    """Whether pairs are asked in both orders: True unless the Spec of the judge says otherwise."""
    return getattr(judge, "has_position_bias", True) is not False


def preference_error(judge: Spec) -> float:
    """By how much a preference of the judge moves when it is asked again, 0 to 1; 0 if its Spec does not say."""
    found: object = getattr(judge, "repeat_error", None)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0.0


@runtime_checkable
class Tested(Protocol):
    """A judge's Spec that states how accurate the judge is; the report shows it."""

    def accuracy(self) -> Sequence[AccuracyRow]:
        """Its accuracy by dimension, as measured before the judge was released; empty if it was not measured."""
        ...


@runtime_checkable
class Sees(Protocol):
    """A Spec of a judge or a measurer that says what it sees with, so that no measurer measures its own rewards."""

    def sees_with(self, dimension: str) -> Collection[str]:
        """Names of the networks and algorithms that decide its result in that dimension; nothing is loaded."""
        ...


def sees_with(spec: Spec, dimension: str) -> frozenset[str]:
    """What a judge or a measurer sees with in a dimension, by its own Spec; empty if it does not say."""
    return frozenset(spec.sees_with(dimension)) if isinstance(spec, Sees) else frozenset()
