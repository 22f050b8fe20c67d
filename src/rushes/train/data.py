"""The training data: latents and texts, memory-mapped from disk, and each step's rows, given by the step number alone.

Legend: N samples, C latent channels, T latent frames, h rows, w columns, B batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.texts import TextStates
from rushes.recipe.train import TrainSpec
from rushes.train.batch import FlowBatch
from rushes.train.flow import draw_sigma


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The samples of one round."""

    z_0_NCThw: Tensor
    """Clean normalised latents; in a run a memory-mapped file, from which indexing reads only the requested rows."""
    text: TextStates
    """The transformer's text input for each sample (N items), or for each distinct text, see `text_row_N`."""
    empty: TextStates
    """The same for the empty caption (1 item), for caption drop."""
    weight_N: Tensor
    """Weights w >= 0; real clips weigh 1."""
    preference_N: Tensor
    """Preference r in [0, 1] for the negative-aware objective; 1 for real clips."""
    is_real_N: Tensor
    """True for real clips."""
    text_row_N: Tensor | None = None
    """Which item of `text` belongs to each sample; None if each has its own."""

    def texts(self, rows: Tensor) -> TextStates:
        """The transformer's text input for some samples."""
        return self.text[rows if self.text_row_N is None else self.text_row_N[rows]]

    def __post_init__(self) -> None:
        own = ~self.is_real_N
        if bool(own.any()) and float(self.weight_N[own].sum()) <= 0:
            raise TrainingError("no own clip has a weight above 0", next_step="check the scores and the weighting")


@dataclass(frozen=True, eq=False)
class Step:
    """One optimiser step's batch, with what the objectives need beyond a `FlowBatch`."""

    batch: FlowBatch
    preference_B: Tensor

    def to(self, device: torch.device) -> Step:
        """The same step on the network's device."""
        moved = {name: getattr(self.batch, name).to(device) for name in FlowBatch.__dataclass_fields__}
        return Step(replace(self.batch, **moved), self.preference_B.to(device))


def step_batch(data: TrainingSet, spec: TrainSpec, step: int, seed: int) -> Step:
    """The batch of optimiser step `step`: always the same for a step, so a resumed run sees the same data.

    Own clips are drawn in proportion to their weight rather than drawn evenly and multiplied by it: the expectation of
    the loss is the paper's, its variance lower, and no step is spent on weight 0. Real clips are drawn evenly.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    rows = _rows(data, spec, generator)
    z_0 = data.z_0_NCThw[rows]
    epsilon = torch.randn(z_0.shape, generator=generator)
    sigma = draw_sigma(len(rows), spec.sigma_density, spec.shift, generator)
    dropped = torch.rand(len(rows), generator=generator) < spec.caption_drop
    batch = FlowBatch(
        z_0_BCTHW=z_0,
        epsilon_BCTHW=epsilon,
        sigma_B=sigma,
        text=data.texts(rows).replaced(dropped, data.empty),
        weight_B=torch.ones(len(rows)),
        is_real_B=data.is_real_N[rows],
    )
    return Step(batch, data.preference_N[rows])


def _rows(data: TrainingSet, spec: TrainSpec, generator: torch.Generator) -> Tensor:
    own, real = torch.nonzero(~data.is_real_N).flatten(), torch.nonzero(data.is_real_N).flatten()
    share = spec.realism.share if spec.realism.kind != "none" else 0.0
    num_real = round(spec.batch_size * share) if len(real) else 0
    if len(own) == 0:
        num_real = spec.batch_size
    num_own = spec.batch_size - num_real
    parts = []
    if num_own:
        parts.append(own[torch.multinomial(data.weight_N[own], num_own, replacement=True, generator=generator)])
    if num_real:
        parts.append(real[torch.randint(len(real), (num_real,), generator=generator)])
    return torch.cat(parts)
