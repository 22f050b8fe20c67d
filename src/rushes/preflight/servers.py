"""One request to every model on a server, as a run would send it: is it there, and does it give what a run needs?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel

from rushes.errors import UserError, nearest
from rushes.findings import Finding, ShowsImages
from rushes.judge.asked import num_frames_for
from rushes.judge.vlm import MIN_FRAMES
from rushes.llm.chat import NO_CHANCES, TOO_LONG, TOO_MANY_IMAGES, ChatReply
from rushes.preflight.plugins import named, usable
from rushes.preflight.probe import PROBE_TIMEOUT_S, Wanted, ask_once, listed_models
from rushes.recipe.dimensions import probed
from rushes.recipe.models import ServerModelSpec, VlmAskingSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.roles import Failed

_IMAGES: Final = ("image", "multimodal", "multi-modal", "mm_per_prompt")


@dataclass(frozen=True)
class Asked:
    """What a recipe asks of one model on a server."""

    setting: str
    """What the recipe sets for whoever asks: "judge.judge", "prompts.writer"."""
    model: ServerModelSpec
    """The model."""
    model_setting: str
    """The setting of the model's name: "judge.judge.model.model"."""
    wanted: Wanted
    """What its replies must be."""
    frames_setting: str = ""
    """The setting of the number of images; empty for plain text."""
    fewest: int = 1
    """Smallest number that this setting can have."""
    least: int | None = None
    """Fewest images that the run sends to a server that allows fewer; None if it sends no fewer."""


def asked_of_servers(recipe: Recipe) -> tuple[Asked, ...]:
    """What each model on a server is asked for, plug-ins' models included; one entry per model, the largest request.

    A model that answers questions and is also shown more images by somebody else has an entry for each.
    """
    found: dict[tuple[ServerModelSpec, bool], Asked] = {}
    plugged = {setting for setting, spec, _ in named(recipe) if isinstance(spec, PluginSpec)}
    for setting, spec in usable(recipe):
        for each in _asked_in(spec, f"{setting}.options" if setting in plugged else setting, recipe):
            kind = each.model, each.wanted.asking is not None
            before = found.get(kind)
            if before is None or each.wanted.num_images > before.wanted.num_images:
                found[kind] = each
    judged = {model: each.wanted.num_images for (model, is_judge), each in found.items() if is_judge}
    return tuple(
        each for (model, is_judge), each in found.items() if is_judge or each.wanted.num_images > judged.get(model, -1)
    )


def _asked_in(spec: object, setting: str, recipe: Recipe) -> Iterator[Asked]:
    if isinstance(spec, VlmAskingSpec):
        if isinstance(spec.model, ServerModelSpec):
            wanted = Wanted(spec, _num_images(spec, recipe), spec.max_side_px, recipe.shape)
            least = MIN_FRAMES if spec.num_frames is None else None
            frames = f"{setting}.num_frames"
            yield Asked(setting, spec.model, f"{setting}.model.model", wanted, frames, least=least)
    elif isinstance(spec, ServerModelSpec):
        yield Asked(setting.removesuffix(".model"), spec, f"{setting}.model", Wanted())
    elif isinstance(spec, BaseModel):
        if isinstance(spec, ShowsImages):
            yield from _shown_by(spec, setting, recipe)
        for name in type(spec).model_fields:
            yield from _asked_in(getattr(spec, name), f"{setting}.{name}", recipe)
    elif isinstance(spec, Sequence) and not isinstance(spec, str):
        for number, each in enumerate(spec):
            yield from _asked_in(each, f"{setting}.{number}", recipe)


def _shown_by(spec: ShowsImages, setting: str, recipe: Recipe) -> Iterator[Asked]:
    diagnose = recipe.diagnose
    # Held-out prompts are of all probed dimensions, unless only those of the focus are measured.
    names = [each.name for each in probed(diagnose)]
    names = [each for each in names if each in diagnose.focus or not (diagnose.focus and recipe.measure.only_focus)]
    for each in spec.images_shown(names, recipe.shape.num_frames):
        if isinstance(each.model, ServerModelSpec):
            who = f"{setting}.{each.name}"
            wanted = Wanted(None, each.num_images, each.max_side_px, recipe.shape)
            frames = f"{setting}.{each.setting}"
            yield Asked(who, each.model, f"{who}.model.model", wanted, frames, each.fewest, each.least)


def _dimensions(recipe: Recipe) -> tuple[str, ...]:
    return recipe.diagnose.focus or tuple(each.name for each in probed(recipe.diagnose))


