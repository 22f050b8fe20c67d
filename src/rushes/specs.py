"""What a recipe can set, stage by stage: plain values that decide results. Heavy imports wait until `build()`.

Each spec enters the work keys of what it makes; `Runtime` settings (at the end) never do.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from rushes.diagnose_specs import DiagnoseSpec as DiagnoseSpec
from rushes.diagnose_specs import DimensionSpec as DimensionSpec
from rushes.diagnose_specs import ExampleSpec as ExampleSpec
from rushes.film_specs import DraftSpec as DraftSpec
from rushes.film_specs import GenerateSpec as GenerateSpec
from rushes.film_specs import StoredAs as StoredAs
from rushes.model_specs import (
    CriticSpec,
    LlmQuestionsSpec,
    LlmWriterSpec,
    ServerRuntime,
    VlmJudgeSpec,
    VlmMeasurerSpec,
    models_named,
)
from rushes.records import SamplerSettings
from rushes.records.base import Count, Share, Size
from rushes.roles import PromptWriter, Runtime, Spec
from rushes.train_specs import LoraSpec as LoraSpec
from rushes.train_specs import PreviewRuntime as PreviewRuntime
from rushes.train_specs import RealismSpec as RealismSpec
from rushes.train_specs import TrainRuntime as TrainRuntime
from rushes.train_specs import TrainSpec as TrainSpec
from rushes.train_specs import parallel_problem

ImportPath = Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$")]
"""`package.module:Class` of a plug-in: a `Spec` subclass with `build()`."""


class ShapeSpec(Spec):
    """The size of every clip in the run."""

    height_px: Size = 64
    """Height, pixels; a multiple of what the model's autoencoder needs."""
    width_px: Size = 64
    """Width, pixels."""
    num_frames: Size = 17
    """Frames; 4 k + 1 for the causal video autoencoders."""
    fps: Annotated[float, Field(gt=0)] = 8.0
    """Frames per second."""

    @property
    def num_pixels(self) -> int:
        """Pixels of a clip, over all frames."""
        return self.num_frames * self.height_px * self.width_px


class BaseModelSpec(Spec):
    """The model to improve."""

    family: Literal["auto", "wan", "cogvideox", "hunyuan", "ltx"] = "auto"
    """Which adapter reads it; `auto` asks the model's own index, any other value is checked against it."""
    model: str = "sandbox"
    """`sandbox` for the model in the package, a diffusers folder, or a Hub id."""
    revision: str | None = None
    """Commit or branch of a Hub id; None for its main branch."""
    max_tokens: Size = 32
    """Text length it is trained and sampled with: 32 for the sandbox, 512 for Wan, 226 for CogVideoX, 256 for
    HunyuanVideo, 128 for LTX-Video."""
    text_precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the text encoders' weights: bfloat16 for the large ones of real models (22 GB in float32)."""


class GrammarWriterSpec(Spec):
    """The sandbox's prompt writer: scenes drawn from a grammar, in words."""

    kind: Literal["grammar"] = "grammar"
    detailed: Share = 0.5
    """Share of prompts that are augmented with their setting."""
    brought: tuple[DimensionSpec, ...] = ()
    """Dimensions to write by analogy; filled in from `diagnose.extra`, so leave it empty in a recipe."""

    def build(self, runtime: Runtime) -> PromptWriter:
        """The writer; nothing heavy is loaded."""
        from rushes.sandbox.writer import GrammarWriter

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


class PluginSpec(Spec):
    """A role of the user's own."""

    kind: Literal["plugin"] = "plugin"
    use: ImportPath
    """`package.module:Class` of its Spec."""
    options: dict[str, str | int | float | bool | dict[str, JsonValue]] = Field(default_factory=dict)
    """Fields of that Spec; a Spec inside it is a mapping."""

    def build(self, runtime: Runtime) -> Any:
        """What the named Spec builds; see `rushes.plugins.plugin` for the errors."""
        from rushes.plugins import plugin

        return plugin(self).build(runtime)


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


class SandboxJudgeSpec(Spec):
    """The learned question-answering model in the package."""

    kind: Literal["sandbox"] = "sandbox"


