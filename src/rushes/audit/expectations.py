"""Which control should separate from the originals in which dimension: the table in `expectations.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from rushes.errors import RecipeError, nearest
from rushes.judge.question_needs import Need, question_needs
from rushes.records import Record
from rushes.records.base import Text

Expectation = Literal["separates", "same", "open"]
"""Should the judge score the control below the original, or the same, or does it say nothing about the judge?"""


class Control(Record):
    """A way to change a clip or its questions so that the right answer is known to change, or known not to.

    Example:
        Control(name="black_video", title="black video", what="every pixel is black", takes_away=("picture",))
    """

    name: Text
    """Name in files."""
    title: Text
    """Name in tables."""
    what: Text
    """What is done, in words."""
    takes_away: tuple[Need, ...] = ()
    """What it removes from a clip."""
    is_harmless: bool = False
    """True when no question is about what it changes, so scores must stay the same."""


class Table(Record):
    """The table of `expectations.yaml`.

    Example:
        Table(controls=(Control(name="black_video", title="black video", what="every pixel is black"),))
    """

    controls: tuple[Control, ...]
    """Every control, in display order."""

    def expectation(self, control: Control, dimension: str) -> Expectation:
        """What a trustworthy judge does with a control in a dimension."""
        if set(control.takes_away) & set(question_needs(dimension).of_clip):
            return "separates"
        return "same" if control.is_harmless else "open"


@cache
def table() -> Table:
    """The table in the package."""
    text = files("rushes.audit").joinpath("expectations.yaml").read_text(encoding="utf-8")
    return Table.model_validate(yaml.safe_load(text))


def chosen_controls(names: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of controls in display order: those in `names`, or all.

    Raises:
        RecipeError: a name is not that of a control.
    """
    known = [control.name for control in table().controls]
    for name in names:
        if name not in known:
            near = nearest(name, known)
            raise RecipeError(
                "there is no such control",
                expected=f"one of {', '.join(known)}",
                got=name,
                next_step=f"did you mean {near!r}?" if near else "leave --control out to ask all of them",
            )
    return tuple(name for name in known if not names or name in names)
