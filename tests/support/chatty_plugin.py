"""Plug-ins with chat models behind them: one that tells how it calls them, one that only has them among its fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rushes.plan.chat_models import ChatUse
from rushes.recipe.models import LocalModelSpec, ModelSpec, VlmJudgeSpec
from rushes.roles import Spec

SEVEN = LocalModelSpec(model="somebody/eyes-VL-7B")


class TellingSpec(Spec):
    """Asks one model twice a unit in `half` of the dimensions, and another that nobody can count."""

    spec_name: ClassVar[str] = "tests.telling"

    half: str = "Composition"

    def chat_models(self, dimensions: Sequence[str]) -> tuple[ChatUse, ...]:
        """See `rushes.plan.chat_models.CallsChatModels`."""
        share = sum(name == self.half for name in dimensions) / len(dimensions)
        return (
            ChatUse("first", SEVEN, 2 * share, num_frames=None),
            ChatUse("second", LocalModelSpec(model="somebody/unnamed"), 1.0),
        )

    def build(self, runtime: Any) -> Any:
        """Nothing: estimates do not build."""
        raise NotImplementedError


class SilentSpec(Spec):
    """Has models among its fields and tells nothing."""

    spec_name: ClassVar[str] = "tests.silent"

    eyes: VlmJudgeSpec = VlmJudgeSpec(model=SEVEN)
    pens: tuple[ModelSpec, ...] = (LocalModelSpec(model="somebody/pen-3B"), SEVEN)

    def build(self, runtime: Any) -> Any:
        """Nothing: estimates do not build."""
        raise NotImplementedError
