"""What chat models on this machine cost: seconds per draft, answer and measurement, and memory. Estimates.

A model is counted by the size in its name: one in this process, or on the server that the budget names, which answers
many requests at a time. Other servers, models without a size in their names, and a plug-in's other work are not
counted, and are listed as left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from rushes.feedback import gives
from rushes.plan.counts import work_of
from rushes.plan.gpus import Gpu
from rushes.plan.judged import QUESTIONS_PER_PROMPT, REPLIES
from rushes.plan.prices import Price
from rushes.plugins import JUDGE, MEASURER, WRITER, Role, resolved
from rushes.recipe.dimensions import probed
from rushes.recipe.models import LlmWriterSpec, LocalModelSpec, ServerModelSpec, VlmJudgeSpec, VlmMeasurerSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.roles import Spec

ChatKind = Literal["drafts", "answers", "ratings", "votes", "measurements"]
"""Kinds of work that a chat model may do."""
TOKENS_PER_DRAFT: Final = 500
"""Tokens written per draft: base prompt, detailed prompt, questions, the critic's verdict. An assumption."""
TOKENS_READ_PER_DRAFT: Final = 1600
"""Tokens of the four requests of a draft: template, examples, the prompt so far. An assumption."""
FRAMES_SHOWN: Final = 12
"""Frames per clip shown to a judge if the dimension decides: about the mean over VBench-2.0 and the sandbox."""
PATCH_PX: Final = 28
"""Side of the patch that is one token in the Qwen2.5-VL models, pixels."""
_ROLES: Final[Mapping[ChatKind, Role]] = {
    "drafts": WRITER,
    "answers": JUDGE,
    "ratings": JUDGE,
    "votes": JUDGE,
    "measurements": MEASURER,
}
"""The role that does each kind of work."""
_BESIDE: Final[Mapping[ChatKind, str]] = {
    "drafts": "the writer's other work",
    "answers": "the judge's other work",
    "ratings": "the judge's other work",
    "votes": "the judge's other work",
    "measurements": "the measurer's other metrics",
}
"""A plug-in's work other than its chat models'."""


@dataclass(frozen=True)
class ChatUse:
    """How a role calls one chat model in one unit of its work: a draft, an answer, a measurement."""

    name: str
    """Its name in notes of the plan: "judge"."""
    model: Spec
    """The model. It is counted if it is a `LocalModelSpec` with a size in its name, otherwise listed as not counted."""
    num_calls: float
    """Mean number of calls per unit of work; 0 for a model that is loaded but not called."""
    num_frames: int | None = 0
    """Frames shown per call; None for the number that a judge is usually shown, 0 for texts."""
    max_side_px: int = 448
    """Longest side of a frame as shown, pixels."""
    num_tokens: int = 0
    """Tokens written per call; 0 if the answer is read from the first word."""
    num_read: int = 0
    """Tokens of text read per call; those of frames are counted apart."""


@runtime_checkable
class CallsChatModels(Protocol):
    """What a Spec may offer besides `build`, for estimates."""

    def chat_models(self, dimensions: Sequence[str]) -> Sequence[ChatUse]:
        """The chat models of the role; nothing is loaded.

        Args:
            dimensions: names of the recipe's quality dimensions, assumed to be equally frequent.
        """
        ...


def chat_price(recipe: Recipe, kind: ChatKind, gpu: Gpu) -> Price | None:
    """One draft, reply of a judge or measurement on a GPU; None if nothing of it can be counted.

    Where several judges give replies of the kind, it is their mean: which dimensions are aimed at is not known yet.
    """
    roles = _roles(recipe, kind)
    known: list[list[float]] = []
    left_out: list[str] = []
    for role in roles:
        uses = chat_uses(recipe, role, kind)
        each = [seconds for use in uses if use.num_calls and (seconds := _seconds(use, recipe, gpu)) is not None]
        known += [each] if each else []
        if isinstance(role, PluginSpec) and each:
            left_out += [_BESIDE[kind], *(f"its {use.name}" for use in uses if _counted(use.model, recipe) is None)]
    if not known:
        return None
    left_out += ["judges without a chat model"] if len(known) < len(roles) else []
    seconds = sum(map(sum, known)) / len(known)
    return Price(seconds, f"arithmetic on one {gpu.name}", " and ".join(dict.fromkeys(left_out)))


@dataclass(frozen=True)
class Requests:
    """How often the measurer calls one chat model in a whole run."""

    name: str
    """What it is to the measurer: "judge"."""
    model: str
    """The model's name, or the plug-in that brings it."""
    num: int
    """Calls, all measuring stages together. An estimate."""


def measuring_requests(recipe: Recipe) -> tuple[Requests, ...]:
    """What measuring asks of each chat model, on servers too; empty if the measurer calls none or declares none.

    Raises:
        RecipeError: the measurer is a plug-in that cannot be imported, or its options do not fit.
    """
    num = sum(work.units.get("measurements", 0.0) for work in work_of(recipe))
    kind: ChatKind = "measurements"
    uses = [use for role in _roles(recipe, kind) for use in chat_uses(recipe, role, kind) if use.num_calls]
    named = [getattr(use.model, "model", None) or getattr(use.model, "use", type(use.model).__name__) for use in uses]
    return tuple(
        Requests(use.name, str(name), math.ceil(num * use.num_calls)) for use, name in zip(uses, named, strict=True)
    )


