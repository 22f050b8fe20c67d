"""Two gloo processes train as one does, with copies (DDP) and with divided weights (FSDP2); what happens when one dies.

Rounding is all that may differ: the same sums in another order. One process that accumulates two micro-batches differs
from one that does not by 3e-7 here after four steps. A mean over the wrong rows moves curves by 1e-2 and more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rushes.errors import Stopped, TrainingError
from rushes.families.family import Conditions, Family
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.train.assignment import Assignment, Task, write_material
from rushes.train.data import TrainingSet
from rushes.train.setup import Setup
from rushes.train.stage import tune
from rushes.train.state import Progress
from rushes.train.team import Team
from rushes.train.watch import HeldOut
from tests.support.forked import Forked, forked_team
from tests.support.tiny_wan import make_tiny_wan

SPEC = TrainSpec(num_steps=4, batch_size=4, learning_rate=1e-3, warmup_steps=2, checkpoint_every=2, precision="float32")
LORA = {"lora": LoraSpec(rank=2, alpha=2)}
Tuned = tuple[dict[str, torch.Tensor], Progress]


class Bench:
    """One model, one training set, and a second process: another one when it has died."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.base = BaseModelSpec(model=str(make_tiny_wan(folder)), max_tokens=8)
        self.wan: Family = load_family(self.base)
        generator = torch.Generator().manual_seed(0)
        self.data = TrainingSet(
            z_0_NCThw=torch.randn((10, 4, 2, 4, 4), generator=generator),
            text=self.wan.encode_text([f"a red circle moves {d}" for d in ("left", "right", "up", "down", "up")]),
            empty=self.wan.encode_text([""]),
            weight_N=torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5, 0.5, 1, 1, 1, 1]),
            preference_N=torch.linspace(0, 1, 10),
            is_real_N=torch.tensor([False] * 6 + [True] * 4),
            text_row_N=torch.arange(10) % 5,
        )
        # Three passes of two clips, and one: with two processes one goes along without a pass of its own.
        texts = self.data.text
        self.held_out = (
            HeldOut("real", self.data.z_0_NCThw[:5], texts),
            HeldOut("own", self.data.z_0_NCThw[5:7], texts[:2]),
        )
        self.setups: list[Setup] = []
        # Forked before anything is trained here, since threads do not survive it: one, and one for every kill.
        self._teams = [forked_team() for _ in range(3)]

    @property
    def team(self) -> Team:
        while self.other.poll() is not None:
            self._teams.pop(0)
        return self._teams[0]

    @property
    def other(self) -> Forked:
        process = self._teams[0].processes[1]
        assert isinstance(process, Forked)
        return process

    def close(self) -> None:
        for team in self._teams:
            team.dismiss()

    def alone(self, spec: TrainSpec, folder: Path, start: Path | None = None) -> Tuned:
        folder.mkdir(exist_ok=True)
        task = self._task(spec, TrainRuntime())
        weights = None if start is None else load_file(str(start))
        noted = self.setups.append
        return tune(self.wan, self.data, task, weights, folder, held_out=self.held_out, on_setup=noted)

    def together(
        self,
        spec: TrainSpec,
        folder: Path,
        mode: str,
        *,
        start: Path | None = None,
        stop_at: int = 0,
        kill_at: int = 0,
        fingerprint: str = "",
    ) -> Tuned:
        runtime = TrainRuntime.model_validate({"num_processes": 2, "parallel": mode, "recompute": "half"})
        assignment = Assignment(
            task=self._task(spec, runtime),
            base=self.base,
            fingerprint=fingerprint or self.wan.fingerprint,
            device="cpu",
            num_threads=1,
            scratch=folder,
            start=start,
        )
        folder.mkdir(exist_ok=True)
        write_material(folder, self.data, self.held_out)
        steps: list[int] = []

        def on_step(progress: Progress) -> None:
            steps.append(progress.step)
            if progress.step == kill_at:
                os.kill(self.other.pid, signal.SIGKILL)

        with self.team.working(assignment) as parallel:
            return tune(
                self.wan,
                self.data,
                assignment.task,
                None if start is None else load_file(str(start)),
                folder,
                held_out=self.held_out,
                parallel=parallel,
                should_stop=lambda: len(steps) == stop_at,
                on_step=on_step,
                on_setup=self.setups.append,
            )

    def _task(self, spec: TrainSpec, runtime: TrainRuntime) -> Task:
        return Task(spec=spec, runtime=runtime, seed=3, conditions=Conditions())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("wan"))
    yield made
    made.close()


