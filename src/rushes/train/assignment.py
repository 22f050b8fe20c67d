"""One training run as plain data: what a process that takes part has to know, besides the material."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rushes.families.family import Conditions
from rushes.families.offload import Offload
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import TrainSpec
from rushes.records import BlobRef
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog
from rushes.store.identity import seed_from_key
from rushes.train.preview import PreviewOrder


class Assignment(BaseModel):
    """What to train, from where, and where everything goes: the same for every process."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    key: str
    """Work key of the checkpoint."""
    parent: str
    """Fingerprint or checkpoint key of the weights to begin with."""
    start: BlobRef | None
    """Those weights; None for the base's own."""
    spec: TrainSpec
    runtime: TrainRuntime
    conditions: Conditions
    """What the transformer is told besides latents, timestep and text."""
    base: BaseModelSpec
    fingerprint: str
    """Of the base's weights: all processes must have loaded the same."""
    offload: Offload
    """How the pipeline's parts are moved while it samples; decides where previews find them."""
    device: str
    """Kind of device, `cpu` or `cuda`."""
    num_threads: int
    """CPU threads of torch, per process."""
    scratch: Path
    """Absolute folder with the resumable state and the material; every process can read it."""
    blobs: Blobs
    """Where the tuned weights are stored."""
    log: EventLog
    """The run's event log."""
    previews: PreviewOrder
    curves: Path
    """Folder of TensorBoard's files; its own name tells this training from others of the run."""
    name: str
    """What the run is called by trackers."""

    @property
    def seed(self) -> int:
        """Of order, noise and noise levels."""
        return seed_from_key(self.key, self.spec.seed)
