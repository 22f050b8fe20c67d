"""Training without a run folder: an assignment in a folder of its own, trained alone, and what became of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from rushes.families.family import PLAIN, Conditions, Family
from rushes.plugins import objective_needs
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.runtime import PreviewRuntime, TrainRuntime
from rushes.recipe.train import TrainSpec
from rushes.records import BlobRef, Checkpoint, SamplerSettings
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog
from rushes.train.assignment import Assignment
from rushes.train.handover import Material
from rushes.train.job import checkpoint_of, ready
from rushes.train.loop import optimise
from rushes.train.preview import PreviewOrder
from tests.support.judges import smooth_order
from tests.support.sandbox_recipe import MODEL


@dataclass(frozen=True)
class Taught:
    """A checkpoint with its files read."""

    record: Checkpoint
    weights: dict[str, torch.Tensor]
    curves: dict[str, list[list[float]]]


def columns_of_takes() -> dict[str, torch.Tensor]:
    """Of ten samples: three takes each of two prompts, a pair in each, then four real clips, which have no score."""
    score = torch.tensor([0.1, 0.9, 0.5, 0.2, 0.6, 0.8] + [math.nan] * 4)
    return {
        "score_N": score,
        "advantage_N": (score - 0.5) / 0.3,
        "group_N": torch.tensor([0, 0, 0, 1, 1, 1, 2, 3, 4, 5]),
        "partner_N": torch.tensor([1, 0, -1, 5, -1, 3, -1, -1, -1, -1]),
        "seed_N": torch.arange(10) + 2**40,
    }


def assignment_of(
    family: Family,
    folder: Path,
    spec: TrainSpec,
    *,
    base: BaseModelSpec | None = None,
    runtime: TrainRuntime | None = None,
    conditions: Conditions = PLAIN,
    start: BlobRef | None = None,
) -> Assignment:
    """Training of a family in a folder, with everything in it, but blobs that are shared with its neighbours."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    sampler = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=1.0, scheduler="FlowMatchEulerDiscreteScheduler")
    return Assignment(
        key="0" * 64,
        checkpoint="0" * 64,
        until=spec.steps,
        parent="the base",
        start=start,
        spec=spec,
        runtime=runtime or TrainRuntime(tracker="none"),
        conditions=conditions,
        base=base or BaseModelSpec(model=MODEL),
        fingerprint=family.fingerprint,
        offload="none",
        device="cpu",
        num_threads=1,
        judge=None if objective_needs(spec).judge == "none" else smooth_order(10),
        scratch=scratch,
        blobs=Blobs(folder.parent / "blobs"),
        log=EventLog(folder / "events.jsonl"),
        previews=PreviewOrder.of(
            PreviewRuntime(), (), sampler=sampler, shape=ShapeSpec(), num_steps=spec.steps, folder=folder
        ),
        curves=folder / "tensorboard",
        name="test",
    )


def taught(assignment: Assignment, record: Checkpoint) -> Taught:
    """A checkpoint with its files read."""
    assert isinstance(record.weights, BlobRef) and isinstance(record.curves, BlobRef)
    curves = json.loads(assignment.blobs.read_bytes(record.curves))
    return Taught(record, assignment.blobs.read_tensors(record.weights), curves)


def teach_alone(assignment: Assignment, family: Family, material: Material) -> Taught:
    """Train in this process."""
    with ready(assignment, family, material) as job:
        return taught(assignment, checkpoint_of(assignment, job, optimise(job, assignment.scratch)))
