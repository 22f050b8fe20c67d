"""A model card for the Hub: what the model is, what was measured, how to run it. All its content comes from the run."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from rushes.display.words import points, readable, rule
from rushes.export.gallery import Sample
from rushes.export.snippet import Snippet
from rushes.export.source import SHORT, Source
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import TrainSpec
from rushes.records import DimensionRow, SamplerSettings, Scorecard
from rushes.report.claims import claims_of_run, verdict_word

Form = Literal["lora", "transformer", "pipeline"]
TAGS: Final = ("text-to-video", "diffusers", "diffusers-training", "rushes", "reward-weighted")


@dataclass(frozen=True)
class Card:
    """The content of a model card."""

    title: str
    """Name of the model."""
    form: Form
    """What the folder holds."""
    base_name: str
    """The base model's `Base.public_name`."""
    base_is_on_hub: bool
    """True if `base_name` is a Hub id."""
    licence: str
    """SPDX-like tag of the Hub: apache-2.0, mit, other, ..."""
    snippet: Snippet
    """Code that loads the model and generates a clip."""
    samples: Sequence[Sample]
    """The gallery."""
    adapter: str
    """What the adapter keeps, in a sentence; empty for full weights."""
    strength: float
    """How much of the change is applied."""


def render_card(card: Card, source: Source, scorecard: Scorecard) -> str:
    """README.md: a YAML header for the Hub, then Markdown. Text from users is escaped."""
    recipe, checkpoint, header = source.recipe, source.checkpoint, source.run.header
    return (
        markdown_environment()
        .get_template("card.md.j2")
        .render(
            header=yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True, width=1000),
            card=card,
            claims=claims_of_run(scorecard, source.run.home).text.replace("\u2212", "-"),
            rows=[_row(row, verdict_word(row, scorecard)) for row in scorecard.rows],
            scorecard=scorecard,
            readable=readable,
            rule=rule(len(scorecard.rows)),
            settings=sampler_settings(recipe),
            training=training_facts(recipe, len(source.chain)),
            is_held_to_reality=recipe.training.realism.kind != "none",
            only_real=recipe.prompts.only_real,
            checkpoint=checkpoint.key[:SHORT],
            version=header.rushes_version,
            commit=header.commit,
            is_dirty=bool(header.dirty),
        )
    )


def markdown_environment() -> Environment:
    """The templates of cards. Markdown is not HTML: all text from users goes through `md` in them."""
    environment = Environment(
        loader=PackageLoader("rushes.export"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = md
    return environment


def front_matter(card: Card) -> dict[str, Any]:
    """The header that the Hub reads."""
    found: dict[str, Any] = {"license": card.licence, "library_name": "diffusers", "pipeline_tag": "text-to-video"}
    if card.base_is_on_hub:
        found["base_model"] = card.base_name
        found["base_model_relation"] = "adapter" if card.form == "lora" else "finetune"
    found["tags"] = [*TAGS, *(("lora", "template:sd-lora") if card.form == "lora" else ())]
    if card.samples:
        found["widget"] = [{"text": sample.prompt, "output": {"url": sample.after}} for sample in card.samples]
    return found


def sampler_settings(recipe: Recipe) -> list[tuple[str, str]]:
    """Name and value of every setting that decides a clip, as used for the measured clips."""
    sampler: SamplerSettings = recipe.measure.sampler
    shape = recipe.shape
    return [
        ("scheduler", sampler.scheduler),
        ("steps", str(sampler.num_steps)),
        ("guidance scale", f"{sampler.guidance_scale:g}"),
        *([] if sampler.guidance_scale_2 is None else [("at low noise", f"{sampler.guidance_scale_2:g}")]),
        ("flow shift", f"{sampler.shift:g}"),
        ("negative prompt", sampler.negative_prompt or "(empty)"),
        ("number format", sampler.precision),
        ("size", f"{shape.width_px} x {shape.height_px} px, {shape.num_frames} frames at {shape.fps:g} fps"),
        ("text length", f"{recipe.base.max_tokens} tokens"),
    ]


def training_facts(recipe: Recipe, num_rounds: int) -> list[tuple[str, str]]:
    """Name and value of what a reader needs to know about the training."""
    train = recipe.train
    method = "all weights" if train.lora is None else f"adapter of rank {train.lora.rank}, alpha {train.lora.alpha}"
    learned_from = [
        ("prompts per round", f"{recipe.prompts.num_weakness}, {recipe.generate.num_takes} takes each"),
        ("judge", recipe.judge.judge.kind),
        ("weighting", recipe.weights.kind),
        ("realism constraint", f"{train.realism.kind}, coefficient {train.realism.coefficient:g}"),
    ]
    if recipe.prompts.only_real:
        learned_from = [("trained on", "videos of its owner"), ("objective", train.objective.kind)]
    return [
        ("rounds", str(num_rounds)),
        *learned_from,
        ("trained", method),
        *([("merged", f"{train.merge:g} of each round's change is kept")] if train.merge < 1 else []),
        ("steps", f"{_length(train)} per round, {train.batch_size} clips each"),
        ("learning rate", f"{train.learning_rate:g}, {train.schedule}"),
    ]


def _length(train: TrainSpec) -> str:
    return str(train.steps) if train.num_epochs is None else f"{train.num_epochs:g} epochs"


def md(text: str) -> str:
    """Text from a user as plain words in Markdown: one line, no HTML, no markup."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]{}|#~!])", r"\\\1", html.escape(line, quote=False))


def _row(row: DimensionRow, verdict: str) -> dict[str, str]:
    return {
        "name": f"{md(readable(row.dimension))}{' (aimed at)' if row.is_focus else ''}",
        "before": f"{100 * row.before:.1f}",
        "after": f"{100 * row.after:.1f}",
        "gain": points(row.gain),
        "interval": f"{points(row.gain_low)} to {points(row.gain_high)}",
        "verdict": verdict,
    }
