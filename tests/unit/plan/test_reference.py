"""The reference GPU: counts against counting by hand, the efficiency against the published timing it is taken from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rushes.families.load import load_family
from rushes.plan.flops import UnitFlops, count_units
from rushes.plan.reference import (
    EFFICIENCY,
    PEAK,
    RunFacts,
    film_flops,
    reference_costs,
    reference_seconds,
    step_flops,
)
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import BlobRef, Checkpoint, Clip, SamplerSettings
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes.store.identity import work_key
from tests.support.tiny_recipe import SAMPLER
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

UNIT = UnitFlops(model="m", shape="s", call=1000, decode=70, encode=30, answer=7)


def by_hand(tokens: int, width: int, ffn: int, layers: int, text: int, text_width: int) -> int:
    """FLOPs of a Wan transformer's blocks: linear layers and both attentions, two per multiply-accumulate."""
    self_attention = 4 * width * width * tokens + 2 * tokens * tokens * width
    cross_attention = 2 * width * width * tokens + 2 * width * width * text + 2 * tokens * text * width
    feed_forward = 2 * width * ffn * tokens
    return 2 * layers * (self_attention + cross_attention + feed_forward) + 2 * text * (text_width + width) * width


def clip(index: int, guidance: float, num_steps: int, real: bool = False) -> Clip:
    sampler = SamplerSettings(num_steps=num_steps, guidance_scale=guidance, shift=1.0, scheduler="S")
    return Clip(
        key=work_key("clip", None, index=index), prompt_key=work_key("prompt", None), dimension="d", seed=1,
        seed_index=index, model="m", origin="real" if real else "model", sampler=None if real else sampler,
        height_px=8, width_px=8, num_frames=5, fps=8.0, seconds=0.0,
        video=BlobRef(sha256=work_key("blob", "v"), suffix=".safetensors", num_bytes=1),
    )  # fmt: skip


def checkpoint(step: int) -> Checkpoint:
    weights = BlobRef(sha256=work_key("blob", "w"), suffix=".safetensors", num_bytes=1)
    return Checkpoint(
        key=work_key("checkpoint", None, index=step), step=step, kind="full", ema=True, weights=weights, seconds=0.0
    )


def test_the_efficiency_is_that_of_the_published_timing() -> None:
    """Wan2.1-T2V-1.3B, 832 x 480 x 81, 50 steps with guidance: about 95 s a clip on one H200."""
    call = by_hand(tokens=21 * 30 * 52, width=1536, ffn=8960, layers=30, text=512, text_width=4096)
    assert 2 * 50 * call / 95 / PEAK == pytest.approx(EFFICIENCY, abs=0.02)
    assert reference_seconds(2 * 50 * call) == pytest.approx(95, rel=0.06)


class CountedJudge:
    """Answers with one matrix product of known size."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        import torch

        torch.ones(10, 20) @ torch.ones(20, 30)
        return [tuple(GivenAnswer(0.5) for _ in request.questions) for request in requests]


def test_a_model_is_counted_as_by_hand(tmp_path: Path) -> None:
    import numpy as np

    from tests.support.judged import make_question

    family = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path)), max_tokens=16))
    request = JudgeRequest(
        Video(np.zeros((5, 32, 32, 3), np.uint8), 8.0), "text", (make_question("a?"), make_question("b?"))
    )
    found = count_units("m", family, SAMPLER, TINY_SHAPE, (CountedJudge(), request))
    hand = by_hand(tokens=2 * 2 * 2, width=24, ffn=32, layers=1, text=16, text_width=16)
    # Beside the blocks: patches in and out, and what is made of the timestep.
    assert hand < found.call < 1.6 * hand
    assert found.answer == 2 * 10 * 20 * 30 / 2
    assert found.decode > found.call and found.encode > found.call
    assert found.shape == "5 x 32 x 32"
    assert count_units("m", family, SAMPLER, TINY_SHAPE, None).answer is None


def test_clips_cost_their_steps_and_real_ones_nothing() -> None:
    clips = [clip(0, 1.0, 10), clip(1, 5.0, 10), clip(2, 0.0, 1, real=True)]
    assert film_flops(clips, UNIT, BaseModelSpec()) == (10 * 1000 + 70) + (20 * 1000 + 70)
    distilled = BaseModelSpec(family="hunyuan")
    assert film_flops(clips, UNIT, distilled) == 2 * (10 * 1000 + 70)


def test_a_step_is_three_passes_two_for_an_adapter_and_one_more_beside_the_base() -> None:
    assert step_flops(TrainSpec(batch_size=4), UNIT) == 3 * 4 * 1000
    assert step_flops(TrainSpec(batch_size=4, lora=LoraSpec()), UNIT) == 2 * 4 * 1000
    assert step_flops(TrainSpec(batch_size=4, anchor=0.1), UNIT) == 4 * 4 * 1000


def test_stages_without_a_count_are_not_known_and_small_models_have_a_lower_bound() -> None:
    recipe = Recipe(train=TrainSpec(batch_size=2))
    facts = RunFacts([clip(0, 1.0, 10)], [checkpoint(5), checkpoint(7)], num_answers=3, num_encoded=2)
    found = {each.stage: each for each in reference_costs(UNIT, facts, recipe)}
    speed = PEAK * EFFICIENCY
    assert found["clips"].seconds == pytest.approx(10_070 / speed)
    assert found["answers"].seconds == pytest.approx(21 / speed)
    assert found["checkpoints"].seconds == pytest.approx((12 * 3 * 2 * 1000 + 60) / speed)
    assert found["clips"].is_at_least
    assert (found["prompts"].seconds, found["measurements"].seconds) == (None, None)
    large = UNIT.model_copy(update={"call": 10**13, "answer": None})
    grown = {each.stage: each for each in reference_costs(large, facts, recipe)}
    assert grown["answers"].seconds is None
    assert not grown["clips"].is_at_least
