"""The expensive records: prompts, clips, answers, measurements, checkpoints. Appended once, never rewritten."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.errors import StoreError
from rushes.records.base import BlobRef, Count, Key, KeyedRecord, Record, Seconds, Share, Size, Text
from rushes.records.caches import SamplerCache

Origin = Literal["weakness", "caption", "probe", "held_out"]
"""What a prompt is for: a weakness, a real clip's caption, the diagnosis, or the final comparison."""


class Question(Record):
    """A yes/no question about a clip, with the answer that a perfect clip would get.

    Example:
        Question(text="Does the red ball move to the left?", expected="yes", dimension="Composition", about="direction")
    """

    text: Text
    """The question as the judge reads it."""
    expected: Literal["yes", "no"]
    """The answer for a clip that follows the prompt."""
    dimension: Text
    """Quality dimension that the question belongs to."""
    about: Text
    """Tag of the thing checked: "colour", "direction", "order", "camera", ..."""

    def p_expected(self, p_yes: float) -> float:
        """Probability of the expected answer, 0 to 1, from that of yes."""
        return p_yes if self.expected == "yes" else 1.0 - p_yes


class Prompt(KeyedRecord):
    """A text to generate clips of, with the questions that check whether they show it.

    Example:
        Prompt(key="1c" * 32, text="A small red ball rolls to the left on a grey floor.", base_text="a ball rolls",
               dimension="Composition", origin="weakness", index=0,
               questions=(Question(text="Is the ball red?", expected="yes", dimension="Composition", about="colour"),),
               real_clip=None, source="grammar")
    """

    text: Text
    """The full text given to the model."""
    base_text: Text
    """The short idea before augmentation; the same as `text` without augmentation."""
    dimension: Text
    """Quality dimension that the prompt aims at."""
    origin: Origin
    """Why the prompt exists."""
    index: Count
    """Position among the prompts of the same writer, dimension and origin."""
    questions: tuple[Question, ...] = ()
    """Questions for the judge, in asking order; empty until written, or if only trackers judge."""
    real_clip: BlobRef | None = None
    """Pixels (lossless frames) of the real clip that this text describes; None for texts without one."""
    source: str = ""
    """Where the text came from, as free text: a file name, a writer, a scene number."""
    seed_name: str | None = None
    """Source of the seeds of its clips, if prompts of several dimensions share clips; None for its own key."""


class SamplerSettings(Record):
    """How clips are sampled: everything besides weights, prompt and seed that affects them.

    Example:
        SamplerSettings(num_steps=30, guidance_scale=5.0, shift=3.0, scheduler="UniPCMultistepScheduler")
    """

    added_later: ClassVar[frozenset[str]] = frozenset({"guidance_scale_2", "cache", "attention"})

    num_steps: Size
    """Denoising steps."""
    guidance_scale: Annotated[float, Field(ge=0.0)]
    """Classifier-free guidance scale; 1 means no guidance."""
    shift: Annotated[float, Field(gt=0.0)]
    """Flow shift of the sigma schedule; 1 means none."""
    scheduler: Text
    """Class name of the diffusers scheduler."""
    negative_prompt: str = ""
    """Text of the unconditional branch."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of sampling."""
    guidance_scale_2: Annotated[float, Field(ge=0.0)] | None = None
    """Guidance scale of the second of two transformers, for low noise (Wan2.2 A14B); None for `guidance_scale`."""
    cache: SamplerCache | None = None
    """What one step computes and the next ones use again: faster, and another clip; null for nothing."""
    attention: Literal["sage", "sage_fp16", "sage_fp8"] | None = None
    """SageAttention, in eight bits: faster, and another clip; null for exact attention."""


class MadeBy(Record):
    """The model that generated a clip, where it is another than the one that is tuned.

    Example:
        MadeBy(model="Wan-AI/Wan2.1-T2V-14B-Diffusers", revision=None, fingerprint="9a" * 32,
               lora="distilled.safetensors", lora_sha256="7b" * 32, lora_strength=1.0)
    """

    model: Text
    """The recipe's name of it: a folder, a Hub id, or a folder in a package."""
    revision: str | None = None
    """Commit or branch on the Hub; None for its main branch."""
    fingerprint: Text
    """Hash of its files, or the work key of the checkpoint whose weights were used."""
    lora: Text | None = None
    """File name of the LoRA that was added to its weights; None for none."""
    lora_sha256: Key | None = None
    """Hash of that file."""
    lora_strength: Annotated[float, Field(gt=0.0)] | None = None
    """Factor of its change of the weights."""