def chat_parameters(recipe: Recipe, kind: ChatKind) -> float:
    """Parameters of the models that run on this machine and can be counted; one with two roles is loaded once."""
    local: set[LocalModelSpec] = set()
    for role in _roles(recipe, kind):
        models = [use.model for use in chat_uses(recipe, role, kind)] or chat_models(role, _ROLES[kind])
        local.update(model for model in models if isinstance(model, LocalModelSpec))
    return sum(parameters(model) or 0.0 for model in local)


def judge_parameters(recipe: Recipe) -> float:
    """`chat_parameters` of all judges, whatever they give: a model stays loaded when the next judge is asked."""
    kinds: tuple[ChatKind, ...] = ("answers", "ratings", "votes")
    return sum(chat_parameters(recipe, kind) for kind in kinds)


def parameters(model: Spec) -> float | None:
    """Parameters of a model that runs on this machine, from the size in its name ("7B"); None for any other."""
    return _size_in(model.model) if isinstance(model, LocalModelSpec) else None


def _size_in(name: str) -> float | None:
    found = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", name)
    return float(found[1]) * 1e9 if found else None


def _counted(model: Spec, recipe: Recipe) -> tuple[float, int] | None:
    """Parameters of a model, and how many texts it writes at a time; None if it is not counted."""
    if isinstance(model, ServerModelSpec) and model.server == recipe.budget.server:
        size, server = _size_in(model.model), recipe.runtime.servers.get(model.server)
        return None if size is None or server is None else (size, server.max_concurrent)
    size = parameters(model)
    return None if size is None else (size, 1)


def chat_models(spec: Spec, role: Role) -> tuple[ServerModelSpec | LocalModelSpec, ...]:
    """The chat models that the fields of a Spec name, at any depth.

    Raises:
        RecipeError: the role is a plug-in that cannot be imported, or its options do not fit.
    """
    return tuple(dict.fromkeys(_named_in(resolved(spec, role))))


def chat_uses(recipe: Recipe, role: Spec, kind: ChatKind) -> Sequence[ChatUse]:
    """How a role that does this kind of work calls chat models; empty if it calls none or does not declare them.

    Raises:
        RecipeError: the role is a plug-in that cannot be imported, or its options do not fit.
    """
    if isinstance(role, LlmWriterSpec):
        return (ChatUse("writer", role.model, 1.0, num_tokens=TOKENS_PER_DRAFT, num_read=TOKENS_READ_PER_DRAFT),)
    if isinstance(role, VlmJudgeSpec | VlmMeasurerSpec):
        num_calls = QUESTIONS_PER_PROMPT if kind == "measurements" else 1
        return (ChatUse("judge", role.model, num_calls, role.num_frames, role.max_side_px),)
    spec = resolved(role, _ROLES[kind])
    if not isinstance(spec, CallsChatModels):
        return ()
    return spec.chat_models([dimension.name for dimension in probed(recipe.diagnose)])


def _roles(recipe: Recipe, kind: ChatKind) -> list[Spec]:
    """Who does this kind of work: one, or the judges that give such replies, each once; nobody if there is none."""
    if kind in ("drafts", "measurements") and not recipe.is_measured:
        return []
    if kind == "drafts":
        return [recipe.prompts.writer]
    if kind == "measurements":
        return [recipe.measure.measurer]
    found: list[Spec] = []
    for judge in () if recipe.prompts.only_real else recipe.judge.named.values():
        if REPLIES[gives(resolved(judge, JUDGE))] == kind and judge not in found:
            found.append(judge)
    return found


def _named_in(value: object) -> Iterator[ServerModelSpec | LocalModelSpec]:
    if isinstance(value, ServerModelSpec | LocalModelSpec):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _named_in(getattr(value, name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _named_in(each)


def _seconds(use: ChatUse, recipe: Recipe, gpu: Gpu) -> float | None:
    """One pass over what is read, frames no larger than the clip's, and one read of the weights per written token.

    Texts that are written at the same time share those reads; the arithmetic of each is then no longer hidden by them.
    """
    counted = _counted(use.model, recipe)
    if counted is None:
        return None
    size, num_at_once = counted
    sides = sorted((recipe.shape.width_px, recipe.shape.height_px))
    side = min(sides[1], use.max_side_px)
    shown = min(FRAMES_SHOWN if use.num_frames is None else use.num_frames, recipe.shape.num_frames)
    tokens = shown * max(1, side // PATCH_PX) * max(1, side * sides[0] // sides[1] // PATCH_PX)
    written = use.num_tokens
    # Each weight takes two bytes, and two operations for each token.
    reading = gpu.reading_seconds(2 * size * written / num_at_once)
    return use.num_calls * (
        gpu.seconds(0.0, 2 * size * (tokens + use.num_read)) + max(reading, gpu.seconds(0.0, 2 * size * written))
    )
