"""How much arithmetic the units of a run are: counted once on the loaded model, by torch, in one short run of each.

A FLOP is one multiplication or one addition; matrix products, convolutions and attention are counted, little else is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from rushes.recipe.base import ShapeSpec
from rushes.records import Record, SamplerSettings
from rushes.records.base import Text

if TYPE_CHECKING:
    from rushes.families.family import Family
    from rushes.roles import Judge, JudgeRequest

T = TypeVar("T")
Flops = Annotated[int, Field(ge=0)]


class UnitFlops(Record):
    """Arithmetic of one unit of each kind of work.

    Example:
        UnitFlops(model="9a" * 32, shape="17 x 64 x 64", call=573_063_168, decode=2_530_377_728, encode=1_327_759_360,
                  answer=41_000_000)
    """

    model: Text
    """Name of the base model that was counted."""
    shape: Text
    """Frames x height x width of its clips."""
    call: Flops
    """One call of the transformer for one clip."""
    decode: Flops
    """Decoding one clip."""
    encode: Flops
    """Encoding one clip."""
    answer: Flops | None
    """One question answered by the judge; None where its arithmetic is not to be seen from here."""


def shape_name(shape: ShapeSpec) -> str:
    """Frames x height x width."""
    return f"{shape.num_frames} x {shape.height_px} x {shape.width_px}"


def count_units(
    name: str, family: Family, sampler: SamplerSettings, shape: ShapeSpec, judging: tuple[Judge, JudgeRequest] | None
) -> UnitFlops:
    """Count: one denoising step of one clip, its decoding, its encoding, and its questions.

    Args:
        name: of the base model.
        family: the loaded model.
        sampler: how it is sampled; a single step without guidance is counted.
        shape: of the clips.
        judging: the judge, with a clip and at least one question; None where it cannot be counted.
    """
    one_step = sampler.model_copy(update={"num_steps": 1, "guidance_scale": 1.0})
    latents, of_sampling = _counted(lambda: family.sample([""], [0], one_step, shape))
    frames, of_decoding = _counted(lambda: family.decode(latents))
    _, of_encoding = _counted(lambda: family.encode(frames))
    answer = None
    if judging is not None:
        judge, request = judging
        _, of_judging = _counted(lambda: judge.answer([request]))
        answer = round(of_judging["Global"] / len(request.questions))
    return UnitFlops(
        model=name,
        shape=shape_name(shape),
        # The text is encoded once per prompt, not once per step: only the transformer's part is a call.
        call=of_sampling.get(type(family.transformer).__name__, of_sampling["Global"]),
        decode=of_decoding["Global"],
        encode=of_encoding["Global"],
        answer=answer,
    )


def _counted(do: Callable[[], T]) -> tuple[T, dict[str, int]]:
    """What `do` gives, and the FLOPs of it all ("Global") and of each module by its class."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        result = do()
    counts = {str(name): sum(by_kind.values()) for name, by_kind in counter.get_flop_counts().items()}
    return result, {"Global": counter.get_total_flops(), **counts}
