"""A prompt writer of a world of its own, in which every text contradicts itself: for tests of who reads prompts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar, Final

from rushes.prompts.reader import Objection, PromptReader
from rushes.roles import PromptWriter, Runtime, Spec
from tests.support.repeating_writer import RepeatingWriter

DETAIL: Final = "nothing can be seen in this world"


class OwnWriterSpec(Spec):
    spec_name: ClassVar[str] = "tests.own-reader"

    def build(self, runtime: Runtime) -> PromptWriter:
        return RepeatingWriter()

    def reader(self) -> PromptReader:
        return Refusing()


class Refusing:
    def objection(self, text: str) -> Objection | None:
        return Objection("infeasible", DETAIL)

    def content(self, text: str, *, with_background: bool) -> Hashable:
        return text
