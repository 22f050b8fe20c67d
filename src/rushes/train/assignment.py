"""What the first process tells the others before they train together, and how: a text, and a file in the run folder.

The material is safetensors files that the first process writes and the others only read: what lies on the shelf in the
run's scratch folder already, mapped, and one file with the rest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.family import Conditions
from rushes.families.texts import TextStates
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import TrainSpec
from rushes.store.files import explained
from rushes.train.data import TrainingSet
from rushes.train.watch import HeldOut

MATERIAL: Final = "material.safetensors"
"""Name of the file in the scratch folder."""


class Task(BaseModel):
    """How one round is trained: the same for every process."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    spec: TrainSpec
    runtime: TrainRuntime
    seed: int
    """Of order, noise and noise levels."""
    conditions: Conditions
    """What the transformer is told besides latents, timestep and text."""


class Assignment(BaseModel):
    """What another process has to know to take part."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    task: Task
    base: BaseModelSpec
    fingerprint: str
    """Of the base's weights: all processes must have loaded the same."""
    device: str
    """Kind of device, `cpu` or `cuda`."""
    num_threads: int
    """CPU threads of torch."""
    scratch: Path
    """The folder with the resumable state and the material; every process can read it."""
    start: Path | None
    """The weights to begin from; None for the base's."""


def write_material(folder: Path, data: TrainingSet, held_out: Sequence[HeldOut]) -> None:
    """Write what training reads, for the other processes; whole or not at all.

    Args:
        folder: the scratch folder; latents and texts that `shelved` has put there are not written again.
        data: what is trained on.
        held_out: what is only looked at.

    Raises:
        StoreError: disk full or read-only.
    """
    tensors = {
        "weight": data.weight_N,
        "preference": data.preference_N,
        "is_real": data.is_real_N,
        **({} if data.text_row_N is None else {"text_row": data.text_row_N}),
        **_named("empty", data.empty),
    }
    if not _shelf(folder, "latents"):
        tensors["z_0"] = data.z_0_NCThw
    if not _shelf(folder, "text"):
        tensors |= _named("text", data.text)
    for index, each in enumerate(held_out):  # in order: all processes go through the sets together
        tensors[f"held_out.{index}.{each.name}.z_0"] = each.z_0_NCThw.clone()
        tensors |= _named(f"held_out.{index}.{each.name}.text", each.text)
    temporary = folder / f".{MATERIAL}.tmp"
    with explained(folder / MATERIAL):
        save_file({name: value.contiguous() for name, value in tensors.items()}, str(temporary))
        os.replace(temporary, folder / MATERIAL)


def read_material(folder: Path) -> tuple[TrainingSet, tuple[HeldOut, ...]]:
    """What `write_material` wrote.

    Raises:
        TrainingError: it is not there: the run folder is not on a disk that this process sees.
    """
    path = folder / MATERIAL
    if not path.exists():
        raise TrainingError(
            f"this process does not see the training material {path}",
            expected="a run folder on a disk that all processes share",
            next_step="put the run folder on a shared disk: --home",
        )
    tensors = _tensors(path)
    for shelf, name in (("latents", ""), ("text", "text.")):
        for field, file in _shelf(folder, shelf).items():
            tensors[f"{name}{field}"] = _tensors(file)["rows"]
    data = TrainingSet(
        z_0_NCThw=tensors["z_0"],
        text=_texts(tensors, "text"),
        empty=_texts(tensors, "empty"),
        weight_N=tensors["weight"],
        preference_N=tensors["preference"],
        is_real_N=tensors["is_real"],
        text_row_N=tensors.get("text_row"),
    )
    starts = sorted(
        name.removesuffix(".z_0") for name in tensors if name.startswith("held_out.") and name.endswith(".z_0")
    )
    return data, tuple(
        HeldOut(start.split(".")[2], tensors[f"{start}.z_0"], _texts(tensors, f"{start}.text")) for start in starts
    )


def _shelf(folder: Path, name: str) -> dict[str, Path]:
    """Files that `shelf.shelved` has finished, by field."""
    return {path.stem.removeprefix(f"{name}-"): path for path in sorted(folder.glob(f"{name}-*.safetensors"))}


def _tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, mapped: rows are read when they are asked for."""
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def _named(prefix: str, text: TextStates) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value.clone() for name, value in text.tensors().items()}


def _texts(tensors: dict[str, Tensor], prefix: str) -> TextStates:
    start = f"{prefix}."
    return TextStates.of({name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)})
