"""The training data: latents and texts, memory-mapped from disk, and each step's rows, given by the step number alone.

Legend: N samples, C latent channels, T latent frames, h rows, w columns, B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.noise import noise_of
from rushes.families.texts import TextStates
from rushes.plugins import objective_needs
from rushes.recipe.train import TrainSpec, positions_in
from rushes.records import Column
from rushes.roles import ObjectiveNeeds
from rushes.train.batch import FlowBatch
from rushes.train.direction import directions
from rushes.train.draw import rows_of_step
from rushes.train.flow import draw_sigma


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """What is known of the samples of one round beside their latents and texts."""

    weight_N: Tensor
    """Weights w >= 0; real clips weigh 1."""
    preference_N: Tensor
    """Preference in [0, 1]: 1 to move towards the clip, 0 away from it; 1 for real clips, NaN without a score."""
    is_real_N: Tensor
    """True for real clips."""
    score_N: Tensor | None = None
    """Scores r in [0, 1]; NaN where there is none. None, as below, where no objective reads it."""
    advantage_N: Tensor | None = None
    """Distances to the mean of the prompt's takes in units of their root mean square over all clips; NaN for none."""
    group_N: Tensor | None = None
    """A number for each prompt, int64: takes with the same one belong together."""
    partner_N: Tensor | None = None
    """The row of the take that each is paired with, int64; -1 for none."""
    pairs_P2: Tensor | None = None
    """Rows of the better and the worse clip of each pair that people have named, (P, 2) int64; None if there are none,
    and pairs are those of `partner_N`."""
    shape_N: Tensor | None = None
    """A number for each shape that latents have, from 0, int64; None if all have one."""

    @property
    def groups(self) -> Tensor:
        """`group_N`, which must be there; takes of one prompt belong together only if they have one shape."""
        found = self._there("group", self.group_N)
        return found if self.shape_N is None else found * (int(self.shape_N.max()) + 1) + self.shape_N

    def are_alike(self, rows: Tensor, others: Tensor) -> Tensor:
        """Which of two lists of rows have latents of one shape, bool."""
        if self.shape_N is None:
            return torch.ones(len(rows), dtype=torch.bool)
        return self.shape_N[rows] == self.shape_N[others]

    @property
    def partners(self) -> Tensor:
        """`partner_N`, which must be there."""
        return self._there("partner", self.partner_N)

    def column(self, name: Column) -> Tensor:
        """What is known of every sample, (N,), by name; NaN where it is missing."""
        columns = {
            "weight": self.weight_N,
            "preference": self.preference_N,
            "score": self.score_N,
            "advantage": self.advantage_N,
        }
        return self._there(name, columns[name])

    def _there(self, name: str, values: Tensor | None) -> Tensor:
        if values is None:
            raise TrainingError(
                f"the training data has no {name} of the clips, which the objective reads",
                next_step="run the recipe again: the training data is then written anew",
            )
        return values


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingSet(Known):
    """The samples of one round."""

    z_0_NCThw: Tensor
    """Clean normalised latents; in a run a memory-mapped file, from which indexing reads only the requested rows. Where
    there are several shapes, those of shape 0."""
    text: TextStates
    """The transformer's text input for each sample (N items), or for each distinct text, see `text_row_N`."""
    empty: TextStates
    """The same for the empty caption (1 item), for caption drop."""
    text_row_N: Tensor | None = None
    """Which item of `text` belongs to each sample; None if each has its own."""
    seed_N: Tensor | None = None
    """The seed of the noise that each clip was sampled from, int64; of no meaning for real clips. None as above."""
    further: tuple[Tensor, ...] = ()
    """Latents of shape 1, 2, ... of `shape_N`, each with the clips of that shape in order."""

    @property
    def seeds(self) -> Tensor:
        """`seed_N`, which must be there."""
        return self._there("seed", self.seed_N)

    def z_0(self, rows: Tensor) -> Tensor:
        """Clean latents of rows of one shape, BCThw.

        Raises:
            ValueError: they have several shapes.
        """
        if self.shape_N is None:
            return self.z_0_NCThw[rows]
        numbers = self.shape_N[rows].unique()
        if len(numbers) > 1:
            raise ValueError("expected clips of one shape")
        number = int(numbers[0])
        # A clip is the k-th of its shape, k the number of those before it.
        place = (self.shape_N == number).cumsum(0)[rows] - 1
        return (self.z_0_NCThw, *self.further)[number][place]

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
    columns: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    """What the objective reads of each clip, (B,) or BCThw, by name: see `rushes.records.stated.Column`."""
    last: Mapping[str, float] = field(default_factory=dict[str, float])
    """The last value of every curve, from the steps before."""
    rows_B: Tensor | None = None
    """The rows of the training data that the batch holds; None where nothing asks for them."""
    asks: bool = True
    """Whether the objective asks the judge in this step."""
    others: tuple[Step, ...] = ()
    """The clips of the same step that have other shapes, a part for each."""

    @property
    def parts(self) -> tuple[Step, ...]:
        """The whole step, one part for each shape."""
        return (replace(self, others=()), *self.others) if self.others else (self,)

    def to(self, device: torch.device) -> Step:
        """The same step on the network's device."""
        moved = {name: getattr(self.batch, name).to(device) for name in FlowBatch.__dataclass_fields__}
        columns = {name: values.to(device) for name, values in self.columns.items()}
        return replace(self, batch=replace(self.batch, **moved), columns=columns)


