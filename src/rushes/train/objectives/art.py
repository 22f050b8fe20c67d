"""Regression on a shifted prediction: all clips of a prompt move along one direction (DiffusionART, arXiv 2610.12572).

L = (strength / m) E[ kappa ||v - v*||^2 ],  v* = v_old - (m / sigma) G, without gradient in v*. G is the covariance of
the scores and clean latents of all takes of the prompt, with a root mean square of 1 (`rushes.train.direction`). So the
prediction of the clean latents is to move by m G: the mean over takes replaces the noise of a single take's error. With
kappa = sigma the first step pulls as hard at all noise levels; sigma^2 compares clean latents, 1 velocities. From the
second step on the difference to v_old pulls back, and the optimum lies m G away.

What differs from the publication, of which only a page and parts of the code could be read:
- It trains at states that its sampler has visited, in a few of its steps, against the velocity that the sampler used
  there. Here a state is a stored take with new noise, z = (1 - sigma) z_0 + sigma epsilon, at the noise levels
  `positions`. At the highest ones both are nearly alike, and with `noise: own` they are the same at 1: epsilon is then
  the noise that the take was sampled from, and z on the straight line between both. A run keeps nothing of the way
  between; its first steps could be sampled again from the seed, which costs two passes a step with guidance.
- Its sampler uses no guidance. Whether v_old should be the guided velocity for takes made with guidance is open; here
  it is the conditional one, as v is.
- It samples new clips after every two steps. Here takes are stored, and v_old is the round's start for all of it, or
  the tuned model of some steps ago (`window`), which moves on with nothing but the stored direction to follow.
- Its two steps read two halves of each prompt's takes: `halves`. Without it an epoch reads every take once, in any
  order.
- How large its m is, and how it changes, is not known here; takes that moved too far are not left out, and there is no
  anchor inside: `train.anchor` is that.

Cost: one pass with gradients and one of the old model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor

from rushes.recipe.objectives import ArtSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import squared_error

POWER: Final = {"one": 0, "sigma": 1, "sigma_squared": 2}


@dataclass(frozen=True)
class Art:
    """The objective `art`."""

    spec: ArtSpec
    names: ClassVar[tuple[str, ...]] = ("art", "art_done")

    def terms(self, own: OwnClips) -> LossTerms:
        """The distance to the shifted prediction, and which part of the shift is done."""
        assert own.reference_BCTHW is not None
        gain, G, v, v_old = self.spec.gain, own.columns["direction"], own.velocity_BCTHW, own.reference_BCTHW
        sigma = _noise(own)
        error = squared_error(v, v_old - gain / sigma * G)
        value = (sigma.flatten() ** POWER[self.spec.kappa] * error).mean()
        done = -(sigma * (v.detach() - v_old) * G).mean() / gain
        return LossTerms({"art": value}, {"art": self.spec.strength / gain}, {"art_done": done})


def _noise(own: OwnClips) -> Tensor:
    """By how much the clean latents change with the velocity, (B, 1, 1, 1, 1): sigma on a straight path."""
    zero = torch.zeros_like(own.sigma_B).view(-1, 1, 1, 1, 1)
    return own.path.clean(zero, zero - 1, own.sigma_B)
