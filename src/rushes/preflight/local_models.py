"""Checks of language and vision-language models that run in this process: named rightly, and here or on the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from rushes.errors import UserError
from rushes.findings import Finding
from rushes.judge.asked import num_frames_for
from rushes.judge.gradient import PixelRequest
from rushes.llm.pretrained import explained, source
from rushes.plugins import objective_needs
from rushes.preflight.plugins import usable
from rushes.recipe.models import LocalModelSpec, VlmJudgeSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Question


def check_local_models(recipe: Recipe) -> Iterator[Finding]:
    """A folder, a file or a package that is named exists."""
    for setting, model in _named(recipe):
        try:
            source(model, recipe.runtime)
        except UserError as error:
            yield Finding.of(setting, error)


def check_model_configs(recipe: Recipe) -> Iterator[Finding]:
    """The model's configuration can be read, from this machine or the Hub; it is a small file."""
    for setting, model in _named(recipe):
        try:
            place, options = source(model, recipe.runtime)
        except UserError:  # see `check_local_models`
            continue
        if "gguf_file" in options:
            continue
        try:
            _read_config(model, place, options)
        except UserError as error:
            yield Finding.of(setting, error)


def check_judge_pixels(recipe: Recipe) -> Iterator[Finding]:
    """A gradient passes through the processor of a judge whose gradient training needs; no weights are loaded."""
    judge = recipe.judge.judge
    try:
        needed = objective_needs(recipe.train).judge == "gradient"
    except UserError:  # see `check_plugins`
        return
    if not needed or not isinstance(judge, VlmJudgeSpec) or not isinstance(judge.model, LocalModelSpec):
        return
    from rushes.judge.vlm_local import LocalVlmJudge
    from rushes.judge.vlm_model import local_vlm
    from rushes.judge.vlm_pixels import waves

    shape = recipe.shape
    question = Question(text="Is it there?", expected="yes", dimension="any", about="presence")
    clip = PixelRequest(waves(shape.num_frames, shape.height_px, shape.width_px), shape.fps, "", (question,))
    try:
        tried = LocalVlmJudge(judge, local_vlm(judge.model, recipe.runtime))
        tried.pixel_inputs(clip, clip.questions, num_frames_for(question.dimension, judge))
    except UserError as error:
        yield Finding.of("judge.judge", error)


def _read_config(model: LocalModelSpec, place: str, options: dict[str, Any]) -> None:
    from transformers import AutoConfig

    explained(model, "the model", lambda: AutoConfig.from_pretrained(place, **options))


def _named(recipe: Recipe) -> Iterator[tuple[str, LocalModelSpec]]:
    """The setting that names each model for the first time, and the model."""
    found: dict[LocalModelSpec, str] = {}
    for setting, spec in usable(recipe):
        for model in _local_in(spec):
            found.setdefault(model, setting)
    for model, setting in found.items():
        yield setting, model


def _local_in(spec: object) -> Iterator[LocalModelSpec]:
    if isinstance(spec, LocalModelSpec):
        yield spec
    elif isinstance(spec, BaseModel):
        for name in type(spec).model_fields:
            yield from _local_in(getattr(spec, name))
