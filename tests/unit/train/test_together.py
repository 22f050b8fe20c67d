"""Two gloo processes train as one does, with copies (DDP) and with divided weights (FSDP2); what happens when one dies.

Rounding is all that may differ: the same sums in another order. One process that accumulates two micro-batches differs
from one that does not by 3e-7 here after four steps. A mean over the wrong rows moves curves by 1e-2 and more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rushes.errors import RecipeError, Stopped, TrainingError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.wan import Wan
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.objectives import (
    ArtSpec,
    AwmSpec,
    CrdSpec,
    DpoSpec,
    NftSpec,
    OnlineSpec,
    RewardGradientSpec,
    RvmSpec,
)
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import BlobRef
from rushes.train.assignment import Assignment
from rushes.train.data import TrainingSet
from rushes.train.handover import Material, write_material
from rushes.train.hooks import beside
from rushes.train.launch import train_in_processes
from rushes.train.parallel import ALONE
from rushes.train.watch import HeldOut
from rushes.train.worker import loaded, train_along
from tests.support.forked import forking, pid_of
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan
from tests.support.training import Taught, assignment_of, columns_of_takes, taught, teach_alone

SPEC = TrainSpec(num_steps=4, batch_size=4, learning_rate=1e-3, warmup_steps=2, checkpoint_every=2, precision="float32")
LORA = {"lora": LoraSpec(rank=2, alpha=2)}
OLD = NftSpec(old="ema", old_rate=0.2, old_every=1)


def activation_bytes(assignment: Assignment) -> dict[str, int]:
    """Under every policy, as the last training measured them."""
    (*_, found) = [event["activation_bytes"] for event in assignment.log.read() if event["event"] == "training_set_up"]
    return {str(name): int(value) for name, value in found.items()}


class Bench:
    """One model and one training set."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.base = BaseModelSpec(model=str(make_tiny_wan(folder)), max_tokens=8)
        self.wan: Family = load_family(self.base)
        generator = torch.Generator().manual_seed(0)
        data = TrainingSet(
            z_0_NCThw=torch.randn((10, 4, 2, 4, 4), generator=generator),
            text=self.wan.encode_text([f"a red circle moves {d}" for d in ("left", "right", "up", "down", "up")]),
            empty=self.wan.encode_text([""]),
            weight_N=torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5, 0.5, 1, 1, 1, 1]),
            preference_N=torch.linspace(0, 1, 10),
            is_real_N=torch.tensor([False] * 6 + [True] * 4),
            **columns_of_takes(),
            text_row_N=torch.arange(10) % 5,
        )
        # Three passes of two clips, and one: with two processes one goes along without a pass of its own.
        real, own = HeldOut("real", data.z_0_NCThw[:5], data.text), HeldOut("own", data.z_0_NCThw[5:7], data.text[:2])
        self.material = Material(data, (real, own))
        self.setups: list[dict[str, int]] = []
        """Activation bytes under every policy, of each training."""

    def alone(self, spec: TrainSpec, folder: Path, start: BlobRef | None = None) -> Taught:
        assignment = assignment_of(self.wan, folder, spec, base=self.base, start=start)
        found = teach_alone(assignment, self.wan, self.material)
        self.setups.append(activation_bytes(assignment))
        return found

    def together(
        self,
        spec: TrainSpec,
        folder: Path,
        mode: str,
        *,
        start: BlobRef | None = None,
        stop_at: int = 0,
        kill_at: int = 0,
        fingerprint: str = "",
        material: Material | None = None,
    ) -> Taught:
        runtime = {"num_processes": 2, "parallel": mode, "recompute": "half", "tracker": "none"}
        assignment = assignment_of(
            self.wan, folder, spec, base=self.base, runtime=TrainRuntime.model_validate(runtime), start=start
        )
        if fingerprint:
            assignment = assignment.model_copy(update={"fingerprint": fingerprint})
        write_material(assignment.scratch, material or self.material)
        steps: list[int] = []

        def on_step(step: int, seconds: float, *_: object) -> None:
            assert seconds > 0
            steps.append(step)
            if step == kill_at:
                os.kill(pid_of(assignment.scratch, 1), signal.SIGKILL)

        found = taught(assignment, train_in_processes(assignment, on_step, lambda: 0 < len(steps) == stop_at))
        self.setups.append(activation_bytes(assignment))
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("wan"))


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forking(monkeypatch)
    yield