class JudgeSpec(Spec):
    """Who answers the questions, and how answers become a score."""

    judge: SandboxJudgeSpec | VlmJudgeSpec | PluginSpec = Field(default=SandboxJudgeSpec(), discriminator="kind")
    aggregate: Literal["mean", "product", "minimum"] = "mean"
    """How the probabilities of the expected answers become one score."""
    max_unscored: Share = 0.2
    """Share of unscored clips above which training is refused."""


class WeightsSpec(Spec):
    """How scores become weights; always scaled to mean 1 over the scored clips."""

    kind: Literal["uniform", "raw", "filter", "exponential", "rank", "centred", "contrast", "plugin"] = "raw"
    """`raw` is the paper's; `uniform` is plain fine-tuning; `contrast` draws the best and worst of a prompt's takes,
    for negative-aware training; `plugin` is the one named below."""
    plugin: PluginSpec | None = None
    """A weighting of your own; set exactly when `kind` is `plugin`."""
    threshold: Share = 0.8
    """filter: scores from here weigh 1, others 0."""
    temperature: Annotated[float, Field(gt=0)] = 0.15
    """exponential: w = exp((r - max r) / temperature)."""
    floor: Share = 0.0
    """centred: scores less than this above the mean of their prompt's takes weigh 0."""
    min_effective: Share = 0.2
    """Warn when the effective sample size is below this share of the scored clips."""

    @model_validator(mode="after")
    def _plugin_fits_kind(self) -> Self:
        if (self.kind == "plugin") != (self.plugin is not None):
            raise ValueError(
                f"weights.kind must be 'plugin' exactly when weights.plugin is set, "
                f"got kind={self.kind!r}, plugin={self.plugin!r}"
            )
        return self


class MeasureSpec(Spec):
    """The final comparison: held-out prompts, same seeds, an independent measurer."""

    measurer: Annotated[VlmMeasurerSpec | PluginSpec, Field(discriminator="kind")] | None = None
    """None for the sandbox's perception measurer."""
    same_model_as_judge: bool = False
    """True lets a model measure that also gives the rewards: it then reports how well it was pleased."""
    suite: str | None = None
    """Your copy of VBench-2.0 (a checkout, a vbench2 wheel, VBench2_full_info.json, or `installed`): its prompts are
    then the probe and held-out ones, and are never trained on. None lets the prompt writer write them."""
    num_prompts: Size = 32
    """Held-out prompts per dimension."""
    num_extra_focus_prompts: Count = 0
    """Held-out prompts more for each focus dimension, where the gain is to be seen through the noise."""
    num_takes: Size = 1
    """Seeds per prompt."""
    num_diversity_prompts: Count = 8
    """Prompts for Diversity; 0 leaves it out."""
    num_diversity_takes: Annotated[int, Field(ge=2)] = 6
    """Takes per Diversity prompt."""
    sampler: SamplerSettings = GenerateSpec().sampler
    num_bootstrap: Size = 2000
    """Resamples of the paired bootstrap."""
    split: Literal["development", "test"] = "development"
    """Which held-out prompts: `test` only to confirm a finished recipe."""
    only_focus: bool = False
    """True compares in the focus dimensions alone: quicker, but what got worse elsewhere goes unseen."""


class RuntimeSpec(Runtime):
    """Where and how fast; changing it never invalidates work."""

    device: str = "cpu"
    """torch device."""
    num_threads: Size = 2
    """CPU threads of torch."""
    generate_batch: Size = 16
    """Clips sampled at once."""
    free_text_encoder: bool = False
    """True encodes all texts of a stage first and then frees the text encoder's memory, which is as large as the
    transformer in real models. Other texts encoded together may change the last bit of a text's states."""
    offload: Literal["auto", "none", "model", "sequential"] = "auto"
    """What of the model leaves the GPU between its turns while it films: `model` all parts but the one at work,
    `sequential` all layers but that, much slower; `auto` takes the fastest that fits the memory that is free. The same
    numbers either way; nothing is moved on a CPU, and training is not offloaded."""
    judge_batch: Size = 32
    """Clips judged at once."""
    executor: Literal["local", "ray"] = "local"
    """Where clips are filmed, judged and measured: in this process, or by the workers of a Ray cluster."""
    num_workers: Size = 1
    """Ray workers at most, each with a model of its own, `num_threads` cores, and a GPU where `device` is one."""
    ray_address: str | None = None
    """A running Ray cluster (`auto`, `ray://host:10001`); None starts one on this machine for this run."""
    allow_remote_code: bool = False
    """True runs Python code that comes with a model (`trust_remote_code`), as you: only for code that you have read."""
    servers: dict[str, ServerRuntime] = Field(default_factory=dict)
    """OpenAI-compatible servers by the names that writers and judges call them by; nothing is sent anywhere else."""
    cache_folder: str | None = None
    """Where replies of language models and what they cost are kept; None for the run's own folder."""
    train: TrainRuntime = TrainRuntime()
    """How training uses the device: memory, kernels, curves."""


