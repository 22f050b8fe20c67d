"""Offloading: chosen from sizes alone, asked of the pipeline in one call, the same bits under diffusers' own hooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers import DiffusionPipeline

from rushes.families import offload
from rushes.families.hunyuan import Hunyuan
from rushes.families.load import load_family
from rushes.families.models import Models
from rushes.families.offload import (
    UNMOVED,
    OffloadOrder,
    Placement,
    bring_back,
    choose_offload,
    choose_placement,
    needed_bytes,
    offload_order,
    part_bytes,
    place,
)
from rushes.families.recompute import SAFETY
from rushes.families.wan import Wan
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.train import TrainSpec
from rushes.store.blobs import Blobs
from rushes.train.data import TrainingSet
from rushes.train.handover import Material
from tests.support.tiny_families import TINY, TinyFamily
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import assignment_of, teach_alone

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
PARTS = {"text_encoder": 1000, "text_encoder_2": 200, "transformer": 600, "vae": 50}
TEXTS, SEEDS = ["a red circle moves up", "a blue square"], [5, 6]
FAMILIES = ("wan-ti2v", "hunyuan")
WAYS: tuple[offload.Offload, ...] = ("model", "group", "sequential")


def test_bytes_by_hand() -> None:
    assert needed_bytes(PARTS, 300) == {"none": 1000 + 200 + 600 + 50 + 300, "model": 50 + 1000, "group": 50 + 300}
    assert needed_bytes(PARTS, 700) == {"none": 1000 + 200 + 600 + 50 + 700, "model": 50 + 600 + 700, "group": 50 + 700}
    # A freed text encoder is read before the first clip: the larger of the two counts.
    assert needed_bytes(PARTS, 300, frees_text=True)["none"] == 600 + 50 + 1200
    assert needed_bytes(PARTS, 1500, frees_text=True)["none"] == 600 + 50 + 1500
    assert needed_bytes({"transformer": 600}, 10) == {"none": 610, "model": 610, "group": 10}


@pytest.mark.parametrize(
    ("room", "frees_text", "chosen"),
    [
        (2150, False, "none"),
        (2149, False, "model"),
        (2149, True, "none"),
        (1849, True, "model"),
        (1050, False, "model"),
        (1049, False, "group"),
        (0, True, "group"),
    ],
)
def test_the_fastest_that_fits(room: int, frees_text: bool, chosen: str) -> None:
    free = round((room + 0.5) / SAFETY)
    assert choose_offload(PARTS, free, 300, frees_text=frees_text) == chosen


def test_unknown_memory_moves_nothing() -> None:
    assert choose_offload(PARTS, None, 10**12) == "none"


class StandIn:
    """Remembers what a pipeline was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []

    def to(self, device: object) -> None:
        self.asked.append(("to", device))

    def enable_model_cpu_offload(self, *, device: object) -> None:
        self.asked.append(("model", device))

    def enable_group_offload(self, *, onload_device: object, **settings: object) -> None:
        assert settings["use_stream"] and settings["record_stream"], "on a GPU the next layer is fetched meanwhile"
        self.asked.append(("group", onload_device))

    def enable_sequential_cpu_offload(self, *, device: object) -> None:
        self.asked.append(("sequential", device))


@pytest.mark.parametrize(("way", "call"), [("none", "to"), *((way, way) for way in WAYS)])
def test_a_pipeline_is_asked_once(way: offload.Offload, call: str) -> None:
    pipeline = StandIn()
    place(pipeline, way, CUDA)
    assert pipeline.asked == [(call, CUDA)]


def family_of(tiny: TinyFamily, folder: Path) -> Wan | Hunyuan:
    family = load_family(tiny.base(tiny.save(folder)))
    assert isinstance(family, (Wan, Hunyuan))
    return family


def test_the_order_of_a_recipe() -> None:
    small, large = ShapeSpec(num_frames=5), ShapeSpec(num_frames=17)
    runtime = RuntimeSpec(generate_batch=3, free_text_encoder=True, offload="model")
    assert offload_order(runtime, [small, large]) == OffloadOrder(large, 3, True, "model")
    assert offload_order(RuntimeSpec(), [small]).asked == "auto"


def test_the_choice_is_made_from_the_pipelines_sizes_and_the_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = TINY["wan-ti2v"]
    pipeline = family_of(tiny, tmp_path).pipeline
    parts = part_bytes(pipeline)
    assert set(parts) == {"text_encoder", "transformer", "vae"}
    assert parts["transformer"] >= 4 * sum(value.numel() for value in pipeline.transformer.parameters())
    free: list[int | None] = [10**15]
    monkeypatch.setattr(offload, "free_bytes", lambda device: free[0])
    order = OffloadOrder(tiny.shape, 2)
    ample = choose_placement(pipeline, CUDA, order)
    assert ample.offload == "none" and ample.part_bytes == parts and ample.work_bytes
    assert choose_placement(pipeline, CUDA, replace(order, num_clips=4)).work_bytes == 2 * ample.work_bytes
    free[0] = 1
    assert choose_placement(pipeline, CUDA, order) == replace(ample, offload="group", free_bytes=1)
    for asked in get_args(offload.Offload):
        assert choose_placement(pipeline, CUDA, replace(order, asked=asked)).offload == asked
        assert choose_placement(pipeline, CPU, replace(order, asked=asked)) == UNMOVED, "nowhere to go from a CPU"
    free[0] = None
    assert choose_placement(pipeline, CUDA, order).offload == "none"