class Clip(KeyedRecord):
    """A video: generated by the model, or real.

    Example:
        Clip(key="2d" * 32, prompt_key="1c" * 32, dimension="Composition", seed=4611686018427387904, seed_index=0,
             model="sandbox-base", origin="model", height_px=64, width_px=64, num_frames=17, fps=8.0, seconds=0.8,
             sampler=SamplerSettings(num_steps=20, guidance_scale=4.0, shift=3.0, scheduler="UniPCMultistepScheduler"),
             video=BlobRef(sha256="5f" * 32, suffix=".safetensors", num_bytes=208_984), latents=None)
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"seconds"})

    prompt_key: Key
    """Prompt of the clip."""
    dimension: Text
    """Quality dimension of that prompt."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Seed of the first noise, derived from the key; 0 for real clips."""
    seed_index: Count
    """Which take of the prompt this is: 0, 1, ..."""
    model: Text
    """Weights that generated it: a work key of a checkpoint, or the name of the base model; "real" for real clips."""
    origin: Literal["model", "real"]
    """Whether a model generated it or it is real."""
    sampler: SamplerSettings | None = None
    """How it was sampled; None for real clips only."""
    made_by: MadeBy | None = None
    """The model that generated it, where another one is tuned; None for clips of the tuned model, and real ones."""
    height_px: Size
    """Height, pixels."""
    width_px: Size
    """Width, pixels."""
    num_frames: Size
    """Number of frames."""
    fps: Annotated[float, Field(gt=0.0)]
    """Frames per second."""
    seconds: Seconds
    """Wall-clock seconds spent on generating it; not part of its identity."""
    video: BlobRef | None
    """Its frames (`rushes.store.blobs` reads them as uint8, shape T, H, W, 3); None if only latents are kept."""
    latents: BlobRef | None = None
    """Final latents, float32, shape C, T, H, W of the latent grid: the sampler's own, or encoded from a real clip."""

    @model_validator(mode="after")
    def _sampler_fits_origin(self) -> Self:
        if (self.origin == "model") != (self.sampler is not None):
            raise ValueError(
                f"a clip of origin {self.origin!r} must {'' if self.origin == 'model' else 'not '}have a sampler"
            )
        return self

    @model_validator(mode="after")
    def _has_frames_or_latents(self) -> Self:
        if self.video is None and (self.origin == "real" or self.latents is None):
            raise ValueError("a clip without frames must be the model's own and have latents")
        return self

    @property
    def frames(self) -> BlobRef:
        """The stored frames.

        Raises:
            StoreError: the clip has only latents.
        """
        if self.video is None:
            raise StoreError(
                f"clip {self.key[:12]} was never decoded, so it has no frames",
                expected="a clip with frames",
                got="latents only",
                next_step="run the recipe again with --set generate.decode=true; no clip is sampled again for it",
            )
        return self.video

    @property
    def duration_s(self) -> float:
        """Playing time, seconds."""
        return self.num_frames / self.fps


class Answer(KeyedRecord):
    """A judge's answer to one question about one clip: a probability, or why there is none.

    Example:
        Answer(key="3e" * 32, clip_key="2d" * 32, judge="sandbox-vqa", p_yes=0.93, unscored_reason=None,
               question=Question(text="Is the ball red?", expected="yes", dimension="Composition", about="colour"))
    """

    clip_key: Key
    """Clip that was judged."""
    question: Question
    """Question that was asked."""
    p_yes: Share | None = None
    """Probability that the answer is yes; None if the judge gave no usable answer."""
    unscored_reason: Text | None = None
    """Why there is no probability; set if and only if `p_yes` is None."""
    judge: Text
    """Name of the judge."""
    yes_no_mass: Share | None = None
    """P(yes) + P(no) of the judge's first word before they were scaled to 1; None for judges without it."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.p_yes is None) == (self.unscored_reason is None):
            raise ValueError(
                f"exactly one of p_yes and unscored_reason must be set, got p_yes={self.p_yes!r}, "
                f"unscored_reason={self.unscored_reason!r}"
            )
        return self

    @property
    def p_expected(self) -> float | None:
        """Probability of the expected answer, 0 to 1; None if unscored."""
        return None if self.p_yes is None else self.question.p_expected(self.p_yes)


class Part(Record):
    """One named part of a score.

    Example:
        Part(name="Is the ball red?", value=0.93)
    """

    name: Text
    """What was checked: the text of a question, or the name of a measured quantity or of a judge's scale."""
    value: float
    """Its result, higher is better: probability of the expected answer, or a score, 0 to 1; any number with a unit."""
    unit: Text | None = None
    """Unit of the scale, in words; None for a share of 1."""

    @model_validator(mode="after")
    def _on_its_scale(self) -> Self:
        _check_scale(self.value, self.unit)
        return self


class Scored(Record):
    """A score with its parts.

    Example:
        Scored(value=0.5, parts=(Part(name="Is the ball red?", value=1.0), Part(name="Does it roll?", value=0.0)))
    """

    kind: Literal["scored"] = "scored"
    """Distinguishes it from `Unscored` in JSON."""
    value: float
    """The score, higher is better: 0 to 1, or any number with a unit."""
    unit: Text | None = None
    """Unit of the scale, in words; None for a share of 1. Only judges give others."""
    parts: tuple[Part, ...] = ()
    """What it was computed from, in asking order."""

    @model_validator(mode="after")
    def _on_its_scale(self) -> Self:
        _check_scale(self.value, self.unit)
        return self