class BudgetSpec(Runtime):
    """What the whole run may cost; what the recipe asks for is an upper bound then, and is cut down to fit."""

    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """Hours on one GPU for everything: probes, prompts, clips, judging, training, the comparison. An estimate decides
    (`rushes plan`), which knows nothing of servers and of the measurer. None for no limit."""
    gpu: str = "H100"
    """Which GPU, by its name in `rushes plan`."""


class StagesSpec(Spec):
    """Everything that decides a run's results: a recipe without its name and runtime."""

    seed: Count = 0
    """Root of all seeds."""
    num_rounds: Size = 1
    """How often the loop goes round; each round films with the model of the one before."""
    base: BaseModelSpec = BaseModelSpec()
    shape: ShapeSpec = ShapeSpec()
    diagnose: DiagnoseSpec = DiagnoseSpec()
    prompts: PromptsSpec = PromptsSpec()
    generate: GenerateSpec = GenerateSpec()
    judge: JudgeSpec = JudgeSpec()
    weights: WeightsSpec = WeightsSpec()
    train: TrainSpec = TrainSpec()
    measure: MeasureSpec = MeasureSpec()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.train.realism.kind != "none" and self.prompts.real.num_clips == 0:
            raise ValueError(
                "train.realism needs real clips: set prompts.real.num_clips above 0, or realism.kind: none"
            )
        if 0 < self.train.num_held_out >= self.prompts.real.num_clips:
            raise ValueError(
                f"train.num_held_out keeps {self.train.num_held_out} real clips out of training, and there are "
                f"{self.prompts.real.num_clips}: lower it, or raise prompts.real.num_clips"
            )
        if self.train.batch_size % self.train.num_accumulation:
            raise ValueError(
                f"train.batch_size must be a multiple of train.num_accumulation, "
                f"got {self.train.batch_size!r} and {self.train.num_accumulation!r}"
            )
        if self.weights.kind == "contrast" and self.train.negative == 0:
            raise ValueError(
                "weights.kind: contrast draws bad clips as often as good ones, to move away from them: set "
                "train.negative above 0, or take another weighting"
            )
        if not self.generate.decode and (
            self.weights.kind != "uniform" or self.train.negative != 0 or self.generate.latents != "sampler"
        ):
            raise ValueError(
                "generate.decode: false leaves the judge and the autoencoder's encoder nothing to look at: set "
                "weights.kind: uniform, train.negative: 0 and generate.latents: sampler, or generate.decode: true"
            )
        same = models_named(self.judge.judge) & models_named(self.measure.measurer)
        if same and not self.measure.same_model_as_judge:
            raise ValueError(
                f"measure.measurer names the model of judge.judge, {min(same)!r}: it would measure its own rewards; "
                "name another model there, or set measure.same_model_as_judge: true"
            )
        is_vbench = self.diagnose.catalogue == "vbench2" and not self.diagnose.extra
        if self.measure.suite is not None and (not is_vbench or self.measure.measurer is None):
            raise ValueError(
                "measure.suite holds prompts of VBench-2.0 only: set diagnose.catalogue: vbench2, no diagnose.extra, "
                "and measure.measurer, for example to rushes.vbench.metrics.measurer:VBenchMeasurerSpec"
            )
        return self


class Recipe(StagesSpec):
    """One run: the stages' specs, its name, and how it is executed."""

    name: str = "run"
    """Shown in the report."""
    runtime: RuntimeSpec = RuntimeSpec()
    budget: BudgetSpec = BudgetSpec()
    """Fit prompts, clips, frames and steps into so many GPU-hours; only for the real models of the packaged recipes."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if problem := parallel_problem(self.train, self.runtime.train):
            raise ValueError(problem)
        return self
