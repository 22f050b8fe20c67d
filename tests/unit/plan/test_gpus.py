"""Estimates for real models: held to published times, to a count of the work, and to what they must not claim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rushes.errors import RecipeError
from rushes.families.offload import Offload
from rushes.families.recompute import Recompute
from rushes.plan.arithmetic import arithmetic_of, prices_on, released_units, step_flops
from rushes.plan.calls import calls_per_clip
from rushes.plan.chat_models import ChatKind, chat_parameters, chat_price
from rushes.plan.gpu_memory import gpu_generate_bytes, gpu_peak_bytes, gpu_train_bytes, offload_on
from rushes.plan.gpus import GPUS, USUAL, find_gpu
from rushes.plan.models import real_model
from rushes.plan.plan import hours_on, plan_on
from rushes.plan.prices import cost
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe, as_draft
from rushes_vbench.metrics.uses import REPLIES_PER_CLIP

WAN = "wan2.1-1.3b"
H200 = find_gpu("H200")


def seconds_of(recipe: Recipe) -> dict[str, float | None]:
    model = real_model(recipe)
    assert model is not None
    return {stage.stage: stage.seconds for stage in plan_on(recipe, model, H200)}


def clip_seconds(recipe: Recipe) -> float:
    """One clip on one H200, sampled and decoded."""
    calls = calls_per_clip(recipe.generate.sampler, recipe.base)
    return cost({"clip_calls": calls, "decodes": 1}, prices_on(recipe, arithmetic_of(recipe), H200)).seconds


def chat_seconds(recipe: Recipe, kind: ChatKind) -> float | None:
    price = chat_price(recipe, kind, H200)
    return None if price is None else price.seconds


def test_a_clip_of_wan_takes_the_published_time() -> None:
    """95 s of denoising on one H200; the estimate decodes too."""
    assert clip_seconds(load_recipe(WAN)) == pytest.approx(95, rel=0.05)


def test_a_step_is_within_a_factor_of_two_of_the_published_one() -> None:
    """SimpleTuner's table: batch 1 with an adapter on one H100, 1.41 s without checkpointing and 2.10 s with."""
    recipe = load_recipe("wan2.1-1.3b-lora-24gb", ["train.batch_size=1", "train.num_accumulation=1"])
    unit = released_units(recipe)
    assert unit is not None
    for recomputed, published in ((0.0, 1.41), (1.0, 2.10)):
        step = step_flops(unit, recipe.train, recomputed)
        assert published <= find_gpu("H100").seconds(*step) <= 2.2 * published


def test_time_follows_the_work() -> None:
    base = seconds_of(load_recipe(WAN))
    twice = seconds_of(load_recipe(WAN, ["prompts.num_weakness=16625"]))  # 9,500 clips more
    assert base["generate"] and twice["generate"]
    assert twice["generate"] == pytest.approx(2 * base["generate"])
    assert twice["diagnose"] == base["diagnose"]


def test_fewer_frames_cost_less_than_in_proportion() -> None:
    whole, short = load_recipe(WAN), load_recipe(WAN, ["shape.num_frames=41"])
    assert clip_seconds(short) < clip_seconds(whole) * 41 / 81


def test_a_draft_costs_what_a_clip_of_its_shape_and_steps_costs() -> None:
    recipe = load_recipe(WAN, ["generate.draft={num_frames: 49, num_steps: 20}"])
    draft = cost({"draft_clips": 1}, prices_on(recipe, arithmetic_of(recipe), H200)).seconds
    assert draft == pytest.approx(clip_seconds(as_draft(recipe)))


def test_what_cannot_be_counted_is_named_and_not_zero() -> None:
    recipe = load_recipe("wan2.1-1.3b-lora-24gb")  # writer and judge on servers
    model = real_model(recipe)
    assert model is not None
    assert chat_seconds(recipe, "answers") is None and chat_seconds(recipe, "drafts") is None
    plan = {stage.stage: stage for stage in plan_on(recipe, model, H200)}
    assert plan["judge"].seconds is None and plan["judge"].left_out == ("the judge",)
    assert plan["measure"].left_out == ("the judge", "the measurer")
    hours = sum(stage.seconds or 0.0 for stage in plan.values()) / 3600
    assert hours > 0 and hours_on(recipe, H200) == pytest.approx(hours)


