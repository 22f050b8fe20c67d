"""The reference GPU: counts against counting by hand, its price against the published timing and the plan's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rushes.families.load import load_family
from rushes.plan.arithmetic import UnitFlops, arithmetic_of, count_answer, count_units, step_flops
from rushes.plan.calls import sampler_calls
from rushes.plan.counts import units_done, work_of
from rushes.plan.gpus import LINEAR_EFFICIENCY, find_gpu
from rushes.plan.models import known_model
from rushes.plan.plan import plan_on
from rushes.plan.reference import GPU, reference_costs
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.load import load_recipe
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe, as_draft
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import (
    Answer,
    BlobRef,
    Checkpoint,
    Clip,
    Measurement,
    Prompt,
    Question,
    Sample,
    SamplerSettings,
    Scored,
)
from rushes.records.expensive import Origin
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Video
from rushes.store.identity import work_key
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_recipe import SAMPLER
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

UNIT = UnitFlops(model="m", shape="s", attention=400, linear=600, decode=70, encode=30, answer=7)


def by_hand(tokens: int, width: int, ffn: int, layers: int, text: int, text_width: int) -> tuple[int, int]:
    """FLOPs of a Wan transformer's blocks, two per multiply-accumulate: both attentions, and the linear layers."""
    attention = 2 * tokens * tokens * width + 2 * tokens * text * width
    projections = 4 * width * width * tokens + 2 * width * width * tokens + 2 * width * width * text
    feed_forward = 2 * width * ffn * tokens
    embedding = 2 * text * (text_width + width) * width
    return 2 * layers * attention, 2 * layers * (projections + feed_forward) + embedding


def clip(index: int, sampler: SamplerSettings | None, *, decoded: bool = True) -> Clip:
    blob = BlobRef(sha256=work_key("blob", "v"), suffix=".safetensors", num_bytes=1)
    return Clip(
        key=work_key("clip", None, index=index), prompt_key=work_key("prompt", None), dimension="d", seed=1,
        seed_index=index, model="m", origin="real" if sampler is None else "model", sampler=sampler,
        height_px=8, width_px=8, num_frames=5, fps=8.0, seconds=0.0,
        video=blob if decoded else None, latents=None if decoded else blob,
    )  # fmt: skip


def sampled(guidance: float, num_steps: int) -> SamplerSettings:
    return SamplerSettings(num_steps=num_steps, guidance_scale=guidance, shift=1.0, scheduler="S")


def checkpoint(index: int, step: int) -> Checkpoint:
    weights = BlobRef(sha256=work_key("blob", "w"), suffix=".safetensors", num_bytes=1)
    return Checkpoint(
        key=work_key("checkpoint", None, index=index), step=step, kind="full", ema=True, weights=weights, seconds=0.0
    )


def answer(index: int) -> Answer:
    return Answer(
        key=work_key("answer", None, index=index), clip_key=work_key("clip", None), p_yes=0.5, judge="j",
        question=Question(text="a?", expected="yes", dimension="d", about="test"),
    )  # fmt: skip


def prompt(index: int, origin: Origin) -> Prompt:
    return Prompt(
        key=work_key("prompt", origin, index=index), text="t", base_text="t", dimension="d", origin=origin, index=index
    )


def measurement(index: int) -> Measurement:
    return Measurement(
        key=work_key("measurement", None, index=index), subject=(work_key("clip", None),), dimension="d",
        prompt_key=work_key("prompt", None), measurer="m", outcome=Scored(value=1.0),
    )  # fmt: skip


def sample(index: int, *, real: bool) -> Sample:
    key = work_key("clip", None, index=index)
    return Sample(clip_key=key, prompt_key=key, weight=1.0, source="real" if real else "own", dimension="d")


def test_the_efficiencies_are_those_of_the_published_timing() -> None:
    """Wan2.1-T2V-1.3B, 832 x 480 x 81, 50 steps with guidance: about 95 s a clip on one H200."""
    attention, linear = by_hand(tokens=21 * 30 * 52, width=1536, ffn=8960, layers=30, text=512, text_width=4096)
    assert GPU == find_gpu("H200")
    assert GPU.seconds(2 * 50 * attention, 2 * 50 * linear) == pytest.approx(95, rel=0.05)


class CountedJudge:
    """Answers with one matrix product of known size."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        import torch

        torch.ones(10, 20) @ torch.ones(20, 30)
        return [tuple(GivenAnswer(0.5) for _ in request.questions) for request in requests]


class AttendingJudge:
    """Answers with attention between 8 tokens in 2 heads of width 16, by whatever kernel the machine has."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        import torch

        tokens = torch.ones(1, 2, 8, 16)
        torch.nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return [tuple(GivenAnswer(0.5) for _ in request.questions) for request in requests]


