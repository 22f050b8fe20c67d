"""Judges that tell how an answer changes with the pixels: their logits stay connected to the frames they saw.

Only a judge whose network runs in this process can: a server returns numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.records import Question
from rushes.roles import Failed

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class PixelRequest:
    """A clip in torch, with the questions to ask about it."""

    frames_THWC: Tensor
    """T, H, W, 3; whole numbers 0 to 255 in floating point, RGB, with a graph back to what they were decoded from."""
    fps: float
    """Frames per second."""
    text: str
    """The prompt."""
    questions: tuple[Question, ...]
    """What to ask, in order."""


@runtime_checkable
class GradientJudge(Protocol):
    """A judge that also has this method. Its Spec says so: `gives_gradient: ClassVar[bool] = True`."""

    def margins(self, requests: Sequence[PixelRequest]) -> list[Tensor | Failed]:
        """The logit of yes less that of no for each question, (Q,), with its graph; one result per request, in order.

        `Judge.answer` about the same frames gives sigmoid(margin) as the probability of yes. No PIL, NumPy or
        `no_grad` on the way from frames to logits.
        """
        ...


def gradient_problem(spec: JudgeSpec) -> str | None:
    """Why a recipe's judge gives no gradient; None if it gives one.

    Raises:
        RecipeError: the plug-in cannot be loaded.
    """
    judge = resolved(spec.judge, JUDGE)
    if isinstance(judge, VlmJudgeSpec):
        return server_problem(judge)
    if getattr(judge, "gives_gradient", False):
        return None
    return f"the judge {judge.spec_name} gives no gradient: its Spec does not set gives_gradient"


def server_problem(judge: VlmJudgeSpec) -> str | None:
    """Why a vision-language model gives no gradient; None if it runs in this process."""
    if isinstance(judge.model, ServerModelSpec):
        return "a model on a server gives no gradient: it returns probabilities, and training needs their derivative"
    return None