def assert_close(first: Taught, second: Taught) -> None:
    assert set(first.weights) == set(second.weights)
    for name, value in first.weights.items():
        torch.testing.assert_close(value, second.weights[name], atol=2e-4, rtol=1e-3, msg=name)
    assert list(first.curves) == list(second.curves)
    for name, points in first.curves.items():
        others = second.curves[name]
        assert [step for step, _ in points] == [step for step, _ in others], name
        assert [value for _, value in points] == pytest.approx([value for _, value in others], abs=1e-5, rel=1e-5), name


def assert_equal(first: Taught, second: Taught) -> None:
    assert first.curves == second.curves
    for name, value in first.weights.items():
        assert torch.equal(value, second.weights[name]), name


VARIANTS = {
    "full": SPEC,
    "lora": SPEC.model_copy(update=LORA),
    "accumulated": SPEC.model_copy(update={"num_accumulation": 2}),
    "negative": SPEC.model_copy(update={"objective": NftSpec(beta=0.5, strength=0.5), "anchor": 0.1}),
    "dpo": SPEC.model_copy(update={"objective": DpoSpec()}),
    "crd": SPEC.model_copy(update={"objective": CrdSpec(num_takes=2), "anchor": 0.1}),
    "online": SPEC.model_copy(update={"objective": OnlineSpec(normalise="sigma_bin", denoiser="base")}),
    "online every": SPEC.model_copy(
        update={"objective": OnlineSpec(every=2, max_sigma=1.0), "num_steps": 8, "batch_size": 8, "num_accumulation": 2}
    ),
    "reward_gradient": SPEC.model_copy(update={"objective": RewardGradientSpec()}),
    "rvm": SPEC.model_copy(update={"objective": RvmSpec(), "norm_guard": 0.5}),
    "awm": SPEC.model_copy(update={"objective": AwmSpec(), "anchor": 0.1, **LORA}),
    "art": SPEC.model_copy(update={"objective": ArtSpec(halves=True, window=2, noise="own"), "anchor": 0.1}),
    "old": SPEC.model_copy(update={"objective": OLD, "anchor": 0.1}),
    "old lora": SPEC.model_copy(update={"objective": OLD, **LORA}),
    "rounded": SPEC.model_copy(update={"precision": "bfloat16", "max_grad_norm": 0.1, **LORA}),
}
COMPARED_IN = {"accumulated": {"num_accumulation": 1}, "rounded": {"num_accumulation": 2}}
"""Micro-batches of the one process: a gradient that is rounded to bfloat16 in halves differs from one rounded whole."""


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_train_as_one(name: str, mode: str, bench: Bench, tmp_path: Path) -> None:
    one = bench.alone(VARIANTS[name].model_copy(update=COMPARED_IN.get(name, {})), tmp_path / "one")
    two = bench.together(VARIANTS[name], tmp_path / "two", mode)
    assert {"held_out_real", "held_out_own"} < set(one.curves)
    assert any(not torch.equal(value, bench.wan.transformer.state_dict()[key]) for key, value in two.weights.items())
    assert_close(one, two)
    assert name != "online every" or max(value for _, value in one.curves["online_reused"]) > 0


def test_divided_weights_are_measured_like_whole_ones(bench: Bench, tmp_path: Path) -> None:
    """What blocks keep for the backward pass, of two clips each: of the gathered weights nothing is counted."""
    bench.alone(VARIANTS["accumulated"], tmp_path / "one")
    bench.together(SPEC, tmp_path / "two", "fsdp")
    whole, divided = bench.setups[-2:]
    assert divided == whole
    assert whole["none"] > 0


