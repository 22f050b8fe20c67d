"""Every arm that is compared on the sandbox: the demo recipe with a few keys changed, or without any training. A table.

An arm's name is also the name of its outcome's files; changing one means running it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Answers = Literal["judge", "shuffled", "random", "truth"]
"""Whose answers the training clips are scored by, see `lab.substitute`."""


@dataclass(frozen=True)
class Arm:
    """One row of a table."""

    name: str
    """Its name in tables."""
    group: str
    """The table that it belongs to: a name of `GROUPS`."""
    overrides: tuple[str, ...] = ()
    """`--set` arguments on top of the demo recipe."""
    versus: str = ""
    """Name of the arm that it is compared with; empty for none."""
    answers: Answers = "judge"
    """Whose answers its training clips are scored by."""
    best_of: int = 0
    """Above 0 nothing is trained: the judge's favourite of so many takes of the base model is measured."""


@dataclass(frozen=True)
class Group:
    """A table of arms."""

    title: str
    """Its heading."""
    about: str
    """What its arms have in common."""


NUM_PROMPTS: Final = 168
"""Prompts that the model generates clips of for training, as in the demo."""
NUM_STEPS: Final = 400
"""Optimiser steps, as in the demo."""
OBJECTIVES: Final = {
    "online": ("train.objective={kind: online}",),
    "nft": ("train.objective={kind: nft, beta: 0.3, strength: 1.0}", "weights.kind=contrast", "train.shift=6"),
    "dpo": ("train.objective={kind: dpo}",),
    "crd": (),
    "rvm": ("train.objective={kind: rvm}",),
    "awm": ("train.objective={kind: awm}",),
    "art": ("train.objective={kind: art}",),
    "reward_gradient": ("train.objective={kind: reward_gradient}",),
}
"""The objectives with the demo's clips, real clips, steps and schedule; `crd` is the demo's own."""
BEST: Final = ("crd", "nft")
"""The two objectives that controls and variations are run with; set from the table of objectives."""
GROUPS: Final = {
    "objectives": Group(
        "Objectives",
        "The demo's clips, real clips, steps and schedule with every objective, compared with the demo's. Best of 4 "
        "trains nothing: the judge chooses among four takes of the base model, against the mean of the four. What that "
        "costs is for the clips that are measured, and comes again with every clip that is shown.",
    ),
    "tuned": Group(
        "Objectives after the same tuning",
        "Each with the best of six configurations, chosen on development prompts: see the lab book.",
    ),
    "paper": Group(
        "The paper's objectives",
        "The demo's data, steps and schedule, with the objectives that the paper compares, and weights exp(r / "
        "temperature). All arms of a seed train on the same clips and scores.",
    ),
    "controls": Group(
        "Controls",
        "The same clips, steps and objective, and only the answers about the training clips replaced: those of another "
        "take of the same prompt, random ones, or those of the measurer that reports the gain. The last says what a "
        "judge without mistakes would be worth, and is no independent measurement.",
    ),
    "real": Group(
        "Real clips",
        "Half of each batch real clips of all kinds of scenes, none, or 192 of scenes with one thing and one motion.",
    ),
    "guidance": Group(
        "With guidance",
        "Clips generated and measured with guidance 3 or 6, trained on without guidance, after decoding and encoding. "
        "Gains are against the base model with that guidance. The twin with shuffled scores says what of them is "
        "feedback, and plain fine-tuning what training on guided clips does by itself.",
    ),
    "rounds": Group(
        "Several smaller rounds",
        "The demo's clips and steps in two and in four rounds, each on clips of the model that the last one left.",
    ),
    "data": Group(
        "The paper's data",
        "Raw weights on clips that the model generated for written prompts, for captions of real clips, and for both. "
        "The number of clips and of steps is the same. Where captions are used, their real clips are half of each "
        "batch. Then written prompts with real clips whose captions are not used as prompts, and real clips alone, "
        "without any of the model's own and without a judge.",
    ),
    "amount": Group("The number of clips", "The demo with fewer and with more prompts, in as many steps."),
    "realism": Group(
        "The two readings of the realism constraint",
        "Flow matching on the real clips, as the demo has it, and the moments of predicted clean latents drawn towards "
        "those of real ones.",
    ),
    "latents": Group(
        "Which latents to train on",
        "The latents of the model's own clips as they leave the sampler, as the demo has it, or decoded and encoded.",
    ),
}
"""The tables, in the order of the page."""

_EVERYTHING = ("measure.only_focus=false",)
"""Tables of objectives need the focus alone; what is lost elsewhere, and in diversity, is measured for a few arms."""
_NO_REAL = ("train.realism.kind=none",)
_REAL = ("train.realism.kind=real_flow",)
_FLOW = ("train.objective={kind: flow}", "train.anchor=0", "train.lora=null", "num_rounds=1")
_RAW = (*_FLOW, "weights.kind=raw")
_UNIFORM = ("weights.kind=uniform",)
_SIMPLE = ("prompts.real.source={use: 'lab.simple_clips:SimpleClipsSpec'}",)


