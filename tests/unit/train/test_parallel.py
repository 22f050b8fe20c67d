"""How processes share a step, without any: rows, curves of parts, the launcher's words, what is refused."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from rushes.errors import RecipeError, TrainingError
from rushes.families.texts import TextStates
from rushes.recipe.load import load_recipe
from rushes.train.batch import FlowBatch
from rushes.train.data import TrainingSet
from rushes.train.handover import Material, read_material, write_material
from rushes.train.launch import device_of
from rushes.train.launched import MARK, check_launch, end_with_parent, launched, left_over
from rushes.train.objective import num_items
from rushes.train.parallel import ALONE, Parallel, rows_of
from rushes.train.shelf import shelved
from rushes.train.tally import Tally
from rushes.train.watch import HeldOut

MANY = "runtime.train.num_processes"


def test_slices_add_up_to_the_batch_in_order() -> None:
    for num in (1, 2, 4):
        rows = [row for rank in range(num) for row in range(8)[rows_of(rank, num, 8)]]
        assert rows == list(range(8))


def _counted(losses: list[tuple[bool, float]]) -> Tally:
    """What a part of a batch adds, for items that are (real or not, loss)."""
    tally, is_real = Tally(("weighted_flow", "real_flow")), torch.tensor([real for real, _ in losses])
    loss = torch.tensor([value for _, value in losses])
    zeros = torch.zeros(len(losses))
    batch = FlowBatch(zeros, zeros, zeros, TextStates(zeros), zeros, is_real)
    terms = {"weighted_flow": ~is_real, "real_flow": is_real}
    tally.add({name: loss[where].mean() for name, where in terms.items() if where.any()}, num_items(batch, terms), loss)
    return tally


def test_curves_are_means_over_the_items_of_the_whole_batch() -> None:
    """Parts with one, two and no real clip: a mean of the parts' means would be 1.5, 2 and so on."""
    parts = [[(False, 1.0), (False, 2.0), (True, 8.0)], [(False, 6.0), (True, 1.0), (True, 3.0)], [(False, 3.0)] * 3]

    sent: list[list[float]] = []

    class Sent(Parallel):
        """Notes what a process gives to the others, and answers with what all gave."""

        def gather(self, values: Sequence[float]) -> list[list[float]]:
            sent.append(list(values))
            return sent[-len(parts) :]

    for part in parts:
        _counted(part).of_batch(Sent())

    class Given(Parallel):
        def gather(self, values: Sequence[float]) -> list[list[float]]:
            return sent

    found = _counted(parts[0]).of_batch(Given())
    means, error_B = found.means, found.error_B
    assert means == {"weighted_flow": (1 + 2 + 6 + 3 * 3) / 6, "real_flow": (8 + 1 + 3) / 3}
    assert error_B.tolist() == [1, 2, 8, 6, 1, 3, 3, 3, 3]
    assert found.judged_B.isnan().all() and len(found.judged_B) == 9
    alone = _counted(parts[1]).of_batch(ALONE).means
    assert alone == {"weighted_flow": 6.0, "real_flow": 2.0}


def _material() -> Material:
    generator = torch.Generator().manual_seed(0)
    text = TextStates(torch.randn((2, 3, 4), generator=generator), mask_BL=torch.tensor([[True, True, False]] * 2))
    data = TrainingSet(
        z_0_NCThw=torch.randn((4, 2, 1, 2, 2), generator=generator),
        text=text,
        empty=text[:1],
        weight_N=torch.tensor([1.0, 0.0, 2.0, 1.0]),
        preference_N=torch.tensor([0.1, 0.2, 0.3, 1.0]),
        is_real_N=torch.tensor([False, False, False, True]),
        text_row_N=torch.tensor([0, 1, 1, 0]),
    )
    real, own = HeldOut("real", data.z_0_NCThw[:2], text), HeldOut("own", data.z_0_NCThw[1:], text[[0, 1, 1]])
    return Material(data, (real, own), text[[1, 0]])


@pytest.mark.parametrize("on_shelf", [False, True])
def test_the_others_read_what_the_first_one_wrote(on_shelf: bool, tmp_path: Path) -> None:
    given = _material()
    data, held_out = given.data, given.held_out
    if on_shelf:
        shelved(tmp_path, "latents", 4, 2, lambda part: {"z_0": data.z_0_NCThw[part]})
        shelved(tmp_path, "text", 2, 2, lambda part: data.text[part].tensors())
    write_material(tmp_path, given)
    read = read_material(tmp_path)
    got, sets = read.data, read.held_out
    for name in ("z_0_NCThw", "weight_N", "preference_N", "is_real_N", "text_row_N"):
        assert torch.equal(getattr(got, name), getattr(data, name)), name
    assert [each.name for each in sets] == ["real", "own"]
    pairs = [
        (got.text, data.text),
        (got.empty, data.empty),
        (read.preview_texts, given.preview_texts),
        *((a.text, b.text) for a, b in zip(sets, held_out, strict=True)),
    ]
    for first, second in pairs:
        assert first is not None and second is not None
        assert set(first.tensors()) == set(second.tensors()) == {"states_BLD", "mask_BL"}
        assert all(torch.equal(value, second.tensors()[name]) for name, value in first.tensors().items())
    assert all(torch.equal(a.z_0_NCThw, b.z_0_NCThw) for a, b in zip(sets, held_out, strict=True))
    size = (tmp_path / "material.safetensors").stat().st_size
    if on_shelf:
        (tmp_path / "apart").mkdir()
        write_material(tmp_path / "apart", given)
        assert size < (tmp_path / "apart" / "material.safetensors").stat().st_size


