"""Where a run's chunks are worked on: in this process, or on a Ray cluster. The records are the same either way."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rushes.errors import RecipeError
from rushes.generate.film import PipelineGenerator
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import BlobRef
from rushes.roles import Executor, Needs
from rushes.store.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def executor_of(runtime: RuntimeSpec) -> Executor | None:
    """The executor that a recipe names for filming, judging and measuring; None for this process.

    Raises:
        RecipeError: the recipe names one GPU by number where every worker is given one of its own.
    """
    if runtime.executor == "local":
        return None
    if runtime.device not in ("cuda:0", "cuda") and runtime.device.startswith("cuda"):
        raise RecipeError(
            "Ray's workers are given one GPU each, which is the only one they see",
            expected="runtime.device: cuda",
            got=runtime.device,
            next_step="set runtime.device: cuda",
        )
    from rushes.execute.ray import RayExecutor

    return RayExecutor(runtime.num_workers, runtime.ray_address)


def needs_of(runtime: RuntimeSpec) -> Needs:
    """What one worker needs: the recipe's threads, and a GPU where it computes on one."""
    return Needs(num_cpus=runtime.num_threads, num_gpus=1.0 if runtime.device.startswith("cuda") else 0.0)


def blobs_for_workers(blobs: Blobs) -> Blobs:
    """The same store by its full path: a worker has another working folder."""
    return replace(blobs, folder=blobs.folder.resolve())


def generator_builder(
    base: BaseModelSpec,
    runtime: RuntimeSpec,
    weights: BlobRef | None,
    blobs: Blobs,
    texts: Sequence[str],
    shape: ShapeSpec,
) -> Callable[[], PipelineGenerator]:
    """What a worker builds its own generator with; picklable, while a run's workbench is not.

    Args:
        base: the model.
        runtime: device and threads, whether the text encoder is freed once it has read, and what is offloaded.
        weights: of the checkpoint to film with; None for the base's own.
        blobs: where they are.
        texts: all that the stage has to read.
        shape: of the clips.
    """
    return partial(_build_generator, base, runtime, weights, blobs, texts, shape)


def _build_generator(
    base: BaseModelSpec,
    runtime: RuntimeSpec,
    weights: BlobRef | None,
    blobs: Blobs,
    texts: Sequence[str],
    shape: ShapeSpec,
) -> PipelineGenerator:
    import torch

    from rushes.families.load import load_family
    from rushes.families.offload import offload_order

    torch.set_num_threads(runtime.num_threads)
    family = load_family(base, runtime.device, offload_order(runtime, [shape]))
    if runtime.free_text_encoder:
        family.keep_texts(texts)
        family.drop_text_encoder()
    if weights is not None:
        family.load_weights(blobs.read_tensors(weights))
    return PipelineGenerator(family)
