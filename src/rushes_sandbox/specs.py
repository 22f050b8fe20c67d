"""What recipes name of the sandbox: writer, real clips, judge and measurer. Cheap to import before `build`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar

from rushes.dimensions import catalogue
from rushes.prompts.reader import PromptReader
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records.base import Share
from rushes.roles import AccuracyRow, ClipSource, Judge, Measurer, PromptWriter, RealClip, Runtime, Spec
from rushes.store.files import sha256_of_file
from rushes_sandbox.packaged import packaged_judge
from rushes_sandbox.reader.shapes import ShapeReader


class WriterSpec(Spec):
    """A prompt writer that draws scenes from a grammar and puts them in words."""

    spec_name: ClassVar[str] = "sandbox.writer"

    detailed: Share = 0.5
    """Share of prompts that are augmented with their setting."""

    def build(self, runtime: Runtime) -> PromptWriter:
        """The writer; nothing heavy is loaded."""
        from rushes_sandbox.writer import GrammarWriter

        return GrammarWriter(self.detailed)

    def reader(self) -> PromptReader:
        """What reads prompts of this world for the screen."""
        return ShapeReader()


class RealClipsSpec(Spec):
    """Rendered clips with true captions, as the real videos of this world."""

    spec_name: ClassVar[str] = "sandbox.clips"

    def build(self, runtime: Runtime) -> ClipSource:
        """The source; nothing is rendered yet."""
        return _Rendered()

    def reader(self) -> PromptReader:
        """What reads captions, and prompts of any writer, for the screen: all are about this world."""
        return ShapeReader()


class _Rendered:
    @property
    def dimensions(self) -> tuple[str, ...]:
        """Those of the catalogue that the grammar can draw scenes of."""
        from rushes_sandbox.grammar import DIMENSIONS

        return tuple(each.name for each in catalogue("rushes_sandbox:dimensions.yaml") if each.name in DIMENSIONS)

    def clips(self, num: int, seed: int, shape: ShapeSpec, dimensions: Sequence[str] | None) -> list[RealClip]:
        """Rendered clips; see `rushes.roles.ClipSource`."""
        from rushes_sandbox.real_clips import sandbox_real_clips

        return sandbox_real_clips(num, seed, dimensions, shape, detailed=dimensions is not None)


class JudgeSpec(Spec):
    """The learned question-answering model in the package."""

    spec_name: ClassVar[str] = "sandbox-vqa"
    loads_when_built: ClassVar[bool] = True

    gives_gradient: ClassVar[bool] = True

    def version(self) -> str | None:
        """Hash of its weights, so that the answers of a different judge are never reused as its own."""
        return _judge_weights()

    def build(self, runtime: RuntimeSpec) -> Judge:
        """The judge.

        Raises:
            InputError: its weights are missing in the package, or damaged.
        """
        from rushes_sandbox.vqa.judge import SandboxJudge

        return SandboxJudge.load(batch_size=runtime.judge_batch)

    def accuracy(self) -> list[AccuracyRow]:
        """How often it answered correctly on held-out rendered clips when it was trained."""
        from rushes_sandbox.vqa.accuracy import packaged_accuracy

        broken = {name: counts for name, *counts in packaged_accuracy("broken")}
        return [AccuracyRow(name, *counts, *broken.get(name, (0, 0))) for name, *counts in packaged_accuracy()]


@cache
def _judge_weights() -> str | None:
    file = packaged_judge() / "model.safetensors"
    return sha256_of_file(file) if file.exists() else None


class MeasurerSpec(Spec):
    """Perception from pixels: answers each question of a prompt without any learned weights."""

    spec_name: ClassVar[str] = "sandbox-perception"

    def version(self) -> str | None:
        """Increased whenever its answers change, so that old measurements are not mixed with new ones."""
        return "1"

    def build(self, runtime: Runtime) -> Measurer:
        """The measurer."""
        from rushes_sandbox.measurer import PerceptionMeasurer

        return PerceptionMeasurer()
