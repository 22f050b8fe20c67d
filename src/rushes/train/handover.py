"""The training data as files in the run's scratch folder: written by one process, read by all training processes.

Files that `shelved` has already written are memory-mapped; one more safetensors file holds the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import safe_open
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.texts import TextStates
from rushes.store.rows import finished
from rushes.store.tensors import write_tensors
from rushes.train.data import TrainingSet
from rushes.train.watch import HeldOut

FILE_NAME: Final = "material.safetensors"
OPTIONAL: Final = ("text_row_N", "seed_N", "score_N", "advantage_N", "group_N", "partner_N", "pairs_P2")
"""Columns of a training set that may be None."""


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that training reads."""

    data: TrainingSet
    """What is trained on."""
    held_out: tuple[HeldOut, ...] = ()
    """Clips whose error is only recorded."""
    preview_texts: TextStates | None = None
    """The transformer's input for the texts in `PreviewOrder.read`; None without previews."""


def write_material(folder: Path, material: Material) -> None:
    """Write it for the other processes, atomically.

    Raises:
        StoreError: disk full or read-only.
    """
    data = material.data
    tensors = {
        "weight": data.weight_N,
        "preference": data.preference_N,
        "is_real": data.is_real_N,
        **{name: values for name in OPTIONAL if (values := getattr(data, name)) is not None},
        **_named("empty", data.empty),
        **({} if material.preview_texts is None else _named("preview", material.preview_texts)),
    }
    if not finished(folder, "latents"):
        tensors["z_0"] = data.z_0_NCThw
    if not finished(folder, "text"):
        tensors |= _named("text", data.text)
    for index, each in enumerate(material.held_out):  # in order: all processes go through the sets together
        tensors[f"held_out.{index}.{each.name}.z_0"] = each.z_0_NCThw.clone()
        tensors |= _named(f"held_out.{index}.{each.name}.text", each.text)
    write_tensors(folder / FILE_NAME, tensors)


def read_material(folder: Path) -> Material:
    """What `write_material` wrote.

    Raises:
        TrainingError: it does not exist: the run folder is not on a disk that this process can access.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise TrainingError(
            f"this process cannot access the training data {path}",
            expected="a run folder on a disk that all processes share",
            next_step="put the run folder on a shared disk: --home",
        )
    tensors = _tensors(path)
    for shelf, name in (("latents", ""), ("text", "text.")):
        for field, file in finished(folder, shelf).items():
            tensors[f"{name}{field}"] = _tensors(file)["rows"]
    data = TrainingSet(
        z_0_NCThw=tensors["z_0"],
        text=_texts(tensors, "text"),
        empty=_texts(tensors, "empty"),
        weight_N=tensors["weight"],
        preference_N=tensors["preference"],
        is_real_N=tensors["is_real"],
        further=(),  # several processes read clips of one shape: a recipe with more is refused
        **{name: tensors.get(name) for name in OPTIONAL},
    )
    starts = sorted(
        name.removesuffix(".z_0") for name in tensors if name.startswith("held_out.") and name.endswith(".z_0")
    )
    held_out = tuple(
        HeldOut(start.split(".")[2], tensors[f"{start}.z_0"], _texts(tensors, f"{start}.text")) for start in starts
    )
    has_previews = any(name.startswith("preview.") for name in tensors)
    return Material(data, held_out, _texts(tensors, "preview") if has_previews else None)


def _tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, memory-mapped: rows are read on access."""
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def _named(prefix: str, text: TextStates) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value.clone() for name, value in text.tensors().items()}


def _texts(tensors: dict[str, Tensor], prefix: str) -> TextStates:
    start = f"{prefix}."
    return TextStates.of({name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)})
