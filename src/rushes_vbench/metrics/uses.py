"""How VBench-2.0's measurer calls chat models: what `rushes plan` counts, and what is tried before a run.

Nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from rushes.findings import Shown
from rushes.plan.chat_models import ChatUse
from rushes.plan.judged import QUESTIONS_PER_PROMPT
from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes_vbench.metrics.anatomy import CROP_PX
from rushes_vbench.metrics.questions import QUESTION_DIMENSIONS
from rushes_vbench.metrics.telling import TELLING_DIMENSIONS
from rushes_vbench.metrics.told import FEWEST_TOLD

if TYPE_CHECKING:
    from rushes_vbench.metrics.measurer import VBenchMeasurerSpec

TOKENS_PER_REPLY: Final = 200
"""Tokens that the teller writes about a clip, and the text judge about two texts. An assumption."""
REPLIES_PER_CLIP: Final = 5 / 4
"""Calls per clip for each of them: two in Human_Interaction, one in the three other described dimensions."""
CROPS_PER_CLIP: Final = 4 * 81
"""Crops that `anomaly: judge` asks about in a clip of Human_Anatomy: one person, a face and two hands in each of 81
frames. An assumption; for the suite's 360 clips that is 117,000 crops."""
_TOKENS_PER_CROP: Final = 4


def chat_uses(spec: VBenchMeasurerSpec, dimensions: Sequence[str]) -> tuple[ChatUse, ...]:
    """The judge, also of crops, the teller and the text judge, if the recipe names them.

    The number of questions per clip is taken as `QUESTIONS_PER_PROMPT`, twice that with negated twins.

    Args:
        spec: the measurer.
        dimensions: names of the recipe's dimensions; a call in some of them counts by their share.
    """
    uses = [] if spec.judge is None else [_asked(spec.judge, spec, _share(dimensions, QUESTION_DIMENSIONS))]
    if spec.judge is not None and spec.anomaly == "judge" and spec.detector:
        uses.append(_crops(spec.judge, spec, _share(dimensions, {"Human_Anatomy"})))
    # A described dimension without both of them is unscored before any model is asked.
    is_told = spec.teller is not None and spec.text_judge is not None
    num_told = _share(dimensions, TELLING_DIMENSIONS) * REPLIES_PER_CLIP * is_told
    if isinstance(spec.teller, PluginSpec):
        uses.append(ChatUse("teller", spec.teller, num_told))
    elif spec.teller is not None:
        num_tokens = min(TOKENS_PER_REPLY, spec.teller.max_tokens)
        uses.append(ChatUse("teller", spec.teller.model, num_told, spec.num_told, spec.teller.max_side_px, num_tokens))
    if isinstance(spec.text_judge, PluginSpec):
        uses.append(ChatUse("text_judge", spec.text_judge, num_told))
    elif spec.text_judge is not None:
        num_tokens = min(TOKENS_PER_REPLY, spec.text_judge.max_tokens)
        uses.append(ChatUse("text_judge", spec.text_judge.model, num_told, num_tokens=num_tokens))
    return tuple(uses)


def images_shown(spec: VBenchMeasurerSpec, dimensions: Sequence[str], num_frames: int) -> tuple[Shown, ...]:
    """What the teller is shown in one request; nothing if it is never asked.

    Args:
        spec: the measurer.
        dimensions: names of the dimensions that clips may be about.
        num_frames: frames of a clip.
    """
    teller = spec.teller
    if teller is None or isinstance(teller, PluginSpec) or spec.text_judge is None:
        return ()
    if not TELLING_DIMENSIONS.intersection(dimensions):
        return ()
    # The official sampling repeats the frames of a short clip.
    num_images = spec.num_told if spec.profile == "compat" else min(spec.num_told, num_frames)
    return (Shown("teller", teller.model, num_images, teller.max_side_px, "num_told", FEWEST_TOLD, spec.least_told),)


def _asked(judge: VlmJudgeSpec | PluginSpec, spec: VBenchMeasurerSpec, share: float) -> ChatUse:
    num_calls = share * QUESTIONS_PER_PROMPT * (1 if spec.negated_twins == "none" else 2)
    if isinstance(judge, PluginSpec):
        return ChatUse("judge", judge, num_calls)
    return ChatUse("judge", judge.model, num_calls, judge.num_frames, judge.max_side_px)


def _crops(judge: VlmJudgeSpec | PluginSpec, spec: VBenchMeasurerSpec, share: float) -> ChatUse:
    """The judge in place of classifiers; a crop alone is shown twice."""
    num_together = spec.crops_together if spec.asks_crops_together else 1
    num_calls = share * CROPS_PER_CLIP / num_together
    if isinstance(judge, PluginSpec):
        return ChatUse("judge of crops", judge, num_calls)
    num_tokens = _TOKENS_PER_CROP * num_together if num_together > 1 else 0
    side = min(judge.max_side_px, CROP_PX[1])
    return ChatUse("judge of crops", judge.model, num_calls, max(2, num_together), side, num_tokens)


def _share(dimensions: Sequence[str], names: Collection[str]) -> float:
    """Share of the recipe's dimensions that are among `names`."""
    return sum(name in names for name in dimensions) / max(1, len(dimensions))