def step_batch(
    data: TrainingSet, spec: TrainSpec, step: int, seed: int, levels: tuple[float, float] = (0.0, 1.0)
) -> Step:
    """The batch of optimiser step `step`: always the same for a step, so a resumed run sees the same data.

    Own clips are drawn in proportion to their weight rather than drawn evenly and multiplied by it: the expectation of
    the loss is the paper's, its variance lower, and no step is spent on weight 0. Real clips are drawn evenly.
    Clips of one shape are one part of the step; a unit of own clips is never split.

    Args:
        data: what is trained on.
        spec: how.
        step: number of the step, from 0.
        seed: of the training.
        levels: the noise levels at which the tuned transformer predicts; all clips are noised to such ones.
    """
    needs = objective_needs(spec)
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    lowest, highest = needs.sigma_range
    rows = rows_of_step(data, spec, needs, step, seed)
    is_real, alike = data.is_real_N[rows], _alike(data, rows)
    z_0 = [data.z_0(rows[at]) for at in alike]
    epsilon = [torch.randn(each.shape, generator=generator) for each in z_0]
    sigma = draw_sigma(len(rows), spec.sigma_density, spec.shift, generator, levels)
    dropped = torch.rand(len(rows), generator=generator) < spec.caption_drop
    if needs.own_noise:
        for at, noise in zip(alike, epsilon, strict=True):
            if len(own := torch.nonzero(~is_real[at]).flatten()):
                noise[own] = noise_of(data.seeds[rows[at[own]]].tolist(), noise.shape[1:])
    if (lowest, highest) != (0.0, 1.0):
        share = (sigma - levels[0]) / (levels[1] - levels[0])
        lowest, highest = max(lowest, levels[0]), min(highest, levels[1])
        sigma = torch.where(is_real, sigma, lowest + (highest - lowest) * share)
    if needs.positions:
        values = torch.tensor(positions_in(needs, levels))
        turn = torch.arange(len(rows)) + torch.randint(len(values), (1,), generator=generator)
        sigma = torch.where(is_real, sigma, values[turn % len(values)])
    if needs.is_tied:
        every = torch.arange(len(rows))
        first = torch.where(is_real, every, every - every % needs.unit_size)  # own clips come first, in whole units
        sigma, dropped = sigma[first], dropped[first]
        epsilon = [noise[torch.searchsorted(at, first[at])] for at, noise in zip(alike, epsilon, strict=True)]
    text = data.texts(rows).replaced(dropped, data.empty)
    parts = []
    for at, clean, noise in zip(alike, z_0, epsilon, strict=True):
        batch = FlowBatch(
            z_0_BCTHW=clean,
            epsilon_BCTHW=noise,
            sigma_B=sigma[at],
            text=text if len(alike) == 1 else text[at],
            weight_B=torch.ones(len(at)),
            is_real_B=is_real[at],
        )
        parts.append(Step(batch, _columns(data, needs, rows[at]), rows_B=rows[at]))
    return replace(parts[0], others=tuple(parts[1:]))


def _alike(data: Known, rows: Tensor) -> list[Tensor]:
    """Positions in a step's rows with latents of one shape, in order, for each shape that occurs."""
    if data.shape_N is None:
        return [torch.arange(len(rows))]
    numbers = data.shape_N[rows]
    return [torch.nonzero(numbers == each).flatten() for each in numbers.unique()]


def _columns(data: TrainingSet, needs: ObjectiveNeeds, rows: Tensor) -> dict[str, Tensor]:
    """What an objective reads of each clip, by name."""
    plain = [name for name in needs.columns if name not in ("weight", "direction")]
    columns: dict[str, Tensor] = {name: data.column(name)[rows] for name in plain}
    if "direction" in needs.columns:
        columns["direction"] = directions(data, rows)
    return columns
