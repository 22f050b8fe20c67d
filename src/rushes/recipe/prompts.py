"""Recipe settings for prompts: who writes them, which are refused, and the real clips used with them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from rushes.recipe.models import CriticSpec, LlmQuestionsSpec, LlmWriterSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records.base import Count, Share, Size
from rushes.roles import Spec

DRAFTS_PER_EVALUATION_PROMPT: Final = 3.0
"""Evaluation drafts per prompt needed, since duplicates are left out."""
Windows = Literal["first", "all"] | Size
"""How many stretches of a real video become clips."""
CLIPS_PER_REAL_CLIP: Final = 1.5
"""Clips requested from a plug-in per real clip needed, since some captions are refused."""


class FixedWriterSpec(Spec):
    """Prompts from a file with one JSON object per line (`text`, `dimension`, `questions`)."""

    spec_name: ClassVar[str] = "writer.fixed"

    kind: Literal["fixed"] = "fixed"
    path: str
    """The `.jsonl` file."""


class ScreenSpec(Spec):
    """Which prompts are refused before anything is generated."""

    spec_name: ClassVar[str] = "screen"

    near_duplicate: Share = 0.97
    """Similarity (cosine of word n-gram counts) at or above which two prompts count as duplicates. At 0.97, one
    different word is enough to distinguish prompts of up to 60 words; for long, free texts 0.8 is usual."""
    held_out_overlap: Share = 0.97
    """Similarity to an evaluation prompt at or above which a prompt is refused; a paraphrase of one always is."""
    any_background: bool = False
    """True treats prompts that differ only in the background as the same content, so that no measured event is ever
    trained on. In the sandbox it needs `prompts.oversample` of about 5."""
    max_words: Size = 60
    """Longest prompt, words."""
    enabled: bool = True
    """False records what would be refused but refuses only held-out overlap: for ablations."""
    meaning_duplicate: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Similarity of meaning (cosine of sentence embeddings) at or above which two prompts also count as duplicates;
    0.85 is usual for free texts. Null compares words only. So does a machine without the embedding package, with a
    warning."""
    critic: CriticSpec | None = None
    """A language model that refuses what no video could show; null for none."""


class RealShapeSpec(Spec):
    """A further shape of real clips; their rate is that of `shape`."""

    spec_name: ClassVar[str] = "real-shape"

    height_px: Size
    """Height, pixels."""
    width_px: Size
    """Width, pixels."""
    num_frames: Size
    """Frames."""


class RealClipsSpec(Spec):
    """The real videos that keep the model realistic."""

    spec_name: ClassVar[str] = "real-clips"
    added_later: ClassVar[frozenset[str]] = frozenset({"shapes"})

    folder: str | None = None
    """A folder of videos with `metadata.jsonl` or `metadata.csv`, or with a caption in a `.txt` file beside each; null
    if a plug-in supplies them, or for none. `rushes data check FOLDER --recipe RECIPE` tells which can be used."""
    source: PluginSpec | None = None
    """A plug-in that supplies them instead of a folder: `{use: sandbox}` renders them."""
    num_clips: Count = 192
    """Maximum number to use; 0 for none."""
    windows: Windows = "first"
    """Stretches of each video of the folder that become clips, each as long as the model's: the `first`, `all`, or the
    first n. Second ones are used after the first ones of all videos, while there are fewer than `num_clips`."""
    shapes: tuple[RealShapeSpec, ...] = ()
    """Further shapes than `shape`, for videos of the folder that fit them better: the nearest in aspect ratio, of those
    one that needs no enlarging, of those the longest that the video fills, then the largest. Training never mixes two
    shapes in one pass. The model's own clips always have `shape`."""

    @property
    def num_wanted(self) -> int:
        """Maximum number of clips that the run uses: 0 if neither a folder nor a plug-in is named."""
        return 0 if self.folder is None and self.source is None else self.num_clips

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.folder is not None and self.source is not None:
            raise ValueError("prompts.real takes either a folder or a source, got both: set source or folder to null")
        if self.shapes and self.folder is None:
            raise ValueError("prompts.real.shapes are for the videos of a folder: name prompts.real.folder")
        return self


class PromptsSpec(Spec):
    """Who writes the prompts, and how many."""

    spec_name: ClassVar[str] = "prompts"

    writer: FixedWriterSpec | LlmWriterSpec | PluginSpec = Field(discriminator="kind")
    """Which writer writes them."""
    questions: LlmQuestionsSpec | PluginSpec | None = Field(default=None, discriminator="kind")
    """What writes questions for prompts that have none; null leaves them without."""
    num_weakness: Count = 192
    """Weakness prompts per round, over all focus dimensions. 0, with `num_caption` 0, generates and judges nothing: the
    real clips are trained on, with the scores, weights and preferences in their table."""
    num_caption: Count = 0
    """Captions of real clips that the model also generates clips for, per round."""
    oversample: Annotated[float, Field(ge=1.0)] = 2.0
    """Drafts written per prompt needed, since the screen refuses some."""
    real: RealClipsSpec = RealClipsSpec()
    screen: ScreenSpec = ScreenSpec()

    @property
    def only_real(self) -> bool:
        """True where no clip is generated for training: the real clips are then trained on in their place."""
        return self.num_weakness + self.num_caption == 0 and self.real.num_wanted > 0
