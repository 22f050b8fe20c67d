"""What the questions of each dimension need of a clip, as the packages that bring the dimensions say.

A package offers an entry point in the group `rushes.question_needs`: a package that holds `question_needs.yaml`, with
the fields of `QuestionNeeds` under the name of each dimension.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import yaml
from pydantic import TypeAdapter

from rushes.errors import InputError
from rushes.extensions import extensions, is_shipped
from rushes.records import Record
from rushes.records.base import Size, Text

Need = Literal["prompt", "picture", "motion", "direction"]
"""What a clip can be needed for. "prompt": it is the clip that the questions were written for. "picture": there is
something to see. "motion": something changes from frame to frame, smoothly. "direction": time runs forwards: what comes
first, which way things move."""
GROUP: Final = "rushes.question_needs"
FILE: Final = "question_needs.yaml"


class QuestionNeeds(Record):
    """What the questions of one dimension need. The defaults are for a dimension of which no package says anything.

    Example:
        QuestionNeeds(num_frames=16, of_clip=("prompt", "motion", "direction"))
    """

    num_frames: Size = 8
    """Frames that a vision-language model is shown: few where a single frame is enough, many where order, speed or a
    brief event matters."""
    of_clip: tuple[Need, ...] = ("prompt",)
    """What a judge cannot answer them without."""


def question_needs(dimension: str) -> QuestionNeeds:
    """The needs of a dimension's questions.

    Raises:
        InputError: a package's file cannot be used.
    """
    return all_needs().get(dimension, QuestionNeeds())


def all_needs() -> Mapping[str, QuestionNeeds]:
    """Every package's dimensions by name. Where two packages have the same one, that of this distribution counts.

    Raises:
        InputError: a package's file cannot be used.
    """
    return {**_needs(shipped=False), **_needs(shipped=True)}


def frames_in_keys(dimensions: Collection[str]) -> dict[str, int]:
    """The numbers of frames that work keys contain: this distribution's, as in earlier releases, and those asked for.

    So no other package that is installed changes a key of a dimension that it does not bring.

    Args:
        dimensions: names of the dimensions that are asked about.
    """
    shipped = _needs(shipped=True)
    rows = {**{name: each for name, each in all_needs().items() if name in dimensions}, **shipped}
    stated = {name: each.num_frames for name, each in rows.items() if "num_frames" in each.model_fields_set}
    return {"default": QuestionNeeds().num_frames, **stated}


def _needs(*, shipped: bool) -> dict[str, QuestionNeeds]:
    points = [point for point in extensions(GROUP).values() if is_shipped(point) == shipped]
    return {name: each for point in reversed(points) for name, each in _read(point.value).items()}


@cache
def _read(package: str) -> Mapping[str, QuestionNeeds]:
    try:
        rows = yaml.safe_load(files(package).joinpath(FILE).read_text("utf-8"))
        return TypeAdapter(dict[Text, QuestionNeeds]).validate_python(rows)
    except (OSError, ImportError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"{FILE} of the package {package} cannot be used: {str(error).splitlines()[0]}",
            expected="num_frames and of_clip under the name of each dimension, as in rushes_sandbox",
            got=str(error),
            next_step=f"correct that file, or remove the package that offers it as an entry point of {GROUP}",
        ) from error
