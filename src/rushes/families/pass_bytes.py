"""The memory of a transformer's passes, counted: a step of training with its backward pass, a pass of sampling.

The real class runs the real step at the real shape on fake tensors, which have shapes and no memory, and every tensor
that an operation makes is counted while it lives (`Meter`). Kernels are told apart by what they keep: `flash` keeps
queries, keys, values and output, `math` the table of scores. Working memory inside of kernels is not counted.
"""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Set
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final, Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from rushes.errors import StoreError
from rushes.families.family import Family
from rushes.families.meter import Meter
from rushes.families.mixed_precision import autocast, computes_in_half
from rushes.families.on_paper import (
    CONDITIONS,
    NumberFormat,
    as_on_gpu,
    class_of,
    drawn,
    faking,
    in_float8,
    make_fake,
    text_input,
)
from rushes.families.paper import Paper
from rushes.families.recompute import Recompute, apply_recompute
from rushes.families.swap import blocks_of, comes_and_goes
from rushes.families.trainable import add_adapter, round_frozen
from rushes.families.weights import cache_folder
from rushes.recipe.train import LoraSpec
from rushes.store.files import make_folder, write_atomic
from rushes.store.identity import content_hash
from rushes.store.sums import closed, opened

FEW: Final = 2
"""Blocks of each kind that are counted; one more where the model's number is odd."""
COUNT: Final = 4
"""Version of how passes are counted: raised with it, so that kept counts are made again."""
_KERNELS: Final = {"flash": SDPBackend.FLASH_ATTENTION, "math": SDPBackend.MATH}


@dataclass(frozen=True)
class PassOrder:
    """A pass to count."""

    latents: tuple[int, int, int, int]
    """C, t, h, w of one clip, as the family lays them out."""
    num_text: int
    """Text tokens, padding included."""
    num_clips: int = 1
    """Clips at once."""
    weights: NumberFormat = "float32"
    """Number format of the weights that are not trained."""
    lora: LoraSpec | None = None
    """The adapter that is trained; None trains all weights, in float32."""
    autocast: bool = True
    """Whether float32 weights compute in bfloat16."""
    recompute: Recompute = "none"
    """Which blocks are recomputed in the backward pass."""
    kernel: Literal["flash", "math"] = "flash"
    """What attention keeps."""
    on_gpu: bool = True
    """Whether norms compute in float32 under autocast, as on a GPU."""


@dataclass(frozen=True)
class PassBytes:
    """Memory of a pass, bytes."""

    weights: int
    """All weights of the network, an adapter included, and its buffers."""
    frozen: int
    """A frozen copy of the network as a comparison with the start needs it, rounded under autocast; 0 for adapters."""
    num_trained: int
    """Trained parameters (a number, not bytes)."""
    peak: int
    """Most that lives at once besides the weights: activations, gradients, the weights that autocast rounds."""
    blocks: int = 0
    """Frozen weights in the blocks, which can wait in main memory (`families.swap`); 0 for full tuning."""
    block: int = 0
    """Those of the largest block."""


def step_bytes(paper: Paper, order: PassOrder) -> PassBytes:
    """`count_step` of all blocks, from counts with few: every further pair of blocks of a kind adds the same.

    Counts are kept in the user's cache, so that none is made twice on a machine.

    Args:
        paper: the transformer.
        order: the step.
    """
    return _kept("step", paper, order, lambda: _of_all_blocks(paper, order))


def sampling_pass_bytes(paper: Paper, order: PassOrder) -> PassBytes:
    """`count_sampling`, kept as by `step_bytes`."""
    return _kept("sampling", paper, order, lambda: count_sampling(paper, order))


def _of_all_blocks(paper: Paper, order: PassOrder) -> PassBytes:
    depths = depths_of(paper)
    # Odd and even numbers of blocks differ where every second one is recomputed.
    few = {name: min(depth, FEW + depth % 2) for name, depth in depths.items()}
    base = count_step(paper.with_blocks(few), order)
    found = vars(base).copy()
    for name, depth in depths.items():
        if depth > few[name]:
            more = count_step(paper.with_blocks({**few, name: few[name] + 2}), order)
            num_pairs = (depth - few[name]) // 2
            for each, value in vars(more).items():
                found[each] += num_pairs * (value - getattr(base, each))
    return PassBytes(**found)


def depths_of(paper: Paper) -> dict[str, int]:
    """Blocks of each kind, by the name of the setting."""
    taken = inspect.signature(class_of(paper).__init__).parameters
    return {
        name: int(paper.config.get(name, taken[name].default))
        for name in ("num_layers", "num_single_layers")
        if name in taken
    }


CANNOT_RUN: Final = (RuntimeError, ValueError, TypeError, KeyError, IndexError)
"""What a pass raises whose settings fit no model, like a text length that its positions do not have."""
_counted: Final[dict[str, PassBytes]] = {}


def _kept(kind: str, paper: Paper, order: PassOrder, count: Callable[[], PassBytes]) -> PassBytes:
    versions = {name: version(name) for name in ("torch", "diffusers", "peft")}
    said = {"kind": kind, "paper": asdict(paper), "order": _plain(order), "versions": versions, "count": COUNT}
    key = content_hash(said)
    if key not in _counted:
        note = cache_folder().parent / "passes" / f"{key}.json"
        try:
            noted = opened(note.read_bytes(), ("bytes", "sha256"))
        except OSError:
            noted = None
        if noted is not None:
            _counted[key] = PassBytes(**json.loads(str(noted["bytes"])))
        else:
            _counted[key] = count()
            with contextlib.suppress(StoreError):  # an unwritable cache only costs time
                make_folder(note.parent)
                write_atomic(note, closed({"bytes": json.dumps(asdict(_counted[key])), "sha256": key}))
    return _counted[key]


