"""The norm of a model's velocity at fixed noise: training on scores can let it grow, which over-sharpens clips.

Legend: B batch, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch

from rushes.families.experts import velocity_at
from rushes.families.family import Conditions, Family
from rushes.families.mixed_precision import mixed_precision
from rushes.records import Clip
from rushes.store.blobs import Blobs
from rushes.train.watch import fixed_noise

NUM_AT_ONCE: Final = 4
"""Clips per forward pass."""


@torch.no_grad()
def velocity_norm(
    family: Family,
    clips: Sequence[Clip],
    texts: Sequence[str],
    blobs: Blobs,
    conditions: Conditions,
    *,
    autocast: bool,
) -> float:
    """Root mean square of the velocity on clips, at one noise level each; 0 or more.

    Args:
        family: the pipeline with the model's weights in it.
        clips: clips with latents, at least one, all of one shape; those of the base, for whatever model.
        texts: the prompt of each.
        blobs: where their latents are stored.
        conditions: the transformer's inputs besides latents, timestep and text.
        autocast: compute in bfloat16, as in training.
    """
    kept = [blobs.read_tensors(clip.latents)["latents"].float() for clip in clips if clip.latents is not None]
    z_0_BCThw = torch.stack(kept)
    epsilon, sigma_B = fixed_noise(z_0_BCThw.shape)
    z_t = family.path.noisy(z_0_BCThw, epsilon, sigma_B)
    squared: list[float] = []
    for at in range(0, len(kept), NUM_AT_ONCE):
        rows = slice(at, at + NUM_AT_ONCE)
        text = family.encode_text(list(texts[rows])).float()
        z, sigma = z_t[rows].to(family.device), sigma_B[rows].to(family.device)
        with mixed_precision(family.device, torch.bfloat16, enabled=autocast):
            v = velocity_at(family, z, sigma, text, conditions)
        squared += v.float().square().flatten(1).mean(1).tolist()
    return math.sqrt(sum(squared) / len(squared))
