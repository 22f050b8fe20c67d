"""Recipe settings for the training objective: one Spec for each kind, with what it needs of a batch.

Each formula is in `rushes.train.objectives`; docs/objectives.md compares them. `strength` means the same in all of
them: at 1, the first step pulls towards a wholly good clip as hard as flow matching on that clip does.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rushes.recipe.plugin import PluginSpec
from rushes.records import OldPolicy
from rushes.records.base import Share, Size
from rushes.roles import ObjectiveNeeds, Spec

Positive = Annotated[float, Field(gt=0)]


def as_tuple(given: object) -> object:
    """A list of a file as a tuple: inside `TrainSpec`, which is changed before it is checked, lists are refused."""
    return tuple(given) if isinstance(given, list) else given


class FlowSpec(Spec):
    """Flow matching on own clips, drawn in proportion to their weights: the paper's reward-weighted loss."""

    spec_name: ClassVar[str] = "objective.flow"

    kind: Literal["flow"] = "flow"

    def needs(self) -> ObjectiveNeeds:
        """Weights alone."""
        return ObjectiveNeeds(columns=("weight",))


class NftSpec(Spec):
    """Towards good clips and away from bad ones, bounded by the model that training starts from (DiffusionNFT)."""

    spec_name: ClassVar[str] = "objective.nft"
    added_later: ClassVar[frozenset[str]] = frozenset({"old", "old_rate", "old_cap", "old_every"})

    kind: Literal["nft"] = "nft"
    beta: Positive = 0.3
    """Mixing of tuned and frozen model. Small: the optimum lies (2r - 1) / beta residuals away from the start, so it
    moves far; large: it stays near."""
    strength: Positive = 1.0
    """Size of the first step's pull; the loss is divided by beta."""
    adaptive: bool = False
    """Divide each branch's error by its own mean absolute error and multiply it by sigma, as the publication's code
    does: then a clip counts by how far, not by how noisy it is."""
    old: Literal["start", "ema"] = "start"
    """What the tuned model is mixed with and bounded by: the model that the round starts from, or a moving average of
    the tuned weights, which lets the model go further and holds it less."""
    old_rate: Annotated[float, Field(ge=0)] = 0.001
    """old: ema: after `old_every` steps it becomes eta old + (1 - eta) tuned, with eta = min(old_rate x step,
    old_cap)."""
    old_cap: Annotated[float, Field(ge=0, le=1)] = 0.5
    """old: ema: largest eta; 0 lets it jump to the tuned weights, and near 1 it hardly moves."""
    old_every: Size = 10
    """old: ema: optimiser steps between its changes. With 1 it is so near that hardly anything bounds the step."""

    def needs(self) -> ObjectiveNeeds:
        """The old policy, preferences, and weights to draw by."""
        old = OldPolicy(self.old_rate, self.old_cap, self.old_every) if self.old == "ema" else None
        return ObjectiveNeeds(reference=True, old=old, columns=("weight", "preference"))


class DpoSpec(Spec):
    """Two takes of one prompt, the better one against the worse (Diffusion-DPO, in its flow form Flow-DPO)."""

    spec_name: ClassVar[str] = "objective.dpo"

    kind: Literal["dpo"] = "dpo"
    beta: Positive | Literal["auto"] = "auto"
    """How soon a pair counts as learned: the margin is beta / 2 times a difference of mean squared errors. `auto`
    follows the errors so that the mean of sigmoid(-margin) comes to `unsure`."""
    unsure: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """beta: auto: the mean of sigmoid(-margin) to keep; 1/2 means nothing is learned, 0 that everything is."""
    falling: bool = False
    """Multiply beta by (1 - sigma)^2, as the derivation in noise space has it; published runs keep it constant."""
    min_gap: Share = 0.05
    """Pairs whose scores differ by no more than this are left out: they say more about the judge than about the
    clips."""
    strength: Positive = 1.0
    """Size of the first step's pull; the loss is divided by beta / 2."""

    def needs(self) -> ObjectiveNeeds:
        """The frozen start, and pairs under the same noise."""
        return ObjectiveNeeds(
            reference=True, unit="pair", unit_size=2, is_tied=True, min_gap=self.min_gap, columns=("score",)
        )


