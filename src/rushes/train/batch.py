"""One training batch in the paper's symbols, and the named terms of a loss.

Legend: B batch, C latent channels, T latent frames, H W latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from rushes.families.texts import TextStates

if TYPE_CHECKING:
    import torch

    from rushes.families.path import Path


@dataclass(frozen=True, eq=False)
class FlowBatch:
    """One training batch in the paper's symbols; the family's path defines z_t and the target v."""

    z_0_BCTHW: torch.Tensor
    """Clean latents."""
    epsilon_BCTHW: torch.Tensor
    """Noise, standard normal."""
    sigma_B: torch.Tensor
    """Noise level of each item, 0 to 1; sigma * 1000 is its timestep."""
    text: TextStates
    """The transformer's text input for each item."""
    weight_B: torch.Tensor
    """Weight w of each item, >= 0."""
    is_real_B: torch.Tensor
    """True for the latents of a real clip (bool)."""


class JudgeHook(Protocol):
    """The recipe's judge, asked about latents: it decodes them, and counts what it does."""

    def value(self, clean_BCTHW: torch.Tensor, rows_B: torch.Tensor) -> torch.Tensor:
        """Scores in [0, 1], (B,), as of stored clips; NaN where the judge gave none. Without gradient.

        Args:
            clean_BCTHW: clean latents of one clip or more.
            rows_B: the row of each in the training data, which knows its questions.
        """
        ...

    def gradient(self, clean_BCTHW: torch.Tensor, rows_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How sure the judge is of the expected answers, and how that changes with the latents.

        Returns:
            The logit of the expected answer less that of the other, the mean over a clip's questions, (B,), NaN where
            the judge gave none; and its derivative by the latents, (B, C, T, H, W), 0 there. Both without graph.
        """
        ...


Predict = Callable[[Literal["tuned", "base"], "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""(model, z_t of shape BCTHW, sigma of shape B) -> velocity of the same clips elsewhere, BCTHW, without gradient."""


@dataclass(frozen=True, eq=False)
class OwnClips:
    """The model's own clips of a (micro-)batch, in whole units one after another, with what objectives compare."""

    z_0_BCTHW: torch.Tensor
    """Clean latents."""
    z_t_BCTHW: torch.Tensor
    """Noisy latents."""
    sigma_B: torch.Tensor
    """Noise levels, 0 to 1."""
    target_BCTHW: torch.Tensor
    """The velocity to learn, epsilon - z_0 on a straight path."""
    velocity_BCTHW: torch.Tensor
    """The tuned model's velocity, with its gradient; at least float32."""
    reference_BCTHW: torch.Tensor | None
    """The frozen start's velocity, without gradient; None unless it is needed."""
    columns: Mapping[str, torch.Tensor]
    """What is known of each clip, (B,), by name, see `rushes.records.stated.Column`; `direction` is BCTHW. `weight` is
    1, since it is drawn by."""
    path: Path
    """The model family's way from clean latents to noise."""
    last: Mapping[str, float] = field(default_factory=dict)
    """The last value of every curve, from the steps before: what an objective may adapt itself by."""
    rows_B: torch.Tensor | None = None
    """The row of each clip in the training data; None where nothing asks for it."""
    judge: JudgeHook | None = None
    """The judge, if the objective needs it."""
    asks: bool = True
    """False in steps between those in which the judge may be asked. `columns` then has `judged`: for each clip the last
    score that the judge gave it in the same tenth of the noise levels, NaN where there is none."""
    predict: Predict | None = None
    """The velocity at other noisy latents of the same clips; for objectives that need the judge."""


@dataclass(frozen=True)
class LossTerms:
    """Named loss terms; training minimises their weighted sum, and each has its own curve."""

    terms: Mapping[str, torch.Tensor]
    """Scalar per name, before its coefficient."""
    coefficients: Mapping[str, float]
    """Factor per name; the same names."""
    diagnostics: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Finite scalars that are only recorded, each a mean over the same items as the terms, under other names."""
    num_items: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many items a term or a diagnostic is the mean of, by name, where they are not all own clips."""
    judged_B: torch.Tensor | None = None
    """New scores of the own clips, NaN where there is none, for objectives that read them again in later steps."""

    def total(self) -> torch.Tensor:
        """Sum of coefficient x term."""
        products = [self.coefficients[name] * term for name, term in self.terms.items()]
        return sum(products[1:], start=products[0])