def test_a_judge_is_counted_by_the_size_in_its_name() -> None:
    def seconds(model: str) -> float | None:
        return chat_seconds(load_recipe(WAN, [f"judge.judge.model.model={model}"]), "answers")

    seven, three = seconds("Qwen/Qwen2.5-VL-7B-Instruct"), seconds("Qwen/Qwen2.5-VL-3B-Instruct")
    assert seven and three
    assert seven / three == pytest.approx(7 / 3)
    assert seconds("somebody/unnamed-judge") is None


def vlm(name: str) -> str:
    return f"{{kind: vlm, model: {{kind: transformers, model: {name}}}}}"


SEVEN = "Qwen/Qwen2.5-VL-7B-Instruct"
OTHER = "OpenGVLab/InternVL3-8B-hf"
VBENCH = "measure.measurer.options="


def measured_by(measurer: str, *others: str) -> Recipe:
    return load_recipe(WAN, [measurer, *others])


def left_out(recipe: Recipe) -> str | None:
    """What the price of a measurement does not hold; None where there is none."""
    price = chat_price(recipe, "measurements", H200)
    return None if price is None else price.left_out


def test_a_measurer_that_asks_here_is_counted_like_a_judge() -> None:
    servers = "runtime.servers={eyes: {url: 'http://localhost:8001/v1'}}"
    plain = "measure.suite=null"
    recipe = measured_by(f"measure.measurer={vlm(OTHER)}", plain)
    model, question = real_model(recipe), chat_seconds(recipe, "answers")
    found = chat_seconds(recipe, "measurements")
    assert model is not None and question and found
    assert found == pytest.approx(4 * question * 8 / 7)  # eight billion parameters watch instead of seven
    assert left_out(recipe) == ""
    plan, without = (
        {stage.stage: stage for stage in plan_on(of, model, H200)}
        for of in (recipe, measured_by(f"measure.measurer={vlm('somebody/unnamed')}", plain))
    )
    assert without["measure"].left_out == ("the measurer",) and plan["measure"].left_out == ()
    for stage, num in (("measure", 2 * (17 * 16 + 5)), ("diagnose", 17 * 8)):
        more, less = plan[stage].seconds, without[stage].seconds
        assert more and less and more - less == pytest.approx(num * found), stage
    assert plan["generate"] == without["generate"]
    server = "{kind: vlm, model: {kind: server, server: eyes, model: InternVL3-8B}}"
    assert chat_seconds(measured_by(f"measure.measurer={server}", plain, servers), "measurements") is None


def test_what_vbenchs_measurer_asks_and_has_told_is_counted_and_the_rest_named() -> None:
    bare = measured_by(f"{VBENCH}{{}}")
    assert chat_price(bare, "measurements", H200) is None
    asks = measured_by(f"{VBENCH}{{judge: {vlm(OTHER)}}}")
    asked, question = chat_seconds(asks, "measurements"), chat_seconds(asks, "answers")
    assert asked and question
    # Nine of seventeen dimensions of single clips ask; in `fixed` frames are 832 px wide: 29 x 17 tokens, not 16 x 9.
    assert asked == pytest.approx(9 / 17 * 4 * question * 8 / 7 * (29 * 17) / (16 * 9), rel=0.08)
    assert left_out(asks) == "the measurer's other metrics"
    twice = chat_seconds(measured_by(f"{VBENCH}{{judge: {vlm(OTHER)}, negated_twins: probe}}"), "measurements")
    assert twice == pytest.approx(2 * asked)
    alone = measured_by(f"{VBENCH}{{teller: {vlm(OTHER)}}}")
    assert chat_price(alone, "measurements", H200) is None, "nobody is asked where the text judge is missing"
    words = "{kind: llm, model: {kind: transformers, model: Qwen/Qwen2.5-14B-Instruct}}"
    tells = measured_by(f"{VBENCH}{{judge: {vlm(OTHER)}, teller: {vlm(OTHER)}, text_judge: {words}}}")
    whole = chat_seconds(tells, "measurements")
    assert whole
    reading = asked / (9 * 4 * 12) * 4 * 64 * REPLIES_PER_CLIP  # 64 frames instead of 12, in four dimensions
    writing = 4 / 17 * REPLIES_PER_CLIP * 200 * 2 * (8e9 + 14e9) / (0.5 * H200.bandwidth)
    assert whole - asked == pytest.approx(reading + writing, rel=0.08)
    # The model that both asks and tells is loaded once.
    assert chat_parameters(tells, "measurements") == 8e9 + 14e9
    unknown = measured_by(f"{VBENCH}{{judge: {vlm('somebody/unnamed')}, teller: {vlm(OTHER)}, text_judge: {words}}}")
    assert left_out(unknown) == "the measurer's other metrics and its judge"


