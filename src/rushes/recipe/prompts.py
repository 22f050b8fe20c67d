"""What a recipe can say about prompts: who writes them, what is refused, which real clips stand beside them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from rushes.recipe.diagnose import DimensionSpec
from rushes.recipe.models import CriticSpec, LlmQuestionsSpec, LlmWriterSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Count, Share, Size
from rushes.roles import PromptWriter, Runtime, Spec

DRAFTS_PER_EVALUATION_PROMPT: Final = 3.0
"""Evaluation drafts per prompt wanted, since those that say the same as another are left out."""
RENDERED_PER_REAL_CLIP: Final = 1.5
"""Sandbox clips rendered per real clip wanted, since captions that say what an evaluation prompt says are refused."""


class GrammarWriterSpec(Spec):
    """The sandbox's prompt writer: scenes drawn from a grammar, in words."""

    kind: Literal["grammar"] = "grammar"
    detailed: Share = 0.5
    """Share of prompts that are augmented with their setting."""
    brought: tuple[DimensionSpec, ...] = ()
    """Dimensions to write by analogy; filled in from `diagnose.extra`, so leave it empty in a recipe."""

    def build(self, runtime: Runtime) -> PromptWriter:
        """The writer; nothing heavy is loaded."""
        from rushes_sandbox.writer import GrammarWriter

        return GrammarWriter(self)


class FixedWriterSpec(Spec):
    """Prompts from a list: one file, one JSON object a line (`text`, `dimension`, `questions`)."""

    kind: Literal["fixed"] = "fixed"
    path: str
    """The `.jsonl` file."""

    def build(self, runtime: Runtime) -> PromptWriter:
        """The writer.

        Raises:
            InputError: the file is missing, or a line of it cannot be used.
        """
        from rushes.prompts.fixed import FixedWriter

        return FixedWriter.read(self)


class ScreenSpec(Spec):
    """Which prompts are refused before anything is filmed."""

    near_duplicate: Share = 0.97
    """Similarity (cosine of word n-gram counts) from which two prompts count as the same. From 0.97 on, one different
    word tells prompts of up to 60 words apart; for long, free texts 0.8 is usual."""
    held_out_overlap: Share = 0.97
    """Similarity to an evaluation prompt from which a prompt is refused; the same content in other words always is."""
    any_background: bool = False
    """True takes prompts that differ only in the background for the same content: no event that is measured is ever
    trained on. In the sandbox it needs `prompts.oversample` of about 5."""
    max_words: Size = 60
    """Longest prompt, words."""
    enabled: bool = True
    """False records what would be refused but refuses only held-out overlap: for ablations."""
    meaning_duplicate: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Similarity of meaning (cosine of sentence embeddings) from which two prompts count as the same too; 0.85 is usual
    for free texts. None compares words only, and so does a machine without the embedding package, which says so."""
    critic: CriticSpec | None = None
    """A language model that refuses what cannot be filmed; None for none."""


class RealClipsSpec(Spec):
    """The real videos that hold the model to reality."""

    folder: str = "sandbox"
    """`sandbox` renders them; else a folder of videos with `metadata.jsonl` or `metadata.csv`."""
    num_clips: Count = 192
    """How many to use at most; 0 for none."""

    @property
    def from_sandbox(self) -> bool:
        """Whether they are rendered, with no folder to read."""
        return self.folder == "sandbox"


class PromptsSpec(Spec):
    """Who writes the prompts, and how many."""

    writer: GrammarWriterSpec | FixedWriterSpec | LlmWriterSpec | PluginSpec = Field(
        default=GrammarWriterSpec(), discriminator="kind"
    )
    questions: LlmQuestionsSpec | PluginSpec | None = Field(default=None, discriminator="kind")
    """Who writes the questions of prompts that come without; None leaves them without."""
    num_weakness: Count = 192
    """Weakness prompts per round, over all focus dimensions."""
    num_caption: Count = 0
    """Captions of real clips that the model also films, per round."""
    oversample: Annotated[float, Field(ge=1.0)] = 2.0
    """Drafts written per prompt wanted, since the screen refuses some."""
    real: RealClipsSpec = RealClipsSpec()
    screen: ScreenSpec = ScreenSpec()