# ---------------------------------------------------------------------------------------------- diffusers' own hooks


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers' hooks as the pipeline sets them, for a CPU: it would call it cpu:0, which the hooks take for another
    device than cpu and make no parameters of what lies there."""

    def enable(self: DiffusionPipeline, device: torch.device) -> None:
        self.remove_all_hooks()
        for part in self.components.values():
            if isinstance(part, torch.nn.Module):
                cpu_offload(part, device, offload_buffers=len(part._parameters) > 0)

    monkeypatch.setattr(DiffusionPipeline, "enable_sequential_cpu_offload", enable)


@contextmanager
def offloaded(family: Wan | Hunyuan, way: offload.Offload) -> Iterator[Wan | Hunyuan]:
    """The family as it is on a GPU too small for it, the CPU in the GPU's place."""
    moved = replace(family, placement=Placement(way), remembered={}, kept={})
    place(moved.pipeline, way, CPU)
    try:
        yield moved
    finally:
        bring_back(moved.pipeline, way)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
def test_an_offloaded_model_films_the_same_bits_and_takes_weights(
    name: str, way: offload.Offload, tmp_path: Path
) -> None:
    tiny = TINY[name]
    plain = family_of(tiny, tmp_path)
    weights = {key: value.clone() for key, value in plain.transformer.state_dict().items()}
    other = {key: value * 1.5 if value.is_floating_point() else value for key, value in weights.items()}
    latents = plain.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)
    frames = plain.decode(latents)
    encoded = plain.encode(frames)
    plain.load_weights(other)
    changed = plain.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)
    plain.load_weights(weights)
    with offloaded(plain, way) as moved:
        if way == "sequential":
            assert {value.device.type for value in moved.transformer.parameters()} == {"meta"}
        assert torch.equal(moved.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape), latents)
        np.testing.assert_array_equal(np.stack(moved.decode(latents)), np.stack(frames))
        assert torch.equal(moved.encode(frames), encoded)
        moved.load_weights(other)
        assert torch.equal(moved.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape), changed)
        with moved.plain_weights():
            state = moved.transformer.state_dict()
            assert all(torch.equal(state[key], value) for key, value in other.items())
        moved.load_weights(weights)
        moved.drop_text_encoder()
        moved.remembered.clear()
        assert moved.pipeline.text_encoder is None
        assert torch.equal(moved.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape), latents), "it came back"
        assert moved.pipeline.text_encoder is not None and any(
            hasattr(part, "_hf_hook") or hasattr(part, "_diffusers_hook")
            for part in moved.pipeline.text_encoder.modules()
        )


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("way", WAYS)
def test_training_takes_the_plain_weights(way: offload.Offload, tmp_path: Path) -> None:
    tiny = TINY["wan-ti2v"]
    family = family_of(tiny, tmp_path / "model")
    z_0 = torch.randn((3, *family.latent_shape(tiny.shape)), generator=torch.Generator().manual_seed(0))
    real = torch.tensor([False, False, True])
    text = family.encode_text([*TEXTS, "a ball"])
    data = TrainingSet(
        z_0_NCThw=z_0,
        text=text,
        empty=family.encode_text([""]),
        weight_N=torch.ones(3),
        preference_N=torch.ones(3),
        is_real_N=real,
    )
    spec = TrainSpec(num_steps=2, batch_size=2, warmup_steps=0, precision="float32")
    latents = family.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)
    alone = teach_alone(assignment_of(family, tmp_path / "alone", spec), family, Material(data)).weights
    with offloaded(family, way) as moved:
        tuned = teach_alone(assignment_of(moved, tmp_path / "moved", spec), moved, Material(data)).weights
        assert torch.equal(moved.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape), latents), "offloaded as before"
    assert alone.keys() == tuned.keys() and all(torch.equal(value, tuned[key]) for key, value in alone.items())


def test_a_run_is_told_what_was_chosen(tmp_path: Path) -> None:
    recipe = tiny_recipe(make_tiny_wan(tmp_path / "model"))
    told: list[tuple[str, dict[str, object]]] = []
    log = SimpleNamespace(write=lambda event, **fields: told.append((event, fields)))
    models = Models(recipe.base, recipe.runtime, [recipe.shape], Blobs(tmp_path / "blobs"), log)  # type: ignore[arg-type]
    assert models.family.placement == UNMOVED
    told_once: dict[str, object] = {"offload": "none", "free_bytes": None, "work_bytes": None, "part_bytes": {}}
    assert told == [("model_placed", told_once)]