def test_a_measurer_lies_beside_the_waiting_base() -> None:
    model = real_model(load_recipe(WAN))
    assert model is not None
    small, large = (
        {
            stage.stage: stage.peak_bytes
            for stage in plan_on(measured_by(f"{VBENCH}{{judge: {vlm(name)}}}"), model, H200)
        }
        for name in ("somebody/tiny-VL-2B", "somebody/large-VL-72B")
    )
    assert small["measure"] and large["measure"] and large["measure"] - small["measure"] > 2 * 50e9
    assert small["generate"] == large["generate"] and small["train"] == large["train"]


def test_a_judge_lies_beside_the_waiting_base_in_two_bytes_a_parameter() -> None:
    recipe = load_recipe(WAN)
    model = real_model(recipe)
    assert model is not None
    small, large = (
        gpu_peak_bytes(model.size, load_recipe(WAN, [f"judge.judge.model.model=some/eyes-{num}B"]), "judge", H200)[0]
        for num in (2, 7)
    )
    assert small and large and large - small == pytest.approx(2 * 5e9)
    unknown = load_recipe(WAN, ["judge.judge.model.model=some/eyes"])
    assert gpu_peak_bytes(model.size, unknown, "judge", H200)[0] is None


def trained_in(recipe: Recipe, policy: Recompute = "all", offload: Offload = "none") -> float:
    model = real_model(recipe)
    assert model is not None
    found = gpu_train_bytes(model.size, recipe, policy, offload)
    assert found is not None
    return found


def test_memory_falls_with_an_adapter_and_with_checkpointing() -> None:
    full, adapter = load_recipe(WAN), load_recipe(WAN, ["train.lora={rank: 16, alpha: 16}"])
    assert trained_in(adapter) < trained_in(full) < trained_in(full, "none")
    assert trained_in(adapter, "offload") < 0.8 * trained_in(adapter)
    # Full tuning: at least weights, gradients and two moments in float32, and no average with `ema_decay: 0`.
    num = 1.419e9
    assert 16 * num < trained_in(full) < 16 * num + 15e9


def test_an_adapter_of_the_smallest_wan_takes_what_the_guide_says() -> None:
    eight = load_recipe(WAN, ["train.lora={rank: 16, alpha: 16}", "base.transformer_precision=float8"])
    sixteen = load_recipe(WAN, ["train.lora={rank: 16, alpha: 16}"])
    assert trained_in(sixteen, "offload") < 9e9
    assert trained_in(eight, "offload") < trained_in(sixteen, "offload") - 1.2e9


def test_memory_of_each_gpu_falls_with_divided_weights_and_not_with_copies() -> None:
    at_once = "train.num_accumulation=1"
    copies, divided = (
        load_recipe(WAN, [at_once, "runtime.train.num_processes=4", f"runtime.train.parallel={kind}"])
        for kind in ("ddp", "fsdp")
    )
    found = [trained_in(recipe) for recipe in (load_recipe(WAN, [at_once]), copies, divided)]
    assert found[0] > found[1] > found[2]
    # A parameter has 4 bytes, its gradient and two moments too: 3/4 are elsewhere, but for what is fetched.
    assert found[1] - found[2] == pytest.approx(0.75 * 16 * 1.419e9, rel=0.06)


FOURTEEN = ["base.model=Wan-AI/Wan2.1-T2V-14B-Diffusers"]


