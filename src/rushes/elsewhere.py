"""Where a run's chunks are worked on: in this process, or on a Ray cluster. The records are the same either way."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rushes.generate.film import PipelineGenerator
from rushes.records import BlobRef
from rushes.roles import Executor, Needs
from rushes.specs import BaseModelSpec, RuntimeSpec
from rushes.store.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Callable


def executor_of(runtime: RuntimeSpec) -> Executor | None:
    """The executor that a recipe names for filming, judging and measuring; None for this process."""
    if runtime.executor == "local":
        return None
    from rushes.execute.ray import RayExecutor

    return RayExecutor(runtime.num_workers, runtime.ray_address)


def needs_of(runtime: RuntimeSpec) -> Needs:
    """What one worker needs: the recipe's threads, and a GPU where it computes on one."""
    return Needs(num_cpus=runtime.num_threads, num_gpus=1.0 if runtime.device.startswith("cuda") else 0.0)


def blobs_for_workers(blobs: Blobs) -> Blobs:
    """The same store by its full path: a worker has another working folder."""
    return replace(blobs, folder=blobs.folder.resolve())


def generator_builder(
    base: BaseModelSpec, runtime: RuntimeSpec, weights: BlobRef | None, blobs: Blobs
) -> Callable[[], PipelineGenerator]:
    """What a worker builds its own generator with; picklable, while a run's workbench is not.

    Args:
        base: the model.
        runtime: device and threads.
        weights: of the checkpoint to film with; None for the base's own.
        blobs: where they are.
    """
    return partial(_build_generator, base, runtime, weights, blobs)


def _build_generator(
    base: BaseModelSpec, runtime: RuntimeSpec, weights: BlobRef | None, blobs: Blobs
) -> PipelineGenerator:
    import torch

    from rushes.families.load import load_family

    torch.set_num_threads(runtime.num_threads)
    family = load_family(base, runtime.device)
    if weights is not None:
        family.load_weights(blobs.read_tensors(weights))
    return PipelineGenerator(family)
