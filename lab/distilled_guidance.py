"""Which guidance scale to give a guidance-distilled model in training: `python -m lab.distilled_guidance`.

The table of docs/design/004-families.md comes from it. In one dimension: with its text a clip is N(1, 0.5^2), without
N(0, 1). A small network is distilled from both velocities combined, for scales 1 to 8. It is tuned on clips that it
generated at one scale, or on real ones, given that scale or 1, and sampled at that scale again.
Legend: B batch.
"""

from __future__ import annotations

import argparse
import copy
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

NUM_CLIPS: Final = 8192
NUM_DISTILLED: Final = 6000
"""Optimiser steps of distillation."""
NUM_TUNED: Final = 400
"""Optimiser steps of tuning."""


def gaussian_velocity(z_B: Tensor, sigma_B: Tensor, mean: float, std: float) -> Tensor:
    """E[epsilon - z_0 | z_t] for z_0 of N(mean, std^2), (B,)."""
    k = (z_B - (1 - sigma_B) * mean) / ((1 - sigma_B) ** 2 * std**2 + sigma_B**2)
    return sigma_B * k - (mean + (1 - sigma_B) * std**2 * k)


def guided(z_B: Tensor, sigma_B: Tensor, scale_B: Tensor) -> Tensor:
    """Both velocities combined by classifier-free guidance, (B,)."""
    without = gaussian_velocity(z_B, sigma_B, 0.0, 1.0)
    return without + scale_B * (gaussian_velocity(z_B, sigma_B, 1.0, 0.5) - without)


class Model(torch.nn.Module):
    """A velocity of noisy value, noise level and guidance scale."""

    def __init__(self, width: int = 96) -> None:
        """Make the layers."""
        super().__init__()
        sizes = (9, width, width, width, 1)
        layers = [each for pair in pairwise(sizes) for each in (torch.nn.Linear(*pair), torch.nn.SiLU())]
        self.layers = torch.nn.Sequential(*layers[:-1])

    def forward(self, z_B: Tensor, sigma_B: Tensor, scale: Tensor | float) -> Tensor:
        """The velocity, (B,)."""
        g_B = torch.as_tensor(scale).expand_as(z_B) / 8
        waves = [wave(k * sigma_B) for k in (3, 6) for wave in (torch.sin, torch.cos)]
        found: Tensor = self.layers(torch.stack([z_B, sigma_B, g_B, *waves, z_B * sigma_B, z_B * g_B], dim=-1))
        return found[..., 0]


def distilled(seed: int) -> Model:
    """A model that has learned `guided` for scales 1 to 8."""
    torch.manual_seed(seed)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, NUM_DISTILLED)
    for _ in range(NUM_DISTILLED):
        scale, sigma = 1 + 7 * torch.rand(512), torch.rand(512) * 0.99 + 0.005
        z_0 = 1 + 0.2 * (scale - 1) * torch.rand(512) + 0.6 * torch.randn(512)
        z = (1 - sigma) * z_0 + sigma * torch.randn(512)
        loss = (model(z, sigma, scale) - guided(z, sigma, scale)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def sampled(model: Model, scale: float, seed: int) -> Tensor:
    """Clips of a model at a guidance scale, by Euler's method."""
    z = torch.randn(NUM_CLIPS, generator=torch.Generator().manual_seed(seed))
    for at, after in pairwise(torch.linspace(1, 0, 61)):
        z = z + (after - at) * model(z, at.expand(NUM_CLIPS), scale)
    return z


def tuned(start: Model, clips: Tensor, scale: float, preference: Tensor | None = None) -> Model:
    """The model after flow matching on clips, or after `nft` with beta 1 if there are preferences."""
    model, generator = copy.deepcopy(start), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), 2e-4)
    for _ in range(NUM_TUNED):
        rows = torch.randint(NUM_CLIPS, (256,), generator=generator)
        epsilon, u = (torch.randn(256, generator=generator) for _ in range(2))
        sigma = 2 * u.sigmoid() / (1 + u.sigmoid())
        z, target = (1 - sigma) * clips[rows] + sigma * epsilon, epsilon - clips[rows]
        v = model(z, sigma, scale)
        loss = (v - target).square()
        if preference is not None:
            with torch.no_grad():
                v_ref = start(z, sigma, scale)
            r = preference[rows]
            loss = r * loss + (1 - r) * (2 * v_ref - v - target).square()
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return model


def main() -> None:
    """Print how mean and spread of the sampled clips change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=3.0)
    parser.add_argument("--num-seeds", type=int, default=3)
    arguments = parser.parse_args()
    scale, changes = arguments.scale, dict[tuple[str, float], list[tuple[float, float]]]()
    for seed in range(arguments.num_seeds):
        model = distilled(seed)
        own, before = sampled(model, scale, 10), sampled(model, scale, 20)
        real = 1 + 0.5 * torch.randn(NUM_CLIPS, generator=torch.Generator().manual_seed(2))
        liked = 0.5 + 0.5 * ((own - own.mean()) / own.std()).clamp(-1, 1)
        for what, clips, preference in (("real", real, None), ("own", own, None), ("own, nft", own, liked)):
            for given in (1.0, scale):
                after = sampled(tuned(model, clips, given, preference), scale, 20)
                change = float(after.mean() - before.mean()), float(after.std() / before.std())
                changes.setdefault((what, given), []).append(change)
    for (what, given), found in changes.items():
        mean, spread = torch.tensor(found).T
        print(f"{what:9} at {given:g}: mean {mean.mean():+.2f} ({mean.std():.2f}), std x {spread.mean():.2f}", end=" ")
        print(f"({spread.std():.2f})")


if __name__ == "__main__":
    main()