def test_what_does_not_fit_a_gpu_is_offloaded_in_the_plan_too() -> None:
    recipe = load_recipe("wan2.1-1.3b-lora-24gb", FOURTEEN)
    model = real_model(recipe)
    assert model is not None
    found = {name: offload_on(model.size, recipe, find_gpu(name)) for name in ("H200", "H100", "RTX 4090")}
    assert found == {"H200": "none", "H100": "none", "RTX 4090": "group"}
    peaks = [gpu_generate_bytes(model.size, recipe, offload) for offload in ("none", "model", "group", "sequential")]
    assert peaks[0] > peaks[1] > peaks[2] > peaks[3]
    assert peaks[1] > 2 * model.size.num_transformer > peaks[2]
    plan = {stage.stage: stage for stage in plan_on(recipe, model, find_gpu("RTX 4090"))}
    assert plan["generate"].peak_bytes == peaks[2] and plan["generate"].offload == "group"
    asked = load_recipe("wan2.1-1.3b-lora-24gb", [*FOURTEEN, "runtime.offload=none"])
    assert offload_on(model.size, asked, find_gpu("RTX 4090")) == "none"


def test_training_takes_the_gpu_for_itself_unless_a_judge_or_previews_need_the_pipeline() -> None:
    recipe = load_recipe("wan2.1-1.3b-lora-24gb", FOURTEEN)
    assert trained_in(recipe, "all", "model") == trained_in(recipe)
    shows = load_recipe("wan2.1-1.3b-lora-24gb", [*FOURTEEN, "runtime.train.previews.every=50"])
    # What stays beside it is the autoencoder: the text encoders are freed, the transformer waits in main memory.
    assert trained_in(shows) - trained_in(recipe) == pytest.approx(4 * 0.127e9, rel=0.01)


def test_a_gpu_that_holds_everything_spends_no_time_on_computing_twice() -> None:
    recipe = load_recipe(WAN)
    model = real_model(recipe)
    assert model is not None
    endless = replace(H200, memory_bytes=1e15)
    small, large = (
        next(stage for stage in plan_on(recipe, model, gpu) if stage.stage == "train") for gpu in (H200, endless)
    )
    assert small.seconds and large.seconds and large.seconds < small.seconds


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        (("3090", "rtx3090"), "RTX 3090"),
        (("4090", "rtx-4090", "RTX4090", "NVIDIA GeForce RTX 4090", "geforce_rtx_4090", "4090 24GB"), "RTX 4090"),
        (("5090", "rtx 5090 32 GB"), "RTX 5090"),
        (("a6000", "NVIDIA RTX A6000", "A6000 48GB"), "RTX A6000"),
        (("l40s", "NVIDIA L40S"), "L40S"),
        (("a100-40", "A100 40GB", "NVIDIA A100-SXM4-40GB", "a100_pcie_40gb"), "A100 40GB"),
        (("A100-80", "a100 80 gb", "NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB"), "A100 80GB"),
        ((" h100 ", "H100-80GB", "NVIDIA H100 80GB HBM3", "H100 SXM5"), "H100"),
        (("h200", "NVIDIA H200 141GB"), "H200"),
        (("b200", "NVIDIA B200"), "B200"),
        (("mi300x", "AMD Instinct MI300X", "AMD Instinct MI300X OAM"), "MI300X"),
    ],
)
def test_a_gpu_is_understood_in_any_spelling(spellings: tuple[str, ...], name: str) -> None:
    assert {find_gpu(each).name for each in (*spellings, name)} == {name}


@pytest.mark.parametrize("name", ["RTX 4080", "A100", "H100 PCIe", "RTX 6000 Ada", "L40", "H100 96GB", "40", ""])
def test_another_gpu_is_never_taken_for_one_of_the_table(name: str) -> None:
    with pytest.raises(RecipeError, match="RTX 4090"):
        find_gpu(name)


def test_the_table_is_ordered_and_its_usual_ones_are_in_it() -> None:
    assert [gpu.memory_bytes for gpu in GPUS] == sorted(gpu.memory_bytes for gpu in GPUS)
    assert set(USUAL) < {gpu.name for gpu in GPUS}


def test_the_sandbox_is_no_real_model() -> None:
    assert real_model(load_recipe("sandbox")) is None