def _plain(order: PassOrder) -> dict[str, object]:
    return {**vars(order), "lora": None if order.lora is None else order.lora.model_dump(mode="json")}


def count_step(paper: Paper, order: PassOrder) -> PassBytes:
    """A forward and a backward pass of a training step, its gradients included, without the optimiser.

    Args:
        paper: the transformer.
        order: the step.
    """
    family: Family = drawn(paper, "float32" if order.lora is None else order.weights)  # type: ignore[assignment]
    network = family.transformer
    if order.lora is None:
        network.requires_grad_(True)
    else:
        add_adapter(network, order.lora, family.lora_targets, autocast=order.autocast)
        if order.autocast:
            round_frozen(network)
    saved = 0
    with faking(), torch.random.fork_rng(devices=[]):
        make_fake(network)
        if order.lora is not None and order.weights == "float8":
            saved = in_float8(network)
        apply_recompute(network.train(), order.recompute, (_send_away, _bring_back))
        peak = _peak_of_step(family, order)
    cast = {id(layer) for layer in _cast(network)} if order.weights == "float8" else set[int]()
    held, each = _num_bytes(network), [_frozen_bytes(block, cast) for block in blocks_of(network)]
    num_trained = sum(value.numel() for value in network.parameters() if value.requires_grad)
    copy = 0 if order.lora is not None else _rounded_bytes(network) if order.autocast else held
    swapped = (sum(each), max(each, default=0)) if order.lora is not None else (0, 0)
    return PassBytes(held - saved, copy, num_trained, peak, *swapped)


def count_sampling(paper: Paper, order: PassOrder) -> PassBytes:
    """A pass without gradients. All blocks but two are left out, since none keeps anything.

    Args:
        paper: the transformer.
        order: `num_clips` at once, guidance included where a family's pipeline joins both passes.
    """
    few = paper.with_blocks({name: min(2, depth) for name, depth in depths_of(paper).items()})
    whole, family = drawn(paper, order.weights), drawn(few, order.weights)
    saved = 0
    with faking():
        make_fake(family.transformer)
        if order.weights == "float8":
            in_float8(family.transformer)
        with torch.no_grad(), Meter() as meter, _as_on(order):
            _run(family, order)
    if order.weights == "float8":
        saved = sum(layer.weight.nbytes // 2 for layer in _cast(whole.transformer))
    return PassBytes(_num_bytes(whole.transformer) - saved, 0, 0, meter.peak)


def _frozen_bytes(block: torch.nn.Module, cast: Set[int]) -> int:
    """Bytes of the layers that come and go; those in `cast` are stored in 8 bits."""
    layers: list[Any] = [module for module in block.modules() if comes_and_goes(module)]
    total = sum(value.nbytes for layer in layers for value in layer.parameters())
    saved: int = sum(layer.weight.nbytes // 2 for layer in layers if id(layer) in cast)
    return int(total) - saved


def _cast(transformer: Any) -> list[Any]:
    from rushes.families.mixed_precision import cast_layers

    return cast_layers(transformer)


def _peak_of_step(family: Any, order: PassOrder) -> int:
    kernels = sdpa_kernel([_KERNELS[order.kernel], SDPBackend.MATH], set_priority=True)
    with Meter() as meter, kernels, _as_on(order):  # for recomputed blocks as well
        # The loss of most objectives: a mean of squares, in float32.
        velocity = _run(family, order).float()
        loss = (velocity - torch.zeros_like(velocity)).square().mean()
        del velocity
        loss.backward()
    peak: int = meter.peak
    return peak


def _send_away(value: torch.Tensor) -> tuple[torch.Size, tuple[int, ...], torch.dtype]:
    """What `offload` keeps of an input on the device: nothing."""
    return value.shape, value.stride(), value.dtype


def _bring_back(sent: tuple[torch.Size, tuple[int, ...], torch.dtype]) -> torch.Tensor:
    shape, stride, dtype = sent
    return torch.empty_strided(shape, stride, dtype=dtype)


def _as_on(order: PassOrder) -> AbstractContextManager[Any]:
    return as_on_gpu() if order.on_gpu else contextlib.nullcontext()


def _run(family: Any, order: PassOrder) -> torch.Tensor:
    network = family.transformer
    z_t = torch.zeros(order.num_clips, *order.latents)
    text = text_input(network, order.num_clips, order.num_text)
    if computes_in_half(network):
        halves = {name: x.bfloat16() if x.is_floating_point() else x for name, x in text.tensors().items()}
        z_t, text = z_t.bfloat16(), type(text).of(halves)
    timestep = torch.zeros(order.num_clips)
    if family.name == "hunyuan15":  # its pipeline gives the level in the format of the latents
        timestep = timestep.to(z_t.dtype)
    if family.name == "cogvideox":
        timestep = timestep.long()
    is_mixed = order.autocast and not computes_in_half(network)
    # Not `mixed_precision`: whether the processor that counts has instructions for bfloat16 does not matter.
    with autocast(torch.device("cpu"), torch.bfloat16, enabled=is_mixed):
        velocity: torch.Tensor = family.predict(network, z_t, timestep, text, CONDITIONS)
    return velocity


def _num_bytes(module: torch.nn.Module) -> int:
    return sum(value.nbytes for value in (*module.parameters(), *module.buffers()))


def _rounded_bytes(module: torch.nn.Module) -> int:
    """Bytes of a frozen copy after `round_frozen`."""
    keep = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    total = _num_bytes(module)
    for name, part in module.named_modules():
        if isinstance(part, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)) and not set(name.split(".")) & keep:
            total -= sum(value.nbytes // 2 for value in part.parameters(recurse=False))
    return total