def test_a_folder_that_is_not_shared_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot access"):
        read_material(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["train.batch_size=6", f"{MANY}=4"], "the next larger one is 8"),
        (["train.batch_size=12", "train.num_accumulation=4", f"{MANY}=2"], "the next larger one is 16"),
        ([f"{MANY}=2", "train.realism.kind=moments"], "use real_flow"),
        ([f"{MANY}=2", "runtime.train.parallel=fsdp", "train.optimizer=adamw_8bit"], "sharded weights"),
        ([f"{MANY}=0"], MANY),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_is_made(settings: list[str], words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        load_recipe("sandbox", settings)
    assert words in str(refused.value)


def test_what_can_be_shared_is_not() -> None:
    recipe = load_recipe("sandbox", [f"{MANY}=4", "train.batch_size=16", "train.optimizer=adamw_8bit"])
    assert recipe.runtime.train.num_processes == 4
    assert load_recipe("sandbox", ["train.batch_size=7", "train.objective={kind: nft}"]).train.batch_size == 7


ENVIRONMENT = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Sets what the environment says of several processes, and nothing else."""

    def set_(names: dict[str, str]) -> None:
        for name in (*ENVIRONMENT, MARK, "ACCELERATE_USE_CPU", "ACCELERATE_USE_FSDP"):
            monkeypatch.delenv(name, raising=False)
        for name, value in names.items():
            monkeypatch.setenv(name, value)

    return set_


def test_only_a_launchers_own_mark_makes_several_processes(environment: Callable[[dict[str, str]], None]) -> None:
    for names in ({}, {"RANK": "0", "WORLD_SIZE": "1"}, {MARK: "x", **ENVIRONMENT, "WORLD_SIZE": "1"}):
        environment(names)
        assert (launched(), left_over()) == (None, "")
        check_launch(1)
        check_launch(2)
    environment({MARK: "x", **ENVIRONMENT})
    assert (launched(), left_over()) == (4, "")
    check_launch(4)
    with pytest.raises(RecipeError, match="a different number of processes"):
        check_launch(2)


def test_variables_that_stayed_behind_are_ignored_or_told_of(environment: Callable[[dict[str, str]], None]) -> None:
    """One process needs none of them; of several it is not clear who is to start them."""
    environment({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"})
    assert (launched(), left_over()) == (None, "RANK=0 WORLD_SIZE=2")
    check_launch(1)
    with pytest.raises(RecipeError, match="neither torchrun nor accelerate launch") as told:
        check_launch(2)
    assert "RANK=0 WORLD_SIZE=2" in str(told.value) and "unset RANK WORLD_SIZE" in str(told.value)


def test_a_launcher_that_starts_one_process_of_several_is_told_of(
    environment: Callable[[dict[str, str]], None],
) -> None:
    """What `accelerate launch --cpu --num_processes 2` sets without MPI: where to meet, and nobody's rank."""
    single = {"ACCELERATE_USE_CPU": "True", "ACCELERATE_MIXED_PRECISION": "no"}
    environment(single)
    check_launch(1)
    environment({**single, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"})
    with pytest.raises(RecipeError, match="but started one") as told:
        check_launch(1)
    assert "--num-processes" in str(told.value)
    environment({MARK: "x", **ENVIRONMENT, **single})
    check_launch(4)
    environment({"MASTER_ADDR": "127.0.0.1"})
    check_launch(1)


def test_every_process_needs_a_device_of_its_own() -> None:
    assert device_of("cpu", 5).type == "cpu"
    with pytest.raises(RecipeError, match="its own device"):
        device_of("cuda:1", 0)
    with pytest.raises(RecipeError, match="fewer GPUs"):
        device_of("cuda", torch.cuda.device_count())


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends processes with their parents")
def test_a_process_ends_with_the_one_that_started_it() -> None:
    heard, held = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:  # it holds the pipe as long as it lives
            end_with_parent()
            time.sleep(60)
            os._exit(0)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(held)
    os.waitpid(parent, 0)
    began = time.monotonic()
    assert os.read(heard, 1) == b""
    assert time.monotonic() - began < 5
    os.close(heard)


def test_a_process_whose_parent_is_gone_already_ends() -> None:
    child = multiprocessing.get_context("fork").Process(target=end_with_parent, args=(os.getpid() + 1,))
    child.start()
    child.join(20)
    assert child.exitcode == 1
