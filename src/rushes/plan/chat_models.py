"""Language and vision-language models that a recipe runs here: seconds per draft, answer and measurement. Estimates.

A model is counted by the size in its name; servers, plug-ins and models without a size in their names are not.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from rushes.plan.gpus import READING_EFFICIENCY, Gpu
from rushes.plan.work import QUESTIONS_PER_PROMPT
from rushes.plugins import MEASURER, plugin
from rushes.recipe.dimensions import probed
from rushes.recipe.models import LlmWriterSpec, LocalModelSpec, ModelSpec, VlmAskingSpec, VlmJudgeSpec, VlmMeasurerSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe

if TYPE_CHECKING:
    from rushes_vbench.metrics.measurer import VBenchMeasurerSpec

TOKENS_PER_DRAFT: Final = 500
"""Tokens written per draft: base prompt, detailed prompt, questions, the critic's verdict. An assumption."""
TOKENS_PER_REPLY: Final = 200
"""Tokens that VBench-2.0's teller writes about a clip, and its text judge about two texts. An assumption."""
REPLIES_PER_CLIP: Final = 5 / 4
"""Of each of them: two in Human_Interaction, one in the three other dimensions that are told."""
FRAMES_SHOWN: Final = 12
"""Frames that a judge sees of a clip where the recipe leaves it to the dimension: about the mean of their table."""
PATCH_PX: Final = 28
"""Side of what is one token of a frame to the Qwen2.5-VL line, pixels."""
VBENCH_MEASURER: Final = "rushes_vbench.metrics.measurer:VBenchMeasurerSpec"
"""The measurer whose models are known."""


def draft_seconds(recipe: Recipe, gpu: Gpu) -> float | None:
    """One draft by a language model that runs here: its weights are read once a token; None for any other writer."""
    writer = recipe.prompts.writer
    return _writing(writer.model, TOKENS_PER_DRAFT, gpu) if isinstance(writer, LlmWriterSpec) else None


def answer_seconds(recipe: Recipe, gpu: Gpu) -> float | None:
    """One question to a judge that runs here: a pass over what it is shown; None for a server or a plug-in."""
    judge = recipe.judge.judge
    return _asking(judge, recipe, gpu) if isinstance(judge, VlmJudgeSpec) else None


def measurement_seconds(recipe: Recipe, gpu: Gpu) -> float | None:
    """One measurement by models that run here: all questions about a clip, or what VBench-2.0's rules want to know.

    Of VBench-2.0's measurer it is the mean over the recipe's dimensions, and only what its judge, teller and text judge
    take; the number of its questions is taken to be `QUESTIONS_PER_PROMPT`, twice that with negated twins.

    Returns:
        Seconds; None where no model of the measurer can be counted.
    """
    measurer = recipe.measure.measurer
    if isinstance(measurer, VlmMeasurerSpec):
        each = _asking(measurer, recipe, gpu)
        return None if each is None else QUESTIONS_PER_PROMPT * each
    spec = _vbench(recipe)
    if spec is None:
        return None
    from rushes_vbench.metrics.questions import QUESTION_DIMENSIONS
    from rushes_vbench.metrics.telling import TELLING_DIMENSIONS

    num_questions = QUESTIONS_PER_PROMPT * (1 if spec.negated_twins == "none" else 2)
    asked, told = _share(recipe, QUESTION_DIMENSIONS), _share(recipe, TELLING_DIMENSIONS)
    counted: list[float] = []
    if isinstance(spec.judge, VlmJudgeSpec) and (each := _asking(spec.judge, recipe, gpu)) is not None:
        counted.append(asked * num_questions * each)
    # A told dimension without both of them is unscored before anybody is asked.
    if spec.teller is not None and spec.text_judge is not None:
        if not isinstance(spec.teller, PluginSpec):
            shown = min(spec.num_told, recipe.shape.num_frames)
            reading = _reading(spec.teller.model, shown, spec.teller.max_side_px, recipe, gpu)
            writing = _writing(spec.teller.model, min(TOKENS_PER_REPLY, spec.teller.max_tokens), gpu)
            if reading is not None and writing is not None:
                counted.append(told * REPLIES_PER_CLIP * (reading + writing))
        if not isinstance(spec.text_judge, PluginSpec):
            writing = _writing(spec.text_judge.model, min(TOKENS_PER_REPLY, spec.text_judge.max_tokens), gpu)
            if writing is not None:
                counted.append(told * REPLIES_PER_CLIP * writing)
    return sum(counted) if counted else None


def uncounted_measuring(recipe: Recipe, gpu: Gpu) -> str | None:
    """What of a measurement `measurement_seconds` leaves out, in words; None where it leaves nothing out."""
    if measurement_seconds(recipe, gpu) is None:
        return "the measurer"
    spec = _vbench(recipe)
    if spec is None:
        return None
    named = {"judge": spec.judge, "teller": spec.teller, "text_judge": spec.text_judge}
    lost = [
        name for name, each in named.items() if each is not None and parameters(getattr(each, "model", None)) is None
    ]
    return " and ".join(["the measurer's other metrics", *(f"its {name}" for name in lost)])


def measuring_parameters(recipe: Recipe) -> float:
    """Parameters of the measurer's models that run here and can be counted; one that has two roles is loaded once."""
    measurer, spec = recipe.measure.measurer, _vbench(recipe)
    users = (measurer,) if spec is None else (spec.judge, spec.teller, spec.text_judge)
    models = {each for user in users if isinstance(each := getattr(user, "model", None), LocalModelSpec)}
    return sum(parameters(model) or 0.0 for model in models)


def parameters(model: ModelSpec | None) -> float | None:
    """Parameters of a model that runs here, from the size in its name ("7B"); None where it has none."""
    if not isinstance(model, LocalModelSpec):
        return None
    found = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", model.model)
    return float(found[1]) * 1e9 if found else None


def _asking(asked: VlmAskingSpec, recipe: Recipe, gpu: Gpu) -> float | None:
    return _reading(asked.model, asked.num_frames or FRAMES_SHOWN, asked.max_side_px, recipe, gpu)


def _reading(model: ModelSpec, num_frames: int, max_side_px: int, recipe: Recipe, gpu: Gpu) -> float | None:
    """One pass over frames of the recipe's shape, none larger than that."""
    size = parameters(model)
    if size is None:
        return None
    long, short = max(recipe.shape.width_px, recipe.shape.height_px), min(recipe.shape.width_px, recipe.shape.height_px)
    side = min(long, max_side_px)
    tokens = num_frames * max(1, side // PATCH_PX) * max(1, side * short // long // PATCH_PX)
    return gpu.seconds(0.0, 2 * size * tokens)


def _writing(model: ModelSpec, num_tokens: int, gpu: Gpu) -> float | None:
    """So many tokens of one text: the weights, in two bytes each, are read once a token."""
    size = parameters(model)
    return None if size is None else num_tokens * 2 * size / (READING_EFFICIENCY * gpu.bandwidth)


def _vbench(recipe: Recipe) -> VBenchMeasurerSpec | None:
    measurer = recipe.measure.measurer
    if not isinstance(measurer, PluginSpec) or measurer.use != VBENCH_MEASURER:
        return None
    from rushes_vbench.metrics.measurer import VBenchMeasurerSpec

    spec = plugin(measurer, MEASURER)
    return spec if isinstance(spec, VBenchMeasurerSpec) else None


def _share(recipe: Recipe, names: Collection[str]) -> float:
    """Share of the recipe's dimensions that are among `names`."""
    dimensions = [dimension.name for dimension in probed(recipe.diagnose)]
    return sum(name in names for name in dimensions) / max(1, len(dimensions))