class CrdSpec(Spec):
    """Several takes of one prompt: implicit rewards regress on the judge's, both centred in the group (CRD)."""

    spec_name: ClassVar[str] = "objective.crd"

    kind: Literal["crd"] = "crd"
    beta: Positive = 1.0
    """Scale of the implicit reward, the fall of a clip's error. Small: it is never reached, and the pull stays as it
    began; large: the pull ends early."""
    num_takes: Annotated[int, Field(ge=2)] = 4
    """Takes of one prompt that are compared at once; no more than `generate.num_takes`."""
    min_gap: Share = 0.05
    """Prompts whose scores differ by no more than this are left out."""
    strength: Positive = 1.0
    """Size of the first step's pull; the loss is divided by 2 beta."""

    def needs(self) -> ObjectiveNeeds:
        """The frozen start, and groups under the same noise."""
        return ObjectiveNeeds(
            reference=True,
            unit="group",
            unit_size=self.num_takes,
            is_tied=True,
            min_gap=self.min_gap,
            columns=("score", "preference"),
        )


class RvmSpec(Spec):
    """Flow matching with signed weights: the gradient on the velocity is the advantage times its error (RVM)."""

    spec_name: ClassVar[str] = "objective.rvm"

    kind: Literal["rvm"] = "rvm"
    clip: Positive = 1.0
    """Largest advantage, in units of its root mean square."""
    strength: Positive = 1.0
    """Size of the first step's pull for an advantage of 1."""

    def needs(self) -> ObjectiveNeeds:
        """Advantages."""
        return ObjectiveNeeds(columns=("advantage",))


class AwmSpec(Spec):
    """A clipped policy ratio of matching losses, times the advantage (advantage-weighted matching, AWM)."""

    spec_name: ClassVar[str] = "objective.awm"

    kind: Literal["awm"] = "awm"
    error: Literal["plain", "ghuber"] = "ghuber"
    """`plain`: mean squared error; `ghuber`: sigma (e^p - 1e-10^p) / p of it with p = 1/4, the publication's
    default."""
    clip: Positive = 1.0
    """Largest advantage, in units of its root mean square."""
    ratio: Share = 0.2
    """The policy ratio stops counting beyond 1 +- this."""
    strength: Positive = 1.0
    """Factor of the loss. With `plain` it means what it means elsewhere; with `ghuber` the pull depends on the
    error."""

    def needs(self) -> ObjectiveNeeds:
        """The frozen start, and advantages."""
        return ObjectiveNeeds(reference=True, columns=("advantage",))


class OnlineSpec(Spec):
    """Flow matching weighted by the judge's score of what a noisy clip is denoised into (the paper's online form)."""

    spec_name: ClassVar[str] = "objective.online"
    added_later: ClassVar[frozenset[str]] = frozenset({"every"})

    kind: Literal["online"] = "online"
    max_sigma: Annotated[Share, Field(gt=0)] = 0.6
    """Highest noise level at which the judge is asked. Above it a denoised clip is a blur, and the stored score of the
    whole clip counts."""
    normalise: Literal["none", "sigma_bin"] = "none"
    """`sigma_bin` divides each score by the running mean at its noise level, which takes out that all clips look worse
    at high noise; `none` takes scores as they are, which moves the weight to low noise."""
    denoiser: Literal["tuned", "base"] = "tuned"
    """Which model denoises: the one in training, or the frozen one that the round starts from."""
    num_ode_steps: Annotated[int, Field(ge=1, le=4)] = 1
    """Steps from the noise level to 0. More give better frames; each after the first is one more forward pass."""
    every: Size = 1
    """The judge is asked in each so many-th step. In the others the last score that it gave the same clip in the same
    tenth of the noise levels counts, and where there is none the stored one."""
    times_offline: bool = False
    """Multiply the score of the denoised clip by that of the stored one."""
    strength: Positive = 1.0
    """Factor of the loss."""

    def needs(self) -> ObjectiveNeeds:
        """Scores, stored ones and new ones, and the frozen start if that denoises."""
        return ObjectiveNeeds(
            reference=self.denoiser == "base", judge="value", judge_every=self.every, columns=("score",)
        )


