"""One training run as plain data: everything that a participating process needs besides the training data."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rushes.families.experts import Expert
from rushes.families.family import Conditions
from rushes.families.offload import Offload
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import TrainSpec
from rushes.records import BlobRef
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog
from rushes.store.identity import seed_from_key
from rushes.train.judging import JudgeOrder
from rushes.train.preview import PreviewOrder


class Assignment(BaseModel):
    """What to train, from which weights, and where to write: the same for every process."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    key: str
    """Work key of the whole training: that of the checkpoint after its last step."""
    checkpoint: str
    """Work key of the checkpoint to make."""
    until: int
    """Optimiser steps after which it is made; the state is kept if more are to follow."""
    parent: str
    """Fingerprint or checkpoint key of the initial weights."""
    start: BlobRef | None
    """Those weights; None for the base's own."""
    spec: TrainSpec
    runtime: TrainRuntime
    conditions: Conditions
    """The transformer's inputs besides latents, timestep and text."""
    base: BaseModelSpec
    fingerprint: str
    """Fingerprint of the base's weights; all processes must have loaded the same."""
    offload: Offload
    """How the pipeline's parts are offloaded while it samples; previews depend on it."""
    expert: Expert | None = None
    """Which of two transformers by noise level is tuned; None for a model with one."""
    device: str
    """Kind of device, `cpu` or `cuda`."""
    num_threads: int
    """CPU threads of torch, per process."""
    judge: JudgeOrder | None = None
    """What the objective asks the recipe's judge in every step; None for objectives that do not."""
    scratch: Path
    """Absolute path of the folder with the resumable state and the training data; every process can read it."""
    blobs: Blobs
    """Where the tuned weights are stored."""
    log: EventLog
    """The run's event log."""
    previews: PreviewOrder
    curves: Path
    """Folder of TensorBoard's files; its name distinguishes this training run from others of the run."""
    name: str
    """The run's name in trackers."""

    @property
    def state(self) -> Path:
        """The folder of the resumable state; the training data may be shared with the other expert's training."""
        return self.scratch if self.expert is None else self.scratch / self.expert

    @property
    def seed(self) -> int:
        """Seed of order, noise and noise levels."""
        return seed_from_key(self.key, self.spec.seed)
