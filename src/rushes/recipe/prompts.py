"""What a recipe can say about prompts: who writes them, what is refused, which real clips stand beside them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from rushes.recipe.models import CriticSpec, LlmQuestionsSpec, LlmWriterSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Count, Share, Size
from rushes.roles import Spec

DRAFTS_PER_EVALUATION_PROMPT: Final = 3.0
"""Evaluation drafts per prompt wanted: what says the same as another is left out."""
CLIPS_PER_REAL_CLIP: Final = 1.5
"""Clips asked of a plug-in per real clip wanted: some captions are refused."""


class FixedWriterSpec(Spec):
    """Prompts from a list: one file, one JSON object a line (`text`, `dimension`, `questions`)."""

    spec_name: ClassVar[str] = "writer.fixed"

    kind: Literal["fixed"] = "fixed"
    path: str
    """The `.jsonl` file."""


class ScreenSpec(Spec):
    """Which prompts are refused before anything is generated."""

    spec_name: ClassVar[str] = "screen"

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
    """A language model that refuses what no camera could show; None for none."""


class RealClipsSpec(Spec):
    """The real videos that hold the model to reality."""

    spec_name: ClassVar[str] = "real-clips"

    folder: str | None = None
    """A folder of videos with `metadata.jsonl` or `metadata.csv`; None where a plug-in brings them, or nobody."""
    source: PluginSpec | None = None
    """A plug-in that brings them instead of a folder: `{use: sandbox}` renders them."""
    num_clips: Count = 192
    """How many to use at most; 0 for none."""

    @property
    def num_wanted(self) -> int:
        """How many clips the run uses at most: none where neither a folder nor a plug-in is named."""
        return 0 if self.folder is None and self.source is None else self.num_clips

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.folder is not None and self.source is not None:
            raise ValueError("prompts.real takes either a folder or a source, got both: leave one out")
        return self


class PromptsSpec(Spec):
    """Who writes the prompts, and how many."""

    spec_name: ClassVar[str] = "prompts"

    writer: FixedWriterSpec | LlmWriterSpec | PluginSpec = Field(discriminator="kind")
    """Who writes them."""
    questions: LlmQuestionsSpec | PluginSpec | None = Field(default=None, discriminator="kind")
    """Who writes the questions of prompts that come without; None leaves them without."""
    num_weakness: Count = 192
    """Weakness prompts per round, over all focus dimensions."""
    num_caption: Count = 0
    """Captions of real clips that the model also generates clips of, per round."""
    oversample: Annotated[float, Field(ge=1.0)] = 2.0
    """Drafts written per prompt wanted, since the screen refuses some."""
    real: RealClipsSpec = RealClipsSpec()
    screen: ScreenSpec = ScreenSpec()