def _num_images(spec: VlmAskingSpec, recipe: Recipe) -> int:
    """The most images of one request, over the dimensions that the clips may be about."""
    return min(recipe.shape.num_frames, max(num_frames_for(name, spec) for name in _dimensions(recipe)))


def check_servers(recipe: Recipe) -> Iterator[Finding]:
    """Every server is named and can be reached, has the model, and takes and gives what the role needs."""
    for asked in asked_of_servers(recipe):
        if (finding := _probed(asked, recipe)) is not None:
            yield finding


def _probed(asked: Asked, recipe: Recipe) -> Finding | None:
    setting = f"runtime.servers.{asked.model.server}"
    server = recipe.runtime.servers.get(asked.model.server)
    try:
        reply = ask_once(asked.model, recipe.runtime, asked.wanted)
    except UserError as error:
        finding = Finding.of(setting, error)
        names = None if server is None else listed_models(asked.model, server)
        return finding if not names else replace(finding, expected=f"a model of that server: {', '.join(names)}")
    if isinstance(reply, Failed) and reply.error_type != NO_CHANCES:
        return _failed(asked, setting, reply)
    names = None if server is None else listed_models(asked.model, server)
    if names and asked.model.model not in names:
        return _unlisted(asked, setting, names)
    return _without_chances(asked, reply)


def _failed(asked: Asked, setting: str, failed: Failed) -> Finding:
    """A request that the server refuses; a server that is busy or slow now may still be ready when it is needed."""
    who = f"the server {asked.model.server!r} does not answer {asked.setting}"
    if failed.error_type == "Timeout":
        return Finding(
            setting,
            f"{who} within {PROBE_TIMEOUT_S:.0f} s",
            got=failed.message,
            next_step="check that it is not still loading the model",
            is_certain=False,
        )
    if failed.error_type == TOO_MANY_IMAGES:
        return _too_many_images(asked, failed)
    about_images = any(word in failed.message.lower() for word in _IMAGES) or failed.error_type == TOO_LONG
    if asked.wanted.num_images and about_images:
        return Finding(
            asked.frames_setting,
            f"{who} with {asked.wanted.num_images} images in one request",
            expected=f"a server that takes {asked.wanted.num_images} images at once, or fewer frames of each clip",
            got=failed.message,
            next_step=f"--set {asked.frames_setting}={asked.fewest}, or raise the server's limit (vLLM: "
            "--limit-mm-per-prompt); if it takes no image at all, serve a model that sees",
        )
    return Finding(
        setting,
        who,
        got=failed.message,
        next_step=f"check the server and {asked.model_setting}",
        is_certain=failed.error_type.startswith("Http4") or failed.error_type == TOO_LONG,
    )


def _too_many_images(asked: Asked, failed: Failed) -> Finding:
    """The server says how many images it takes; who has frames to choose then shows fewer."""
    allowed = int(failed.message.split()[0])
    higher = "raise the server's limit (vLLM: --limit-mm-per-prompt)"
    return Finding(
        asked.frames_setting,
        f"the server {asked.model.server!r} takes fewer images in one request than {asked.setting} shows frames",
        expected=f"a server that takes {asked.wanted.num_images} images at once, or fewer frames of each clip",
        got=failed.message,
        next_step=f"--set {asked.frames_setting}={allowed}, or {higher}" if allowed >= asked.fewest else higher,
        is_certain=asked.least is None or allowed < asked.least,
    )


def _unlisted(asked: Asked, setting: str, names: Sequence[str]) -> Finding:
    return Finding(
        setting,
        f"the server {asked.model.server!r} answers for the model {asked.model.model!r}, but does not list it: "
        "another model may be answering",
        expected=f"one of {', '.join(names)}",
        got=repr(asked.model.model),
        next_step=f"--set {shlex.quote(f'{asked.model_setting}={nearest(asked.model.model, names) or names[0]}')}",
        is_certain=False,
    )


def _without_chances(asked: Asked, reply: ChatReply | Failed) -> Finding | None:
    given = isinstance(reply, ChatReply) and reply.first_token is not None
    if asked.wanted.asking is None or given:
        return None
    return Finding(
        asked.setting,
        f"the server {asked.model.server!r} gives no log-probabilities: every answer will be a plain yes or no, and "
        "scores will be coarse",
        expected="logprobs and top_logprobs in its replies",
        got="a reply without them",
        next_step="use a server that gives them (vLLM, SGLang, llama.cpp do)",
        is_certain=False,
    )