def assert_close(first: Tuned, second: Tuned) -> None:
    assert set(first[0]) == set(second[0])
    for name, value in first[0].items():
        torch.testing.assert_close(value, second[0][name], atol=2e-4, rtol=1e-3, msg=name)
    assert list(first[1].curves) == list(second[1].curves)
    for name, points in first[1].curves.items():
        others = second[1].curves[name]
        assert [step for step, _ in points] == [step for step, _ in others], name
        assert [value for _, value in points] == pytest.approx([value for _, value in others], abs=1e-5), name


def assert_equal(first: Tuned, second: Tuned) -> None:
    assert first[1].curves == second[1].curves
    for name, value in first[0].items():
        assert torch.equal(value, second[0][name]), name


VARIANTS = {
    "full": SPEC,
    "lora": SPEC.model_copy(update=LORA),
    "accumulated": SPEC.model_copy(update={"num_accumulation": 2}),
    "negative": SPEC.model_copy(update={"negative": 0.5, "anchor": 0.1}),
    "rounded": SPEC.model_copy(update={"precision": "bfloat16", "max_grad_norm": 0.1, **LORA}),
}
COMPARED_IN = {"accumulated": {"num_accumulation": 1}, "rounded": {"num_accumulation": 2}}
"""Micro-batches of the one process: a gradient that is rounded to bfloat16 in halves differs from one rounded whole."""


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_train_as_one(name: str, mode: str, bench: Bench, tmp_path: Path) -> None:
    one = bench.alone(VARIANTS[name].model_copy(update=COMPARED_IN.get(name, {})), tmp_path / "one")
    two = bench.together(VARIANTS[name], tmp_path / "two", mode)
    assert {"held_out_real", "held_out_own"} < set(one[1].curves)
    assert any(not torch.equal(value, bench.wan.transformer.state_dict()[key]) for key, value in two[0].items())
    assert_close(one, two)


def test_divided_weights_are_measured_like_whole_ones(bench: Bench, tmp_path: Path) -> None:
    """What blocks keep for the backward pass, of two clips each: of the gathered weights nothing is counted."""
    bench.alone(VARIANTS["accumulated"], tmp_path / "one")
    bench.together(SPEC, tmp_path / "two", "fsdp")
    whole, divided = (setup.activation_bytes for setup in bench.setups[-2:])
    assert divided == whole
    assert whole["none"] > 0


def test_a_later_round_begins_with_the_weights_of_the_one_before(bench: Bench, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    first, _ = bench.together(SPEC, tmp_path / "first", "ddp")
    save_file(first, str(start))
    again = bench.together(SPEC, tmp_path / "two", "fsdp", start=start)
    assert_close(bench.alone(SPEC, tmp_path / "one", start), again)
    key = next(iter(first))
    assert not torch.equal(first[key], again[0][key])


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_resumed_equals_straight_and_one_process_can_go_on(mode: str, bench: Bench, tmp_path: Path) -> None:
    straight = bench.together(SPEC, tmp_path / "straight", mode)
    for stop_at in (1, 2):
        with pytest.raises(Stopped):
            bench.together(SPEC, tmp_path / "stopped", mode, stop_at=stop_at)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "state.safetensors").write_bytes((tmp_path / "stopped" / "state.safetensors").read_bytes())
    assert_equal(straight, bench.together(SPEC, tmp_path / "stopped", mode))
    assert_close(straight, bench.alone(SPEC, tmp_path / "one"))


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_a_process_that_dies_is_told_at_once_and_training_goes_on_after_it(
    mode: str, bench: Bench, tmp_path: Path
) -> None:
    straight = bench.together(SPEC, tmp_path / "straight", mode)
    with pytest.raises(TrainingError, match=r"process 1 of the 2 .* ended with exit status -9"):
        bench.together(SPEC, tmp_path / "killed", mode, kill_at=3)
    assert (tmp_path / "killed" / "state.safetensors").exists()
    assert_equal(straight, bench.together(SPEC, tmp_path / "killed", mode))


def test_a_process_that_cannot_take_part_says_why(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"process 1 of the 2 .* failed") as told:
        bench.together(SPEC, tmp_path / "other", "ddp", fingerprint="of another model")
    assert "another base model" in str(told.value)


def test_numbers_that_break_are_told_by_all_and_the_next_round_works(bench: Bench, tmp_path: Path) -> None:
    whole = bench.data
    bench.data = TrainingSet(**{**vars(whole), "z_0_NCThw": torch.full_like(whole.z_0_NCThw, float("nan"))})
    try:
        with pytest.raises(TrainingError, match="not finite"):
            bench.together(SPEC.model_copy(update={"num_steps": 9}), tmp_path / "broken", "ddp")
    finally:
        bench.data = whole
    assert bench.together(SPEC, tmp_path / "whole", "ddp")[1].step == SPEC.num_steps
