"""How a training run uses its device: recomputation, attention kernel, compilation. Chosen at the start.

Nothing here affects what is trained; the choice is written to the run's event log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from rushes.errors import RecipeError
from rushes.families.attention import attention_for
from rushes.families.kernel_trial import Tried
from rushes.families.model_size import moment_bytes
from rushes.families.recompute import (
    GPU_POLICIES,
    POLICIES,
    Recompute,
    activation_bytes,
    apply_recompute,
    choose_recompute,
    free_bytes,
)
from rushes.families.speed import compile_blocks
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import TrainSpec, micro_batch_size
from rushes.train.batch import FlowBatch
from rushes.train.data import Step, TrainingSet, step_batch
from rushes.train.kernels import choose_kernel
from rushes.train.network import Network
from rushes.train.parallel import ALONE, Parallel
from rushes.train.probe import idle_parameters, probe


@dataclass(frozen=True)
class Setup:
    """What was chosen, and why."""

    recompute: Recompute = "none"
    """Which blocks recompute their activations."""
    attention: str | None = None
    """Name of the preferred attention kernel; None leaves it to the device."""
    compiled: bool = False
    """Whether repeated blocks are compiled."""
    free_bytes: int | None = None
    """Free memory for activations and optimiser, bytes."""
    reserved_bytes: int = 0
    """The part of it for gradients and the optimiser's moments, bytes."""
    activation_bytes: dict[str, int] = field(default_factory=dict[str, int])
    """Activation memory under each policy, measured on one block of each kind."""
    kernel_trials: dict[str, Tried] = field(default_factory=dict[str, Tried])
    """Time and error of each attention kernel for the calls of one forward and backward pass; empty without trial."""

    def kernels(self, device: torch.device) -> AbstractContextManager[None]:
        """The context that selects the kernels."""
        return attention_for(device, self.attention)


PLAIN_SETUP = Setup()
"""No recomputation, the device's default kernels, no compilation."""


def prepare(
    network: Network, data: TrainingSet, spec: TrainSpec, runtime: TrainRuntime, parallel: Parallel = ALONE
) -> Setup:
    """Shard the network if required, measure with one micro-batch, choose, and apply the choice to the network.

    Several processes follow the first one's choice. With sharded weights all of them must measure, and recompute the
    same blocks.

    Raises:
        RecipeError: the recipe requests a kernel or a recomputation that this device or transformer does not have.
    """
    if runtime.compile_blocks:
        compile_blocks(network.tuned)  # before sharding, which renames its blocks
    parallel.divide(network)
    measures = parallel.is_sharded or parallel.rank == 0
    setup = parallel.of_first(_choose(network, data, spec, runtime, parallel) if measures else PLAIN_SETUP)
    if getattr(network.tuned, "_supports_gradient_checkpointing", False):
        apply_recompute(network.tuned, setup.recompute, whole=network.is_swapped)
    return setup


def _choose(network: Network, data: TrainingSet, spec: TrainSpec, runtime: TrainRuntime, parallel: Parallel) -> Setup:
    with _random_state_kept(network.device), uncompiled(runtime.compile_blocks):
        found = probe(network, _micro_batch(network, data, spec, parallel))
    attention, trials = choose_kernel(runtime.attention, found.calls, network.device)
    trained = sum(value.numel() for value in network.parameters().values())
    held = trained // parallel.num_processes if parallel.is_sharded else trained
    free, reserved = free_bytes(network.device), held * (4 + moment_bytes(spec))
    policies = GPU_POLICIES if network.device.type == "cuda" else POLICIES
    if network.is_swapped:
        policies = tuple(policy for policy in policies if policy not in ("none", "half"))
    recompute: Recompute = (
        choose_recompute(found.blocks, free, reserved, policies) if runtime.recompute == "auto" else runtime.recompute
    )
    if not found.blocks and runtime.recompute not in ("auto", "none"):
        raise RecipeError(
            f"{type(network.tuned).__name__} cannot recompute its blocks",
            got=runtime.recompute,
            next_step="--set runtime.train.recompute=none",
        )
    return Setup(
        recompute=recompute,
        attention=attention,
        compiled=runtime.compile_blocks,
        free_bytes=free,
        reserved_bytes=reserved,
        activation_bytes={policy: activation_bytes(found.blocks, policy) for policy in policies},
        kernel_trials=trials,
    )


def idle_in(network: Network, data: TrainingSet, spec: TrainSpec, setup: Setup, parallel: Parallel) -> set[str]:
    """Trained parameters that have no gradient in a step; for a network that is set up but not yet wrapped."""
    with _random_state_kept(network.device), setup.kernels(network.device):
        return idle_parameters(network, _micro_batch(network, data, spec, parallel))


def _micro_batch(network: Network, data: TrainingSet, spec: TrainSpec, parallel: Parallel) -> FlowBatch:
    size = micro_batch_size(spec, parallel.num_processes)
    spec, levels = spec.model_copy(update={"batch_size": size}), network.family.levels
    parts = step_batch(data, spec, 0, 0, levels).parts
    if data.shape_N is None:
        return parts[0].to(network.device).batch
    return _as_large_as_any(parts[0], data, size).to(network.device).batch


def _as_large_as_any(step: Step, data: TrainingSet, size: int) -> Step:
    """A micro-batch of clips of the largest shape that a training set has; what is in them does not matter here."""
    largest = max((data.z_0_NCThw, *data.further), key=lambda each: each[0].numel())
    again = torch.arange(size) % len(step.batch.sigma_B)
    fields = {name: getattr(step.batch, name)[again] for name in FlowBatch.__dataclass_fields__}
    z = torch.randn((size, *largest.shape[1:]), generator=torch.Generator().manual_seed(0))
    return Step(replace(step.batch, **{**fields, "z_0_BCTHW": z, "epsilon_BCTHW": z}))


def uncompiled(is_compiled: bool) -> AbstractContextManager[Any]:
    """Context for a pass that is measured or compared bit by bit: compiled blocks run uncompiled."""
    return torch.compiler.set_stance("force_eager") if is_compiled else nullcontext()


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
