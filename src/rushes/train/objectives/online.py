"""Flow matching weighted by scores that are given during training (the paper's online form, as it may be meant).

L = strength E[ r ||v - u||^2 ],  r the judge's score of the decoded z_0_hat, without gradient; the clean latents that
the model, or the frozen one, makes of z_t in one step or a few. Above sigma = max_sigma r is the stored clip's score.
normalise: sigma_bin divides r by m(sigma), a running mean of the r of earlier steps in the same tenth of the noise
levels; a bin's first clips count 1. A clip without an answer leaves the mean, and the others count as before.

`every: n` asks the judge in steps 1, n + 1, 2n + 1, ... only. In the others r is the last score that the judge gave the
same clip in the same tenth of the noise levels, of whatever the model made of it then; where there is none, r is the
stored clip's score, as above max_sigma (with sigma_bin such a clip counts 1 and leaves the running means alone).

What differs from the publication: it says nothing about how frames are denoised, at which noise levels and how often,
so every choice here is ours. Cost: one pass with gradients, and a decoding and an answer of the judge for each clip up
to max_sigma; num_ode_steps - 1 passes, and one of the frozen model where that denoises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor

from rushes.families.path import Path
from rushes.recipe.objectives import OnlineSpec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import squared_error
from rushes.train.lesson import NUM_BINS
from rushes.train.objectives.answered import answered
from rushes.train.watch import sigma_bins

RATE: Final = 0.1
"""A running mean moves by this share towards the mean of a step."""
LEAST_MEAN: Final = 0.01
"""Least mean that a score is divided by."""
_MEANS: Final = tuple(f"online_mean_{number / NUM_BINS:.1f}" for number in range(NUM_BINS))
_SCORES: Final = tuple(f"online_score_{number / NUM_BINS:.1f}" for number in range(NUM_BINS))


@dataclass(frozen=True)
class Online:
    """The objective `online`."""

    spec: OnlineSpec
    names: ClassVar[tuple[str, ...]] = (
        "online",
        "online_score",
        "online_asked",
        "online_missing",
        "online_reused",
        *_MEANS,
        *_SCORES,
    )

    def terms(self, own: OwnClips) -> LossTerms:
        """Flow matching, each clip times its score."""
        is_low_B, stored_B = own.sigma_B <= self.spec.max_sigma, own.columns["score"]
        asked_B = is_low_B if own.asks else torch.zeros_like(is_low_B)
        new_B = self._judged(own, asked_B)
        given_B = new_B if own.asks else own.columns["judged"]
        read_B = asked_B if own.asks else is_low_B & ~given_B.isnan()
        r_B = torch.where(read_B, given_B * stored_B if self.spec.times_offline else given_B, stored_B)
        unread_B = is_low_B & ~read_B
        weight_B, bins = r_B, LossTerms({}, {})
        if self.spec.normalise == "sigma_bin":
            weight_B, bins = self._normalised(own, r_B, unread_B)
        error_B = squared_error(own.velocity_BCTHW, own.target_BCTHW)
        # NaN times anything would reach the gradient even of clips that are left out.
        found = answered("online", weight_B.nan_to_num() * error_B, ~r_B.isnan(), self.spec.strength)
        scored_B = asked_B & ~new_B.isnan()
        seen = {
            "online_asked": asked_B.float().mean(),
            "online_missing": r_B.isnan().float().mean(),
            **({"online_score": new_B[scored_B].mean()} if bool(scored_B.any()) else {}),
            **({} if own.asks else {"online_reused": read_B.float().mean()}),
        }
        items = {**found.num_items, **bins.num_items, "online_score": int(scored_B.sum())}
        return LossTerms(found.terms, found.coefficients, {**seen, **bins.diagnostics}, items, new_B)

    def _judged(self, own: OwnClips, asked_B: Tensor) -> Tensor:
        """The judge's scores of clips as they are denoised, (B,); NaN for the others, and where there is none."""
        assert own.judge is not None and own.rows_B is not None
        found = torch.full_like(own.columns["score"], torch.nan)
        if bool(asked_B.any()):
            clean = self._denoised(own)[asked_B]
            found[asked_B] = own.judge.value(clean, own.rows_B[asked_B.to(own.rows_B.device)]).to(found)
        return found

    def _denoised(self, own: OwnClips) -> Tensor:
        """z_0_hat of every clip, by Euler steps of equal size in sigma."""
        num, z_t, first = self.spec.num_ode_steps, own.z_t_BCTHW, own.velocity_BCTHW.detach()
        v = first if self.spec.denoiser == "tuned" else own.reference_BCTHW
        assert v is not None
        clean = own.path.clean(z_t, v, own.sigma_B)
        for step in range(1, num):
            assert own.predict is not None
            sigma_B, next_B = own.sigma_B * (1 - (step - 1) / num), own.sigma_B * (1 - step / num)
            z_t = own.path.noisy(clean, implied_noise(own.path, z_t, clean, sigma_B), next_B)
            clean = own.path.clean(z_t, own.predict(self.spec.denoiser, z_t, next_B), next_B)
        return clean

    def _normalised(self, own: OwnClips, r_B: Tensor, unread_B: Tensor) -> tuple[Tensor, LossTerms]:
        """Scores by the running means of their noise levels, and what the next steps need to go on with these.

        Stored scores in the place of the judge's (`unread_B`) are none of these means: they count 1.
        """
        weight_B, seen, items = r_B.masked_fill(unread_B, 1.0), dict[str, Tensor](), dict[str, int]()
        for number, rows in _by_bin(own.sigma_B, ~r_B.isnan() & ~unread_B):
            mean, score = own.last.get(_MEANS[number]), own.last.get(_SCORES[number])
            now = next_mean(mean, score)
            weight_B[rows] = 1.0 if now is None else r_B[rows] / max(now, LEAST_MEAN)
            # Both curves get a point in the same steps, so that each step's scores enter the mean once.
            seen[_SCORES[number]] = r_B[rows].mean()
            seen[_MEANS[number]] = seen[_SCORES[number]] if now is None else r_B.new_tensor(now)
            items |= {name: int(rows.sum()) for name in (_MEANS[number], _SCORES[number])}
        return weight_B, LossTerms({}, {}, seen, items)


def next_mean(mean: float | None, score: float | None) -> float | None:
    """The running mean after a step whose scores had the mean `score`; None before the first."""
    if mean is None or score is None:
        return None
    return mean + RATE * (score - mean)


def implied_noise(path: Path, z_t: Tensor, clean: Tensor, sigma_B: Tensor) -> Tensor:
    """epsilon such that the path leads from `clean` to `z_t` at sigma, BCTHW."""
    one = torch.ones_like(clean[:, :1, :1, :1, :1])
    amplitude = path.noisy(0 * one, one, sigma_B)
    return (z_t - path.noisy(clean, torch.zeros_like(clean), sigma_B)) / amplitude.clamp_min(1e-6)


def _by_bin(sigma_B: Tensor, kept_B: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Number of each bin of noise levels that has items to keep, and which these are."""
    bins = sigma_bins(sigma_B)
    for number in range(NUM_BINS):
        rows = kept_B & (bins == number)
        if bool(rows.any()):
            yield number, rows
