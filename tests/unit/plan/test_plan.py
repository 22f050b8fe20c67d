"""Plan: counts against an independent count, paces from fabricated runs, and what stays unknown."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import StoreError
from rushes.plan.calls import calls_per_draft
from rushes.plan.counts import planned_totals, work_of
from rushes.plan.gpus import find_gpu
from rushes.plan.kinds import Kind
from rushes.plan.measured import Spent, earlier_runs, gather, measured_prices, prices_of, spent
from rushes.plan.models import real_model
from rushes.plan.plan import computed_clip_bytes, data_bytes, make_plan, plan_on, total_seconds
from rushes.plan.prices import Price, Prices
from rushes.recipe.dimensions import known, probed
from rushes.recipe.load import load_recipe
from rushes.recipe.prompts import CLIPS_PER_REAL_CLIP, DRAFTS_PER_EVALUATION_PROMPT
from rushes.recipe.recipe import Recipe, as_draft
from rushes.records import BlobRef, Checkpoint, Clip, CostEntry
from rushes.store.blobs import Blobs
from rushes.store.identity import work_key
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_with

ALL_KINDS: tuple[Kind, ...] = ("drafts", "clip_calls", "measurements", "answers", "train_clips")
"""Kinds that a run books apart; decoding and encoding lie within two of them."""


def recipe(*overrides: str) -> Recipe:
    return sandbox_with(*overrides)


def stages(of: Recipe) -> dict[str, Any]:
    return {work.stage: work for work in work_of(of)}


# ---------------------------------------------------------------------------------------------- counting


def test_counts_are_those_of_a_loop_that_does_the_work() -> None:
    """Counts one by one what the pipeline would make, rather than multiplying."""
    spec = recipe(
        "num_rounds=2", "prompts.num_weakness=5", "prompts.num_caption=1", "prompts.oversample=1.5",
        "generate.num_takes=3", "diagnose.num_prompts=4", "measure.num_prompts=2", "measure.num_takes=2",
        "measure.num_diversity_prompts=3", "measure.num_diversity_takes=4", "train.num_steps=6",
        "train.batch_size=8", "prompts.real.num_clips=7", "generate.sampler.num_steps=10",
        "generate.sampler.guidance_scale=1", "measure.sampler.num_steps=5", "measure.sampler.guidance_scale=2",
    )  # fmt: skip
    dimensions, groups = probed(spec.diagnose), [each for each in known(spec.diagnose) if each.group]
    clips, answers, measured, drafts = (
        {"probe": 0, "own": 0, "held": 0},
        {"own": 0, "held": 0},
        {"probe": 0, "held": 0},
        0,
    )
    for _dimension in dimensions:
        for _probe in range(4):
            clips["probe"] += 1
            measured["probe"] += 1
    steps = 0
    for _round in range(2):
        drafts += 8  # 5 x 1.5, rounded up
        for _prompt in range(5 + 1):
            for _take in range(3):
                clips["own"] += 1
                answers["own"] += 4
        steps += 6
    for _model in ("base", "tuned"):
        for _dimension in dimensions:
            for _prompt in range(2):
                for _take in range(2):
                    clips["held"] += 1
                    measured["held"] += 1
                    answers["held"] += 4
        for _group in groups:
            for _prompt in range(3):
                clips["held"] += 4
                measured["held"] += 1
    found = stages(spec)
    assert found["diagnose"].num_items == clips["probe"]
    assert found["diagnose"].units["clip_calls"] == clips["probe"] * 10  # 5 steps, twice for guidance
    assert found["diagnose"].units["measurements"] == measured["probe"]
    assert found["prompts"].num_items == drafts
    assert found["generate"].num_items == clips["own"]
    assert found["generate"].units["clip_calls"] == clips["own"] * 10  # 10 steps, no guidance
    assert found["judge"].num_items == answers["own"]
    assert found["train"].num_items == steps
    assert found["train"].units["train_clips"] == steps * 8
    assert [found[stage].units["decodes"] for stage in ("diagnose", "generate", "measure")] == list(clips.values())
    # Each round encodes its real clips, and all own ones are encoded again.
    assert found["train"].units["encodes"] == 2 * 7 + clips["own"]
    assert found["measure"].num_items == clips["held"]
    assert found["measure"].units["measurements"] == measured["held"]
    assert found["measure"].units["answers"] == answers["held"]
    totals = planned_totals(spec)
    assert totals["clips"] == sum(clips.values()) + 7
    assert totals["measurements"] == sum(measured.values())
    assert totals["answers"] == sum(answers.values())
    assert totals["checkpoints"] == 2
    for _dimension in dimensions:
        drafts += ceil(4 * DRAFTS_PER_EVALUATION_PROMPT)  # probes
        drafts += 3 * ceil(2 * DRAFTS_PER_EVALUATION_PROMPT)  # the three splits of the held-out prompts
    for _group in groups:
        drafts += 3 * ceil(3 * DRAFTS_PER_EVALUATION_PROMPT)
    # An upper bound: each of the three focus dimensions may round its share of a round's drafts up.
    assert totals["prompts"] == drafts + ceil(7 * CLIPS_PER_REAL_CLIP) + 2 * (3 - 1)


def test_fewer_dimensions_are_fewer_probes() -> None:
    assert stages(load_recipe("tiny"))["diagnose"].num_items == 2 * load_recipe("tiny").diagnose.num_prompts


# ---------------------------------------------------------------------------------------------- time and disk


def all_prices(seconds: float = 0.5) -> Prices:
    return Prices({kind: Price(seconds, "trial") for kind in ALL_KINDS}, clip_bytes=100, checkpoint_bytes=1_000_000)


def test_time_is_units_times_price_and_the_total_says_whether_it_is_whole() -> None:
    spec = recipe("train.num_steps=10", "train.batch_size=4")
    plan = {stage.stage: stage for stage in make_plan(spec, all_prices())}
    assert plan["train"].seconds == pytest.approx(10 * 4 * 0.5)
    assert plan["train"].source == "trial"
    assert plan["train"].num_bytes == 1_000_000 + 1000
    assert total_seconds(plan.values())[1]
    partly: dict[Kind, Price] = {kind: price for kind, price in all_prices().by_kind.items() if kind != "answers"}
    rows = make_plan(spec, Prices(partly))
    unknown = [row for row in rows if row.seconds is None]
    assert [row.stage for row in unknown] == ["judge", "measure"]
    assert all(row.source.startswith("unknown") for row in unknown)
    seconds, is_whole = total_seconds(rows)
    assert not is_whole
    assert seconds == pytest.approx(sum(row.seconds for row in rows if row.seconds is not None))


def test_what_is_not_to_be_done_takes_no_time() -> None:
    spec = recipe("prompts.num_weakness=0")
    plan = {stage.stage: stage for stage in make_plan(spec, Prices())}
    assert (plan["generate"].seconds, plan["generate"].source) == (0, "nothing to do")


def test_the_computed_size_of_a_clip_is_what_the_store_writes(tmp_path: Path) -> None:
    import numpy as np

    spec = recipe()
    blobs = Blobs(tmp_path)
    video = blobs.put_video(np.zeros((17, 64, 64, 3), np.uint8))
    latents = blobs.put_arrays({"latents": np.zeros((16, 5, 8, 8), np.float32)})
    assert video.num_bytes + latents.num_bytes == pytest.approx(computed_clip_bytes(spec), rel=0.01)


def test_drafts_take_the_room_of_their_own_shape() -> None:
    spec = recipe("generate.draft={num_frames: 5}", "prompts.num_weakness=10", "prompts.num_caption=0")
    plan = {stage.stage: stage for stage in make_plan(spec, Prices())}
    each = computed_clip_bytes(as_draft(spec))
    assert each < computed_clip_bytes(spec)
    assert plan["draft"].num_bytes == 10 * (1000 + each) + 40 * 1000


# ---------------------------------------------------------------------------------------------- earlier runs


def blob(num_bytes: int, name: str) -> BlobRef:
    return BlobRef(sha256=work_key("blob", name), suffix=".safetensors", num_bytes=num_bytes)


def book(run: Run, stage: str, seconds: float, num_items: int, device: str = "cpu") -> None:
    cost = CostEntry(stage=stage, seconds=seconds, num_items=num_items, device=device)
    run.tables()[stage].land([], (), cost)


def earlier(home: Path, of: Recipe) -> Path:
    """A run that generated 4 clips in 8 s, answered 10 questions in 5 s, and trained in 36 s."""
    with Run.open(home, of) as run:
        for i in range(4):
            clip = Clip(
                key=work_key("clip", None, index=i), prompt_key=work_key("prompt", None), dimension="Composition",
                seed=1, seed_index=i, model="base", origin="model", sampler=of.generate.sampler, height_px=64,
                width_px=64, num_frames=17, fps=8.0, seconds=2.0, video=blob(200, f"v{i}"), latents=blob(100, f"l{i}"),
            )  # fmt: skip
            run.clips.land([clip], (), CostEntry(stage="clips", seconds=2.0, num_items=1, device="cpu"))
        book(run, "answers", 5.0, 10)
        checkpoint = Checkpoint(
            key=work_key("checkpoint", None), step=of.train.steps, kind="full", ema=True, weights=blob(7000, "w"),
            seconds=36.0,
        )  # fmt: skip
        run.checkpoints.land([checkpoint])
    return home


def test_prices_of_an_earlier_run_are_per_unit_of_work(tmp_path: Path) -> None:
    spec = recipe("train.num_steps=9", "train.batch_size=4", "generate.sampler.num_steps=20")
    found = prices_of(earlier(tmp_path / "a", spec), recipe("generate.sampler.num_steps=50", "train.num_steps=1000"))
    assert found.by_kind["clip_calls"].seconds == pytest.approx(8.0 / (4 * 20 * 2))
    assert found.by_kind["answers"].seconds == pytest.approx(0.5)
    assert found.by_kind["train_clips"].seconds == pytest.approx(36.0 / (9 * 4))
    assert set(found.by_kind) == {"clip_calls", "answers", "train_clips"}
    assert found.by_kind["answers"].source == str(tmp_path / "a")
    assert (found.clip_bytes, found.checkpoint_bytes) == (300, 7000)


def test_time_on_several_devices_is_added_up(tmp_path: Path) -> None:
    with Run.open(tmp_path / "a", recipe()) as run:
        book(run, "answers", 5.0, 10)
        book(run, "answers", 1.0, 2, "cuda")
        book(run, "measurements", 3.0, 0)
        found = spent(run.costs())
    assert found == {"answers": Spent(6.0, 12), "measurements": Spent(3.0, 0)}
    assert (found["answers"].each_s, found["measurements"].each_s) == (0.5, None)


def test_the_price_of_a_guidance_distilled_model_is_of_one_call_a_step(tmp_path: Path) -> None:
    spec = recipe("base.family=hunyuan", "generate.sampler.num_steps=20")
    found = prices_of(earlier(tmp_path / "a", spec), spec)
    assert found.by_kind["clip_calls"].seconds == pytest.approx(8.0 / (4 * 20))


def test_a_draft_clip_costs_the_part_of_the_calls_that_it_is(tmp_path: Path) -> None:
    home = earlier(tmp_path / "a", recipe())
    spec = recipe("generate.draft={num_frames: 5, num_steps: 4}")
    found = prices_of(home, spec).by_kind
    assert found["draft_clips"].seconds == pytest.approx(calls_per_draft(spec) * found["clip_calls"].seconds)
    assert "draft_clips" not in prices_of(home, recipe()).by_kind


def test_decoding_and_encoding_lie_within_what_a_run_books() -> None:
    prices = all_prices()
    assert prices.of("decodes") == prices.of("encodes") == Price(0.0, "trial")
    assert Prices({"decodes": Price(2.0, "a")}).or_else(prices).of("decodes") == Price(2.0, "a")
    assert Prices().of("decodes") is None


@pytest.mark.parametrize(
    ("override", "lost"),
    [
        ("shape.num_frames=33", {"clip_calls", "answers", "train_clips"}),
        ("base.model=other", {"clip_calls", "train_clips"}),
        ("train.lora={rank: 4}", {"train_clips"}),
        ("judge.judge={kind: plugin, use: 'a:B'}", {"answers"}),
        ("runtime.device=cuda", {"clip_calls", "answers", "train_clips"}),
        ("weights.kind=rank", set()),
    ],
)
def test_a_run_that_did_something_else_says_nothing_about_it(tmp_path: Path, override: str, lost: set[str]) -> None:
    home = earlier(tmp_path / "a", recipe())
    assert {"clip_calls", "answers", "train_clips"} - set(prices_of(home, recipe(override)).by_kind) == lost


def test_the_latest_run_counts_first_and_an_unreadable_one_is_named(tmp_path: Path) -> None:
    import os

    old, new = earlier(tmp_path / "old", recipe()), earlier(tmp_path / "new", recipe())
    os.utime(old / "records.sqlite", (1, 1))
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("records.sqlite", "header.json"):
        (broken / name).write_bytes(b"no")
    os.utime(broken / "records.sqlite", (2, 2))
    assert earlier_runs(tmp_path) == [new, broken, old]
    found = gather(earlier_runs(tmp_path), recipe())
    assert found.prices.by_kind["answers"].source == str(new)
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith(str(broken))
    assert earlier_runs(tmp_path / "nowhere") == []


def test_a_run_that_the_user_names_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run folder"):
        measured_prices(recipe(), [tmp_path], [])


def test_first_known_wins() -> None:
    both = Prices({"answers": Price(1.0, "a")}).or_else(all_prices())
    assert both.by_kind["answers"] == Price(1.0, "a")
    assert both.by_kind["drafts"].source == "trial"
    assert both.clip_bytes == 100


def test_real_clips_of_a_larger_shape_cost_more_memory_time_and_disk() -> None:
    larger = [
        {"height_px": 720, "width_px": 1280, "num_frames": 81},
        {"height_px": 240, "width_px": 240, "num_frames": 17},
    ]
    fixed = "runtime.train.recompute=all"  # `auto` recomputes less where there is room
    plain = load_recipe("wan2.1-1.3b-lora-24gb", [fixed])
    several = load_recipe("wan2.1-1.3b-lora-24gb", [fixed, f"prompts.real.shapes={json.dumps(larger)}"])
    model, gpu = real_model(plain), find_gpu("H200")
    assert model is not None
    one, more = ({each.stage: each for each in plan_on(recipe, model, gpu)} for recipe in (plain, several))
    train = one["train"], more["train"]
    assert train[1].seconds > train[0].seconds and train[1].peak_bytes > train[0].peak_bytes  # type: ignore[operator]
    assert data_bytes(several, model) > data_bytes(plain, model)
    assert more["generate"] == one["generate"] and more["measure"] == one["measure"], "own clips keep their shape"
    smaller = load_recipe("wan2.1-1.3b-lora-24gb", [fixed, f"prompts.real.shapes={json.dumps(larger[1:])}"])
    assert {each.stage: each for each in plan_on(smaller, model, gpu)} == one