def _guided(scale: int) -> tuple[str, ...]:
    """Overrides that generate and measure with guidance; training has none."""
    scales = (f"{stage}.sampler.guidance_scale={scale}" for stage in ("generate", "measure"))
    return (*scales, "generate.latents=reencoded")


def _of_captions(num: int) -> tuple[str, ...]:
    """Overrides that make `num` of the prompts captions of real clips."""
    return (f"prompts.num_weakness={NUM_PROMPTS - num}", f"prompts.num_caption={num}")


def _rounds(num: int) -> tuple[str, ...]:
    """Overrides that spread the clips and steps of the demo over rounds."""
    return (f"num_rounds={num}", f"prompts.num_weakness={NUM_PROMPTS // num}", f"train.num_steps={NUM_STEPS // num}")


def _objectives(best: tuple[str, str]) -> tuple[Arm, ...]:
    found = [Arm("best of 4", "objectives", best_of=4, versus=best[0])]
    for name, how in OBJECTIVES.items():
        everything = _EVERYTHING if name in best else ()
        found.append(Arm(name, "objectives", (*how, *everything), "" if name == best[0] else best[0]))
    return tuple(found)


def _paper() -> tuple[Arm, ...]:
    kinds = {
        "plain SFT": "weights.kind=uniform",
        "filtered SFT": "weights.kind=filter",
        "offline re-weighting (raw)": "weights.kind=raw",
        "RWR (exponential)": "weights.kind=exponential",
    }
    found = []
    for name, kind in kinds.items():
        is_plain = name == "plain SFT"
        found.append(Arm(name, "paper", (*_FLOW, kind, *_NO_REAL), "" if is_plain else "plain SFT"))
        # Beside the same real clips, so that a difference is that of the weights.
        like = "plain SFT" if is_plain else "plain SFT + real clips"
        found.append(Arm(f"{name} + real clips", "paper", (*_FLOW, kind, *_REAL), like))
    return tuple(found)


def _data() -> tuple[Arm, ...]:
    first = "synthetic prompts only"
    more = {
        "real captions only": (*_REAL, *_of_captions(NUM_PROMPTS)),
        "both, half and half": (*_REAL, *_of_captions(NUM_PROMPTS // 2)),
        "synthetic prompts, and real clips": _REAL,
        "real clips only, nothing generated": (*_REAL, "train.realism.share=1.0"),
        "simple real clips only, nothing generated": (*_REAL, "train.realism.share=1.0", *_SIMPLE),
    }
    own = Arm(first, "data", (*_RAW, *_NO_REAL))
    return (own, *(Arm(name, "data", (*_RAW, *how), first) for name, how in more.items()))


def _variations(name: str) -> tuple[Arm, ...]:
    """What is varied about one of the best objectives, each compared with it as it is."""
    how = OBJECTIVES[name]
    controls: tuple[tuple[str, Answers], ...] = (
        ("shuffled within prompts", "shuffled"),
        ("random judge", "random"),
        ("truth for the judge", "truth"),
    )
    return (
        *(Arm(f"{name}, {title}", "controls", how, name, answers) for title, answers in controls),
        Arm(f"{name}, no real clips", "real", (*how, *_NO_REAL, *_EVERYTHING), name),
        Arm(f"{name}, real clips of simple scenes", "real", (*how, *_SIMPLE, *_EVERYTHING), name),
        Arm(f"{name}, guidance 3", "guidance", (*how, *_guided(3))),
        Arm(f"{name}, guidance 3, shuffled", "guidance", (*how, *_guided(3)), f"{name}, guidance 3", "shuffled"),
        *(Arm(f"{name}, {num} rounds", "rounds", (*how, *_rounds(num)), name) for num in (2, 4)),
    )


def _demo_variations(best: str) -> tuple[Arm, ...]:
    how = OBJECTIVES[best]
    shares = {"a quarter of the clips": NUM_PROMPTS // 4, "half of the clips": NUM_PROMPTS // 2}
    shares["twice the clips"] = 2 * NUM_PROMPTS
    return (
        *(Arm(name, "amount", (*how, f"prompts.num_weakness={num}"), best) for name, num in shares.items()),
        Arm(f"{best}, guidance 6", "guidance", (*how, *_guided(6))),
        Arm("plain SFT, guidance 3", "guidance", (*_FLOW, *_UNIFORM, *_NO_REAL, *_guided(3)), f"{best}, guidance 3"),
        Arm("moments", "realism", (*how, "train.realism.kind=moments"), best),
        Arm("decoded and encoded again", "latents", (*how, "generate.latents=reencoded"), best),
    )


def arms(best: tuple[str, str] = BEST) -> dict[str, Arm]:
    """All arms by name, in the order of the page.

    Args:
        best: the two objectives that controls and variations are run with.

    Raises:
        KeyError: there is no such objective.
        ValueError: two arms have one name.
    """
    found = [*_objectives(best), *_paper(), *_variations(best[0]), *_variations(best[1])]
    found += [*_data(), *_demo_variations(best[0])]
    named = {arm.name: arm for arm in found}
    if len(named) != len(found):
        raise ValueError(f"expected a name of its own for each arm, got {[arm.name for arm in found]!r}")
    return named
