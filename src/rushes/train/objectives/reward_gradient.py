"""The gradient of a frozen judge, through the decoder and one step of denoising a stored clip.

L = -strength E[ <g, z_0_hat> ],  z_0_hat the clean latents that the model makes of z_t in one step, g the judge's
gradient there, without graph: the derivative of how sure it is of the expected answers, log p - log(1 - p) and not p,
the mean over the clip's questions. <.,.> is a mean over elements and g in units to match, so `clip: 1` pulls about as
hard as flow matching does. The gradient is that of -E[logit], computed in two stages: the decoder's and the judge's
graph is freed before the transformer's is used.

at: low_noise is the one-step form of ReFL (arXiv 2304.05977) on stored clips; at: last_step that of DRaFT with K = 1
(arXiv 2309.17400), through the sampler's last step, from a stored clip noised to its level.

What differs from the publications: DRaFT denoises new clips from pure noise, here the steps before the last are
replaced by noising a stored clip (its low-variance form does that with several draws of noise; here a clip has one, and
the next epoch's is another); the last step is taken without guidance; the objective is the logit difference of yes/no
questions instead of a preference model's score. Cost: one pass, one decoding and one answer, all with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch

from rushes.errors import TrainingError
from rushes.recipe.objectives import RewardGradientSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.objectives.answered import answered

_LEAST: Final = 1e-12


@dataclass(frozen=True)
class RewardGradient:
    """The objective `reward_gradient`."""

    spec: RewardGradientSpec
    names: ClassVar[tuple[str, ...]] = (
        "reward_gradient",
        "reward_logit",
        "reward_gradient_size",
        "reward_clipped",
        "reward_missing",
    )

    def __post_init__(self) -> None:
        if self.spec.at == "last_step" and self.spec.last_sigma is None:
            raise TrainingError(
                "the noise level of the sampler's last step is not known here",
                expected="a last_sigma above 0",
                next_step="give the objective its last_sigma, or train within a run, which knows its sampler",
            )

    def terms(self, own: OwnClips) -> LossTerms:
        """Towards what makes the judge surer of the expected answers."""
        assert own.judge is not None and own.rows_B is not None
        clean = own.path.clean(own.z_t_BCTHW, own.velocity_BCTHW, own.sigma_B)
        logit_B, g = own.judge.gradient(clean.detach(), own.rows_B)
        g = g * clean[0].numel()
        size_B = g.square().mean(dim=(1, 2, 3, 4)).sqrt()
        kept_B = logit_B.isfinite() & size_B.isfinite()
        limit = torch.inf if self.spec.clip is None else self.spec.clip
        factor_B = (limit / size_B.clamp_min(_LEAST)).clamp_max(1.0)
        pull = torch.nan_to_num(g * factor_B.view(-1, 1, 1, 1, 1))
        found = answered("reward_gradient", -(pull * clean).mean(dim=(1, 2, 3, 4)), kept_B, self.spec.strength)
        seen = {"reward_missing": (~kept_B).to(size_B).mean()}
        if bool(kept_B.any()):
            seen["reward_logit"] = logit_B[kept_B].mean()
            seen["reward_gradient_size"] = size_B[kept_B].mean()
            seen["reward_clipped"] = (factor_B[kept_B] < 1).to(size_B).mean()
        num = int(kept_B.sum())
        items = {**found.num_items, **{name: num for name in seen if name != "reward_missing"}}
        return LossTerms(found.terms, found.coefficients, seen, items)