def test_a_later_round_begins_with_the_weights_of_the_one_before(bench: Bench, tmp_path: Path) -> None:
    first = bench.together(SPEC, tmp_path / "first", "ddp")
    start = first.record.weights
    assert isinstance(start, BlobRef)
    again = bench.together(SPEC, tmp_path / "two", "fsdp", start=start)
    assert_close(bench.alone(SPEC, tmp_path / "one", start), again)
    key = next(iter(first.weights))
    assert not torch.equal(first.weights[key], again.weights[key])


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_a_later_round_that_is_held_to_the_base(mode: str, bench: Bench, tmp_path: Path) -> None:
    """Beside its start: one more model in every process, sharded as the others are."""
    start = bench.alone(SPEC, tmp_path / "first").record.weights
    assert isinstance(start, BlobRef)
    spec = SPEC.model_copy(update={"objective": NftSpec(), "anchor": 0.2})
    one, two = bench.alone(spec, tmp_path / "one", start), bench.together(spec, tmp_path / "two", mode, start=start)
    assert {"distance_to_base", "distance_to_start"} < set(one.curves)
    assert_close(one, two)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_resumed_equals_straight_and_one_process_can_go_on(mode: str, bench: Bench, tmp_path: Path) -> None:
    straight = bench.together(SPEC, tmp_path / "straight", mode)
    for stop_at in (1, 2):
        with pytest.raises(Stopped):
            bench.together(SPEC, tmp_path / "stopped", mode, stop_at=stop_at)
    (tmp_path / "one" / "scratch").mkdir(parents=True)
    state = (tmp_path / "stopped" / "scratch" / "state.safetensors").read_bytes()
    (tmp_path / "one" / "scratch" / "state.safetensors").write_bytes(state)
    assert_equal(straight, bench.together(SPEC, tmp_path / "stopped", mode))
    assert_close(straight, bench.alone(SPEC, tmp_path / "one"))


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_a_process_that_dies_is_told_at_once_and_training_goes_on_after_it(
    mode: str, bench: Bench, tmp_path: Path
) -> None:
    straight = bench.together(SPEC, tmp_path / "straight", mode)
    with pytest.raises(TrainingError, match=r"process 1 of the 2 .* ended with exit status -9: Signal 9"):
        bench.together(SPEC, tmp_path / "killed", mode, kill_at=3)
    assert (tmp_path / "killed" / "scratch" / "state.safetensors").exists()
    assert_equal(straight, bench.together(SPEC, tmp_path / "killed", mode))


def test_a_process_that_cannot_take_part_says_why(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"process [01] of the 2 .* ended with exit status 1") as told:
        bench.together(SPEC, tmp_path / "other", "ddp", fingerprint="of another model")
    assert "a different base model" in str(told.value)


def test_numbers_that_break_are_told(bench: Bench, tmp_path: Path) -> None:
    data = bench.material.data
    broken = TrainingSet(**{**vars(data), "z_0_NCThw": torch.full_like(data.z_0_NCThw, float("nan"))})
    with pytest.raises(TrainingError, match="not finite in 5 steps in a row, at step 5"):
        bench.together(SPEC.model_copy(update={"num_steps": 9}), tmp_path / "broken", "ddp", material=Material(broken))


def test_what_breaks_in_showing_a_step_ends_training_after_it(bench: Bench, tmp_path: Path) -> None:
    """The processes are not left waiting for an answer, and the step is stored."""

    def broken(step: int, seconds: float, *_: object) -> None:
        if step == 1:
            raise ValueError("no display")

    runtime = TrainRuntime(num_processes=2, tracker="none")
    spec = SPEC.model_copy(update={"checkpoint_every": 100})
    assignment = assignment_of(bench.wan, tmp_path / "run", spec, base=bench.base, runtime=runtime)
    write_material(assignment.scratch, bench.material)
    with pytest.raises(ValueError, match="no display"):
        train_in_processes(assignment, broken, lambda: False)
    assert (assignment.scratch / "state.safetensors").exists()


def test_previews_are_made_of_texts_that_another_process_has_read(bench: Bench, tmp_path: Path) -> None:
    """The text encoder, as large as the transformer in real models, is not loaded again."""
    text, shape = "a red circle moves up", TINY_SHAPE
    assignment = assignment_of(bench.wan, tmp_path / "run", SPEC, base=bench.base)
    order = replace(assignment.previews, texts=(text,), shape=shape, every=4)
    assignment = assignment.model_copy(update={"previews": order})
    states = bench.wan.encode_text(order.read)
    write_material(assignment.scratch, replace(bench.material, preview_texts=states))
    family = loaded(assignment, torch.device("cpu"), makes_previews=True)
    assert isinstance(family, Wan) and family.pipeline.text_encoder is None and family.load_text_parts is None
    with beside(assignment, lambda progress: None, lambda: False) as hooks:
        train_along(assignment, ALONE, family, hooks)
    events = [event for event in assignment.log.read() if event["event"].startswith("preview")]
    assert [(event["event"], event["step"], event.get("error")) for event in events] == [
        ("preview", 0, None),
        ("preview", 4, None),
    ]


def test_more_processes_than_gpus_are_refused_before_any_is_started(bench: Bench, tmp_path: Path) -> None:
    runtime = TrainRuntime(num_processes=torch.cuda.device_count() + 2)
    assignment = assignment_of(bench.wan, tmp_path / "run", SPEC, runtime=runtime).model_copy(update={"device": "cuda"})
    with pytest.raises(RecipeError, match="fewer GPUs"):
        train_in_processes(assignment, lambda step, seconds: None, lambda: False)
