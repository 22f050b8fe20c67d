"""Direct preference optimisation on pairs (Wallace et al. 2023, arXiv 2311.12908; Flow-DPO, arXiv 2501.13918).

L = -(2 strength / beta) E[ log sigmoid(-(beta / 2) (m_w - m_l)) ],  m_x = ||v(z_x) - u_x||^2 - ||v_ref(z_x) - u_x||^2,
for the better take w and the worse take l of one prompt, under the same noise and the same noise level; norms are means
over elements. The factor 2 / beta makes the first step as large as that of flow matching, whatever beta is.

What differs from the publications: takes are paired by rank, best with worst, second best with second worst, so that
every clip is read once an epoch (they pair best and worst of many, or people's choices). beta: auto is ours, after an
idea of SimpleTuner; published constants (5000 for SD 1.5, 100 for SD 3.5) do not carry over, since a mean over more
elements varies less. Cost: one pass with gradients and one of the frozen model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rushes.recipe.objectives import DpoSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import squared_error

FIRST_BETA: Final = 100.0
"""beta: auto begins here."""
RATE: Final = 0.1
"""beta: auto changes by at most this share in a step, about."""
LEAST_BETA, MOST_BETA = 1.0, 1e6


@dataclass(frozen=True)
class Dpo:
    """The objective `dpo`."""

    spec: DpoSpec
    names: ClassVar[tuple[str, ...]] = ("dpo", "dpo_beta", "dpo_unsure", "dpo_right", "dpo_better", "dpo_worse")

    def terms(self, own: OwnClips) -> LossTerms:
        """The better take of each pair against the worse one."""
        assert own.reference_BCTHW is not None
        m = squared_error(own.velocity_BCTHW, own.target_BCTHW) - squared_error(own.reference_BCTHW, own.target_BCTHW)
        better, worse = m.view(-1, 2).unbind(dim=1)
        beta = self._beta(own)
        beta_P = beta * ((1 - own.sigma_B[::2]).square() if self.spec.falling else torch.ones_like(better))
        margin = -beta_P / 2 * (better - worse)
        seen = margin.detach()
        return LossTerms(
            {"dpo": -logsigmoid(margin).mean()},
            {"dpo": 2 * self.spec.strength / beta},
            {
                "dpo_beta": seen.new_tensor(beta),
                "dpo_unsure": torch.sigmoid(-seen).mean(),
                "dpo_right": _share(seen),
                "dpo_better": better.detach().mean(),
                "dpo_worse": worse.detach().mean(),
            },
        )

    def _beta(self, own: OwnClips) -> float:
        if self.spec.beta != "auto":
            return self.spec.beta
        return next_beta(own.last.get("dpo_beta"), own.last.get("dpo_unsure", 0.5), self.spec.unsure)


def next_beta(beta: float | None, found: float, wanted: float) -> float:
    """beta after a step in which the mean of sigmoid(-margin) was `found`: larger while that is above `wanted`.

    Args:
        beta: of that step; None before the first.
        found: 0 to 1.
        wanted: between 0 and 1/2.
    """
    if beta is None:
        return FIRST_BETA
    return min(MOST_BETA, max(LEAST_BETA, beta * math.exp(RATE * (found - wanted))))


def _share(margin: Tensor) -> Tensor:
    """Share of pairs that the model tells apart better than the frozen one; a tie counts half."""
    return (0.5 + 0.5 * margin.sign()).mean()
