"""How processes share a step, without any: rows, curves of parts, the launcher's words, what is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from rushes.errors import RecipeError, TrainingError
from rushes.families.texts import TextStates
from rushes.recipe.load import load_recipe
from rushes.train.assignment import read_material, write_material
from rushes.train.batch import FlowBatch
from rushes.train.data import TrainingSet
from rushes.train.helper import _end_with_parent
from rushes.train.launched import Launched, launched
from rushes.train.objective import num_items
from rushes.train.parallel import Alone, rows_of
from rushes.train.shelf import shelved
from rushes.train.tally import Tally
from rushes.train.team import device_of
from rushes.train.watch import HeldOut

MANY = "runtime.train.num_processes"


def test_slices_add_up_to_the_batch_in_order() -> None:
    for num in (1, 2, 4):
        rows = [row for rank in range(num) for row in range(8)[rows_of(rank, num, 8)]]
        assert rows == list(range(8))


def _counted(losses: list[tuple[bool, float]]) -> Tally:
    """What a part of a batch adds, for items that are (real or not, loss)."""
    tally, is_real = Tally(), torch.tensor([real for real, _ in losses])
    loss = torch.tensor([value for _, value in losses])
    zeros = torch.zeros(len(losses))
    batch = FlowBatch(zeros, zeros, zeros, TextStates(zeros), zeros, is_real)
    terms = {"weighted_flow": ~is_real, "real_flow": is_real}
    tally.add({name: loss[where].mean() for name, where in terms.items() if where.any()}, num_items(batch), loss)
    return tally


def test_curves_are_means_over_the_items_of_the_whole_batch() -> None:
    """Parts with one, two and no real clip: a mean of the parts' means would be 1.5, 2 and so on."""
    parts = [[(False, 1.0), (False, 2.0), (True, 8.0)], [(False, 6.0), (True, 1.0), (True, 3.0)], [(False, 3.0)] * 3]

    sent: list[list[float]] = []

    class Sent(Alone):
        """Notes what a process gives to the others, and answers with what all gave."""

        def gather(self, values: Sequence[float]) -> list[list[float]]:
            sent.append(list(values))
            return sent[-len(parts) :]

    for part in parts:
        _counted(part).of_batch(Sent())

    class Given(Alone):
        def gather(self, values: Sequence[float]) -> list[list[float]]:
            return sent

    means, error_B = _counted(parts[0]).of_batch(Given())
    assert means == {"weighted_flow": (1 + 2 + 6 + 3 * 3) / 6, "real_flow": (8 + 1 + 3) / 3}
    assert error_B.tolist() == [1, 2, 8, 6, 1, 3, 3, 3, 3]
    alone, _ = _counted(parts[1]).of_batch(Alone())
    assert alone == {"weighted_flow": 6.0, "real_flow": 2.0}


def _data() -> tuple[TrainingSet, tuple[HeldOut, ...]]:
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
    return data, (HeldOut("real", data.z_0_NCThw[:2], text), HeldOut("own", data.z_0_NCThw[1:], text[[0, 1, 1]]))


@pytest.mark.parametrize("on_shelf", [False, True])
def test_the_others_read_what_the_first_one_wrote(on_shelf: bool, tmp_path: Path) -> None:
    data, held_out = _data()
    if on_shelf:
        shelved(tmp_path, "latents", 4, 2, lambda part: {"z_0": data.z_0_NCThw[part]})
        shelved(tmp_path, "text", 2, 2, lambda part: data.text[part].tensors())
    write_material(tmp_path, data, held_out)
    got, sets = read_material(tmp_path)
    for name in ("z_0_NCThw", "weight_N", "preference_N", "is_real_N", "text_row_N"):
        assert torch.equal(getattr(got, name), getattr(data, name)), name
    assert [each.name for each in sets] == ["real", "own"]
    pairs = [
        (got.text, data.text),
        (got.empty, data.empty),
        *((a.text, b.text) for a, b in zip(sets, held_out, strict=True)),
    ]
    for first, second in pairs:
        assert set(first.tensors()) == set(second.tensors()) == {"states_BLD", "mask_BL"}
        assert all(torch.equal(value, second.tensors()[name]) for name, value in first.tensors().items())
    assert all(torch.equal(a.z_0_NCThw, b.z_0_NCThw) for a, b in zip(sets, held_out, strict=True))
    size = (tmp_path / "material.safetensors").stat().st_size
    if on_shelf:
        (tmp_path / "apart").mkdir()
        write_material(tmp_path / "apart", data, held_out)
        assert size < (tmp_path / "apart" / "material.safetensors").stat().st_size


def test_a_folder_that_is_not_shared_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not see"):
        read_material(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["train.batch_size=6", f"{MANY}=4"], "the next larger one is 8"),
        (["train.batch_size=12", "train.num_accumulation=4", f"{MANY}=2"], "the next larger one is 16"),
        ([f"{MANY}=2", "train.realism.kind=moments"], "use real_flow"),
        ([f"{MANY}=2", "runtime.train.parallel=fsdp", "train.optimizer=adamw_8bit"], "divided weights"),
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
    assert load_recipe("sandbox", ["train.batch_size=7"]).train.batch_size == 7


ENVIRONMENT = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


def test_what_launchers_say_is_read() -> None:
    assert launched({}) is None
    assert launched({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert launched(ENVIRONMENT) == Launched(rank=3, local_rank=1, num_processes=4, fsdp=False)
    assert launched({**ENVIRONMENT, "ACCELERATE_USE_FSDP": "true"}) == Launched(3, 1, 4, fsdp=True)


@pytest.mark.parametrize("change", [{"MASTER_PORT": ""}, {"RANK": "4"}, {"RANK": "-1"}, {"WORLD_SIZE": "many"}])
def test_half_an_environment_is_an_error(change: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match="how they meet"):
        launched({**ENVIRONMENT, **change})


def test_a_launcher_that_starts_one_process_of_several_is_told_of() -> None:
    """What `accelerate launch --cpu --num_processes 2` sets without MPI: where to meet, and nobody's rank."""
    single = {"ACCELERATE_USE_CPU": "True", "ACCELERATE_MIXED_PRECISION": "no"}
    assert launched(single) is None
    with pytest.raises(RecipeError, match="has started one") as told:
        launched({**single, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"})
    assert "--num-processes" in str(told.value)
    assert launched({**ENVIRONMENT, **single}) == launched(ENVIRONMENT)
    assert launched({"MASTER_ADDR": "127.0.0.1"}) is None, "a cluster's own variable"


def test_every_process_needs_a_device_of_its_own() -> None:
    assert device_of("cpu", 5).type == "cpu"
    with pytest.raises(RecipeError, match="a device each"):
        device_of("cuda:1", 0)
    with pytest.raises(RecipeError, match="fewer GPUs"):
        device_of("cuda", torch.cuda.device_count())


def test_a_helper_ends_when_the_process_that_started_it_is_gone() -> None:
    heard, held = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:  # the helper: it holds the pipe as long as it lives
            _end_with_parent()
            time.sleep(60)
            os._exit(0)
        time.sleep(0.2)
        os._exit(0)
    os.close(held)
    os.waitpid(parent, 0)
    began = time.monotonic()
    assert os.read(heard, 1) == b""
    assert time.monotonic() - began < 30
    os.close(heard)
