"""The realism constraint in its two readings, as pure functions; the paper leaves its exact form open.

`real_flow` is flow matching on the real clip of a caption and needs nothing beyond `flow.weighted_flow`.
`moments` aligns the distribution of clean latents predicted on own clips with that of the real clips trained on.
Legend: B batch, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

from torch import Tensor

from rushes.families.path import per_item
from rushes.train.flow import at_least_float32


def weighted_moments(z_BCThw: Tensor, w_B: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel and latent frame, (C, T), over items (weighted), rows and columns."""
    w = per_item(w_B / w_B.sum().clamp_min(1e-8))
    count = z_BCThw.shape[3] * z_BCThw.shape[4]
    mean = (w * z_BCThw).sum(dim=(0, 3, 4)) / count
    centred = z_BCThw - mean[None, :, :, None, None]
    variance = (w * centred.square()).sum(dim=(0, 3, 4)) / count
    return mean, (variance + 1e-6).sqrt()


def moments_of_rows(z_NCThw: Tensor, rows: Tensor, num_at_once: int = 16) -> tuple[Tensor, Tensor]:
    """`weighted_moments` of some rows with equal weights, a few rows in memory at a time: float32 (C, T) each.

    Args:
        z_NCThw: latents, possibly a memory-mapped file.
        rows: which, (n,) int64, at least one.
        num_at_once: rows read together.
    """
    count = len(rows) * z_NCThw.shape[3] * z_NCThw.shape[4]
    parts = rows.split(num_at_once)
    mean = sum((z_NCThw[part].double().sum(dim=(0, 3, 4)) for part in parts), start=z_NCThw.new_zeros(())) / count
    centre = mean[None, :, :, None, None]
    squares = ((z_NCThw[part].double() - centre).square().sum(dim=(0, 3, 4)) for part in parts)
    variance = sum(squares, start=z_NCThw.new_zeros(())) / count
    return mean.float(), (variance + 1e-6).sqrt().float()


def moment_distance(predicted: Tensor, sigma_B: Tensor, mean_CT: Tensor, std_CT: Tensor) -> Tensor:
    """Squared distance of the moments of predicted clean latents to the real ones, averaged over channels and frames.

    A prediction at a high noise level is a blurred mean, whose spread is small however realistic the model is. So items
    are weighted by (1 - sigma)^2, which favours low noise levels.
    """
    if len(sigma_B) == 0:
        return predicted.sum() * 0.0
    mean, std = weighted_moments(at_least_float32(predicted), (1 - sigma_B).square())
    return ((mean - mean_CT).square() + (std - std_CT).square()).mean()