class OutsideJudge:
    """Answers with what somebody else has computed."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [tuple(GivenAnswer(0.5) for _ in request.questions) for request in requests]


def test_a_model_is_counted_as_by_hand(tmp_path: Path) -> None:
    family = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path)), max_tokens=16))
    found = count_units("m", family, SAMPLER, TINY_SHAPE)
    attention, linear = by_hand(tokens=2 * 2 * 2, width=24, ffn=32, layers=1, text=16, text_width=16)
    assert found.attention == attention
    # Beside the blocks: patches in and out, and what is made of the timestep.
    assert linear < found.linear < 1.6 * linear
    assert found.decode > found.call and found.encode > found.call
    assert found.shape == "5 x 32 x 32"
    assert found.answer is None


def test_a_judge_is_counted_by_the_question_where_it_computes_here() -> None:
    import numpy as np

    from tests.support.judged import make_question

    questions = (make_question("a?"), make_question("b?"))
    request = JudgeRequest(Video(np.zeros((5, 32, 32, 3), np.uint8), 8.0), "text", questions)
    assert count_answer(CountedJudge(), request) == 2 * 10 * 20 * 30 / 2
    assert count_answer(AttendingJudge(), request) == 2 * (2 * 2 * 8 * 8 * 16) / 2
    assert count_answer(OutsideJudge(), request) is None, "not seen is not zero"


def test_clips_cost_their_steps_and_real_ones_nothing() -> None:
    clips = [clip(0, sampled(1.0, 10)), clip(1, sampled(5.0, 10)), clip(2, None)]
    assert sampler_calls(clips, BaseModelSpec(model="m")) == 10 + 20
    assert sampler_calls(clips, BaseModelSpec(model="m", family="hunyuan")) == 10 + 10


def test_a_step_is_three_passes_two_for_an_adapter_and_one_more_beside_the_base() -> None:
    assert step_flops(UNIT, TrainSpec(), 0.0) == (3.5 * 400, 3 * 600)
    assert step_flops(UNIT, TrainSpec(lora=LoraSpec()), 0.0) == (3.5 * 400, 2 * 600)
    assert step_flops(UNIT, TrainSpec(anchor=0.1), 0.0) == (4.5 * 400, 4 * 600)
    assert step_flops(UNIT, TrainSpec(), 0.5) == (4 * 400, 3.5 * 600)
    both = TrainSpec.model_validate({"anchor": 0.1, "objective": {"kind": "dpo"}})
    assert step_flops(UNIT, both, 0.0) == (4.5 * 400, 4 * 600)
    assert step_flops(UNIT, both, 0.0, num_rounds=2) == (5 * 400, 4.5 * 600), "the base beside the start, in one of two"


def test_what_a_run_has_done_is_counted_from_its_records(tmp_path: Path) -> None:
    recipe = sandbox_recipe(train=TrainSpec(batch_size=2), num_rounds=2)
    with Run.open(tmp_path / "run", recipe) as run:
        run.prompts.land([prompt(0, "probe"), prompt(0, "weakness"), prompt(1, "weakness"), prompt(0, "caption")])
        run.clips.land([clip(0, sampled(1.0, 10)), clip(1, sampled(1.0, 10), decoded=False), clip(2, None)])
        run.answers.land([answer(0), answer(1), answer(2)])
        run.checkpoints.land([checkpoint(0, 5), checkpoint(1, 7)])
        for number in range(2):
            run.write_derived(f"samples-{number}", [sample(0, real=False), sample(2, real=True)])
        found = units_done(run, recipe)
        as_sampled = recipe.model_copy(update={"generate": recipe.generate.model_copy(update={"latents": "sampler"})})
        brought = recipe.measure.model_copy(update={"suite": PluginSpec(use="vbench2")})
        suite = recipe.model_copy(update={"measure": brought})
        assert units_done(run, as_sampled)["checkpoints"]["encodes"] == 2
        assert units_done(run, suite)["prompts"] == {"drafts": 2}
    assert found == {
        "prompts": {"drafts": 3},
        "clips": {"clip_calls": 20, "decodes": 1},
        "answers": {"answers": 3},
        "measurements": {"measurements": 0},
        "checkpoints": {"train_clips": 24, "encodes": 4},
    }


def test_stages_without_a_count_are_not_known_and_small_models_have_a_lower_bound() -> None:
    recipe = sandbox_recipe(train=TrainSpec(batch_size=2))
    done = {
        "prompts": {"drafts": 5.0},
        "clips": {"clip_calls": 10.0, "decodes": 1.0},
        "answers": {"answers": 3.0},
        "measurements": {"measurements": 4.0},
        "checkpoints": {"train_clips": 24.0, "encodes": 2.0},
    }
    found = {each.stage: each for each in reference_costs(done, UNIT, recipe)}  # type: ignore[arg-type]
    assert found["clips"].seconds == pytest.approx(GPU.seconds(10 * 400, 10 * 600 + 70))
    assert found["answers"].seconds == pytest.approx(21 / (GPU.peak * LINEAR_EFFICIENCY))
    assert found["checkpoints"].seconds == pytest.approx(GPU.seconds(24 * 3.5 * 400, 24 * 3 * 600 + 60))
    assert found["clips"].is_at_least
    assert (found["prompts"].seconds, found["measurements"].seconds) == (None, None)
    large = UNIT.model_copy(update={"linear": 10**13, "answer": None})
    grown = {each.stage: each for each in reference_costs(done, large, recipe)}  # type: ignore[arg-type]
    assert grown["answers"].seconds is None
    assert not grown["clips"].is_at_least


def test_a_part_that_is_not_counted_makes_the_rest_a_lower_bound() -> None:
    options = "{judge: {kind: vlm, model: {kind: transformers, model: somebody/eyes-7B}}}"
    recipe = load_recipe("wan2.1-1.3b", [f"measure.measurer.options={options}"])
    large = UNIT.model_copy(update={"linear": 10**13})
    (found,) = reference_costs({"measurements": {"measurements": 4.0}}, large, recipe)
    assert found.seconds and found.is_at_least
    assert found.basis == "the chat models of the measurer; without the measurer's other metrics"


def test_drafts_of_a_model_that_was_counted_are_their_share_of_the_pixels() -> None:
    recipe = load_recipe("sandbox", ["generate.draft={num_frames: 5}"])
    found = arithmetic_of(recipe, UNIT.model_copy(update={"linear": 1700}))
    assert (found.unit.linear, found.draft.linear) == (1700, 500)  # 5 of 17 frames
    assert found.size is not None and found.size.num_layers > 0


# ---------------------------------------------------------------------------------------------- one cost model

SMALL = [
    "num_rounds=2", "diagnose.dimensions=[Composition]", "diagnose.num_prompts=1", "prompts.num_weakness=2",
    "prompts.num_caption=1", "prompts.real.num_clips=3", "train.num_held_out=0", "generate.num_takes=2",
    "generate.draft={num_frames: 49, num_steps: 20}", "measure.suite=null", "measure.num_prompts=1",
    "measure.num_diversity_prompts=0", "train.num_steps=5",
    "measure.measurer={kind: vlm, model: {kind: transformers, model: OpenGVLab/InternVL3-8B-hf}}",
]  # fmt: skip


def as_planned(home: Path, recipe: Recipe) -> Run:
    """A run that has done exactly what the plan counts."""
    work = {each.stage: each for each in work_of(recipe)}
    run = Run.open(home, recipe)
    num_prompts = round(sum(each.units.get("drafts", 0) for each in work.values()))
    run.prompts.land([prompt(index, "weakness") for index in range(num_prompts)])
    samplers = {"diagnose": recipe.measure.sampler, "generate": recipe.generate.sampler, "prompts": None}
    made = [
        samplers.get(stage, recipe.measure.sampler)
        for stage, each in work.items()
        for _ in range(each.tables.get("clips", 0))
    ]
    run.clips.land([clip(index, sampler) for index, sampler in enumerate(made)])
    own = [clip(index, as_draft(recipe).generate.sampler) for index in range(work["draft"].num_items)]
    run.table("draft_clips", Clip).land(own)
    for table, record_type, make in (("answers", Answer, answer), ("draft_answers", Answer, answer)):
        num = sum(each.tables.get(table, 0) for each in work.values())
        run.table(table, record_type).land([make(index) for index in range(num)])
    num = sum(each.tables.get("measurements", 0) for each in work.values())
    run.measurements.land([measurement(index) for index in range(num)])
    run.checkpoints.land([checkpoint(index, recipe.train.num_steps) for index in range(recipe.num_rounds)])
    num_own = (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
    for number in range(recipe.num_rounds):
        real = [sample(index, real=True) for index in range(recipe.prompts.real.num_clips)]
        run.write_derived(f"samples-{number}", [*real, *(sample(9 + i, real=False) for i in range(num_own))])
    return run


@pytest.mark.parametrize("changes", [[], ["train.lora={rank: 4}", "runtime.train.recompute=half", "train.anchor=0.1"]])
def test_the_report_and_the_plan_agree_on_what_a_run_takes(changes: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("wan2.1-1.3b", [*SMALL, *changes])
    plan = plan_on(recipe, known_model(recipe, otherwise=""), GPU)
    assert all(stage.seconds and not stage.left_out for stage in plan)
    counted = UNIT.model_copy(update={"answer": None})  # a released model goes by its formulas
    with as_planned(tmp_path / "run", recipe) as run:
        done = reference_costs(units_done(run, recipe), counted, recipe)
    assert sum(each.seconds or 0.0 for each in done) == pytest.approx(sum(stage.seconds or 0.0 for stage in plan))
    by_table = {each.stage: each.seconds for each in done}
    by_stage = {each.stage: each.seconds for each in plan}
    assert by_table["checkpoints"] == pytest.approx(by_stage["train"])