class RewardGradientSpec(Spec):
    """Up the gradient of a frozen judge, through the decoder and one denoising step of a stored clip (DRaFT, ReFL)."""

    spec_name: ClassVar[str] = "objective.reward_gradient"

    kind: Literal["reward_gradient"] = "reward_gradient"
    at: Literal["low_noise", "last_step"] = "low_noise"
    """Where a clip is denoised in one step: at noise levels up to `max_sigma`, or at that of the last sampling step."""
    max_sigma: Annotated[Share, Field(gt=0)] = 0.3
    """at: low_noise: the highest noise level. Higher ones are denoised into a blur."""
    last_sigma: Annotated[Share, Field(gt=0)] | None = None
    """at: last_step: its noise level; null for that of `generate.sampler`."""
    clip: Positive | None = 1.0
    """Largest root mean square of the judge's gradient of a clip, in units in which the pull is about that of flow
    matching at 1; null takes the gradient as it is."""
    strength: Positive = 1.0
    """Factor of the loss."""

    def needs(self) -> ObjectiveNeeds:
        """The judge's gradient, at low noise; clips that the judge could not score are left out."""
        at_last = self.last_sigma or 0.0
        levels = (at_last, at_last) if self.at == "last_step" else (0.0, self.max_sigma)
        return ObjectiveNeeds(judge="gradient", sigma_range=levels, columns=("score",))


class ArtSpec(Spec):
    """All takes of a prompt give one direction, along which the model's prediction is to move (DiffusionART)."""

    spec_name: ClassVar[str] = "objective.art"
    added_later: ClassVar[frozenset[str]] = frozenset({"halves", "noise"})

    kind: Literal["art"] = "art"
    gain: Positive = 0.1
    """m: how far the predicted clean latents are to move, as a root mean square; that of latents is about 1."""
    kappa: Literal["one", "sigma", "sigma_squared"] = "sigma"
    """Weight of noise levels: `sigma` pulls as hard at all of them, `sigma_squared` compares clean latents, `one`
    velocities."""
    positions: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1), BeforeValidator(as_tuple)
    ] = (0.95, 0.9, 0.8)
    """Noise levels at which own clips are read, by turns, instead of `train.sigma_density`. At low ones a direction
    that all takes share would be seen as a ghost image."""
    min_gap: Share = 0.05
    """Prompts whose scores differ by no more than this are left out: their direction would be as long as any other."""
    window: Size | None = None
    """Steps after which the old model becomes the tuned one; null keeps the round's start, and so a bound."""
    noise: Literal["new", "own"] = "new"
    """`own` noises a take with the noise that it was sampled from, which its seed gives: at noise level 1 that is the
    state that its sampler began with, and below it the straight line from there to the take, which the sampler's way
    follows roughly. Only for takes of the built-in generator."""
    halves: bool = False
    """Of each two steps, the second reads other takes of the prompts that the first read, as the publication does: the
    first pulls, and the second tells on takes that it did not read how far that went. With `window: 2` both are held
    against the same old model. A prompt's odd take out waits for another epoch."""
    strength: Positive = 1.0
    """Size of the first step's pull; the loss is divided by the gain."""

    @model_validator(mode="after")
    def _windows_hold_both_halves(self) -> Self:
        if self.halves and self.window is not None and self.window % 2:
            raise ValueError(
                "train.objective.halves reads the takes in two steps under one old model: window must be even or null, "
                f"got {self.window}"
            )
        return self

    def needs(self) -> ObjectiveNeeds:
        """The old model, and the direction of each prompt, at high noise."""
        return ObjectiveNeeds(
            reference=True,
            old=None if self.window is None else OldPolicy(rate=0.0, cap=0.0, every=self.window),
            min_gap=self.min_gap,
            halves=self.halves,
            own_noise=self.noise == "own",
            positions=self.positions,
            columns=("score", "direction"),
        )


BuiltInObjective = (
    FlowSpec | NftSpec | DpoSpec | CrdSpec | RvmSpec | AwmSpec | OnlineSpec | RewardGradientSpec | ArtSpec
)
"""The objectives that Rushes has."""
ObjectiveSpec = Annotated[BuiltInObjective | PluginSpec, Field(discriminator="kind")]
"""What a recipe may name."""