def _check_scale(value: float, unit: str | None) -> None:
    if unit is None and not 0.0 <= value <= 1.0:
        raise ValueError(f"a value without a unit must be from 0 to 1, got {value!r}")


class Unscored(Record):
    """There is no score, and why. Never written as 0, 0.5 or NaN.

    Example:
        Unscored(reason="the judge answered 'maybe' to 2 of 3 questions")
    """

    kind: Literal["unscored"] = "unscored"
    """Distinguishes it from `Scored` in JSON."""
    reason: Text
    """Why there is no score."""


Outcome = Annotated[Scored | Unscored, Field(discriminator="kind")]
"""A score, or the reason why there is none."""


class Measurement(KeyedRecord):
    """The independent measurer's result for one clip, or for a group of clips of one prompt (Diversity).

    Example:
        Measurement(key="4f" * 32, subject=("2d" * 32,), dimension="Composition", prompt_key="1c" * 32,
                    measurer="sandbox-perception", outcome=Scored(value=1.0, parts=(Part(name="colour", value=1.0),)))
    """

    subject: Annotated[tuple[Key, ...], Field(min_length=1)]
    """Keys of the clips measured together: one, or all takes of one prompt."""
    dimension: Text
    """Quality dimension measured."""
    prompt_key: Key
    """Prompt of those clips; intervals are clustered by it."""
    measurer: Text
    """Name of the measurer."""
    outcome: Outcome
    """The measurement with its parts, or why there is none; 0 to 1."""

    @model_validator(mode="after")
    def _is_a_share(self) -> Self:
        if isinstance(self.outcome, Scored) and self.outcome.unit is not None:
            raise ValueError(f"a measurement must be from 0 to 1, got one in {self.outcome.unit!r}")
        return self


class LossSummary(Record):
    """One named loss term over the steps up to a checkpoint.

    Example:
        LossSummary(term="real_flow", first=0.31, last=0.24)
    """

    term: Text
    """Name of the loss term."""
    first: float
    """Mean over the first tenth of the steps (at least one)."""
    last: float
    """Mean over the last tenth of the steps (at least one)."""


class Checkpoint(KeyedRecord):
    """Tuned weights.

    Example:
        Checkpoint(key="5a" * 32, step=200, kind="full", ema=True, parent=None, seconds=181.0,
                   weights=BlobRef(sha256="6b" * 32, suffix=".safetensors", num_bytes=12_000_000),
                   losses=(LossSummary(term="weighted_flow", first=0.22, last=0.19),))
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"seconds"})

    step: Count
    """Optimiser steps done."""
    kind: Literal["full", "lora"]
    """All parameters, or a low-rank adapter."""
    ema: bool
    """True if the weights are the exponential moving average of the trained ones."""
    parent: Text | None = None
    """Weights it was tuned from: a checkpoint's key or a model name; None for the recipe's base model."""
    weights: BlobRef
    """The weights: one safetensors file, or a model folder. Of a model with two transformers by noise level only what
    was tuned is here; names of the second's weights begin with `transformer_2.`."""
    weights_2: BlobRef | None = None
    """Those of the second transformer, if both were tuned."""
    parts: tuple[Key, ...] = ()
    """Keys, in the table `unmerged`, of the checkpoints of each transformer, if both were tuned."""
    losses: tuple[LossSummary, ...] = ()
    """Each loss term, at the start and at the end."""
    curves: BlobRef | None = None
    """Every value of every loss term: JSON, `{term: [[step, value], ...]}`; None if it was not kept."""
    num_skipped_steps: Count = 0
    """Steps skipped because a loss or gradient was not finite."""
    merge: Share = 1.0
    """Share of the round's change that the weights keep, see `train.merge`."""
    unmerged: Key | None = None
    """Key, in the table `unmerged`, of the checkpoint with all of it; None for one that is not merged."""
    seconds: Seconds
    """Wall-clock seconds spent on training up to here; not part of its identity."""


class Failure(Record):
    """Work that stayed failed in a run, after several tries. Never counts as done; tried again on the next run.

    Example:
        Failure(work_key="2d" * 32, stage="clips", attempt=1, error_type="OutOfMemoryError",
                message="CUDA out of memory")
    """

    work_key: Key
    """Key of the missing record."""
    stage: Text
    """Table of the missing record."""
    attempt: Size
    """How many runs have tried it: 1, 2, ..."""
    error_type: Text
    """Class name of the error."""
    message: str
    """Its message."""
    trace: str = ""
    """Traceback as text, for a person to read; may be empty."""
    is_final: bool = False
    """True when another try would give the same: a reply that cannot be used, a text that is too long."""
