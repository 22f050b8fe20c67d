"""Diversity: how far the clips of one prompt differ in style and content.

Frames are compared at the same moment: c = mean |content_i - content_j| and, over five layers, s = mean |G_i - G_j| of
the Gram matrices G = F F^T / (C H W). Value = clamp((c + 1000 s) / 2 / 17.712, 0, 1), c and s averaged over moments,
layers and pairs of clips.

This compares the same place at the same moment, so the same scene scores when it is grainy, shifted or later, and 1000
and 17.712 are the benchmark's choice. `fixed` compares clips as a whole instead: how strongly each channel of the
content layer fires, and the Gram matrices, both averaged over the clip's moments. Instead of constants it uses relative
differences: sum |x_i - x_j| / sum (|x_i| + |x_j|), 0 for equal clips and 1 for clips with nothing in common.

The official code keeps the features of all clips until the end: hundreds of gigabytes. Here all clips are processed
together, one moment at a time, so only one frame's features of each clip are in memory. The sum over all pairs of
|x_i - x_j| is the sum over sorted values of (2 k - N + 1) x_(k), k = 0 ... N - 1, which needs no loop over pairs.

Legend: N clips, T moments, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Final

from rushes.records import Outcome, Part, Scored, Unscored
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.models import FeatureNet
from rushes_vbench.metrics.sampling import spread

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from rushes.roles import Frames, Video

NUM_TAKES: Final = 20
"""Clips of each prompt that the official scoring compares."""
NUM_MOMENTS: Final = 16
"""Moments compared in `fixed`, evenly spread, so that clips of different lengths can be compared."""
SIZE_PX: Final = 512
"""Frames are stretched to this square."""
STYLE_FACTOR: Final = 1000.0
"""Weight of style against content in `compat`; the benchmark's choice."""
LARGEST: Final = 17.712
"""Largest difference that the benchmark's authors found; the scale of `compat`."""


def moments(num_frames: Sequence[int], profile: Profile) -> list[list[int]] | Unscored:
    """Which frames of each clip are compared, moment by moment.

    Args:
        num_frames: length of each clip.
        profile: all frames officially, which needs 20 clips of one length; 16 moments in `fixed`.
    """
    if profile == "fixed":
        if len(num_frames) < 2:
            return Unscored(reason=f"{len(num_frames)} clip(s) of the prompt; Diversity needs at least 2")
        return [list(moment) for moment in zip(*(spread(t, NUM_MOMENTS) for t in num_frames), strict=True)]
    if len(num_frames) != NUM_TAKES:
        return Unscored(reason=f"{len(num_frames)} clips of the prompt; the official scoring compares {NUM_TAKES}")
    if len(set(num_frames)) > 1:
        lengths = f"{min(num_frames)} to {max(num_frames)}"
        return Unscored(reason=f"the clips have {lengths} frames; the official scoring needs one length")
    return [[t] * len(num_frames) for t in range(num_frames[0])]


def pair_mean(features_N: torch.Tensor) -> float:
    """Mean |x_i - x_j| over all pairs i < j and all entries.

    Args:
        features_N: N, then any shape; N >= 2.

    Raises:
        ValueError: fewer than two, or features that are not finite: clipped to a range, they would be a value.
    """
    import torch

    n = len(features_N)
    if n < 2:
        raise ValueError(f"expected at least 2 items to compare, got {n}")
    flat = features_N.reshape(n, -1)
    weight_N = 2.0 * torch.arange(n, dtype=flat.dtype, device=flat.device) - (n - 1)
    total = 0.0
    # Sorted in slices: a sorted copy with its indices would be several times as large as the features.
    for part in flat.split(1 << 18, dim=1):
        total += float((weight_N @ part.sort(dim=0).values).double().sum())
    if not math.isfinite(total):
        raise ValueError(f"expected finite features, got a difference of {total}")
    return total / (n * (n - 1) / 2) / flat.shape[1]


def relative_difference(features_N: torch.Tensor) -> float:
    """Sum |x_i - x_j| / sum (|x_i| + |x_j|) over all pairs i < j and all entries, 0 to 1; has no unit.

    Args:
        features_N: N, then any shape; N >= 2.
    """
    # Every item is in N - 1 of the N (N - 1) / 2 pairs.
    size, apart = 2.0 * float(features_N.abs().double().mean()), pair_mean(features_N)
    # Rounding can leave a difference of equal items a little below 0.
    return min(1.0, max(0.0, apart) / size) if size > 0.0 else 0.0


def gram(features_BCHW: torch.Tensor) -> torch.Tensor:
    """Which channels fire together: F F^T / (C H W), shape B, C, C."""
    _, channels, height, width = features_BCHW.shape
    flat = features_BCHW.flatten(2)
    return flat @ flat.transpose(1, 2) / (channels * height * width)


def diversity_value(content: float, style: float) -> float:
    """clamp((content + 1000 style) / 2 / 17.712, 0, 1): the official scale."""
    return min(1.0, max(0.0, (content + STYLE_FACTOR * style) / 2.0 / LARGEST))


def streamed_diversity(stacks: Iterable[Frames], net: FeatureNet, profile: Profile = "compat") -> Outcome:
    """The value from frames that arrive moment by moment.

    Args:
        stacks: per moment one frame of every clip: N, H, W, 3, all of one size.
        net: gives five style layers and a content layer.
        profile: moment against moment with the official constants, or clips as a whole in `fixed`.
    """
    import torch

    if profile == "fixed":
        return _whole_clips(stacks, net)
    content, style, num = 0.0, 0.0, 0
    with torch.no_grad():
        for stack_NHWC in stacks:
            # One clip at a time: the early layers are far larger than what is stored of them.
            seen = [_reduced(net.layers(stack_NHWC[i : i + 1])) for i in range(len(stack_NHWC))]
            content += pair_mean(torch.cat([found for _, found in seen]))
            layers = [torch.cat(layer) for layer in zip(*(grams for grams, _ in seen), strict=True)]
            style += sum(pair_mean(layer) for layer in layers) / len(layers)
            num += 1
    if num == 0:
        return Unscored(reason="the clips have no frames to compare")
    content, style = content / num, style / num
    parts = (
        Part(name="content", value=diversity_value(content, 0.0)),
        Part(name="style", value=diversity_value(0.0, style)),
    )
    return Scored(value=diversity_value(content, style), parts=parts)


def _whole_clips(stacks: Iterable[Frames], net: FeatureNet) -> Outcome:
    """Half of the relative difference of the channels, and half of that of the Gram matrices' mean over layers."""
    import torch

    totals: list[torch.Tensor] = []
    with torch.no_grad():
        for stack_NHWC in stacks:
            seen = [_summed_up(net.layers(stack_NHWC[i : i + 1])) for i in range(len(stack_NHWC))]
            moment = [torch.cat(layer) for layer in zip(*seen, strict=True)]
            totals = [a + b for a, b in zip(totals, moment, strict=True)] if totals else moment
    if not totals:
        return Unscored(reason="the clips have no frames to compare")
    *styles, content = (relative_difference(total) for total in totals)
    style = fmean(styles)
    return Scored(
        value=(content + style) / 2.0, parts=(Part(name="content", value=content), Part(name="style", value=style))
    )


def _summed_up(layers: tuple[tuple[torch.Tensor, ...], torch.Tensor]) -> list[torch.Tensor]:
    """For one frame: the Gram matrix of each style layer, and how strongly each channel of the content layer fires."""
    style, content = layers
    return [*(gram(layer) for layer in style), content.relu().mean(dim=(2, 3))]


def _reduced(layers: tuple[tuple[torch.Tensor, ...], torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor]:
    style, content = layers
    return [gram(layer) for layer in style], content


def diversity(clips: Sequence[Video], profile: Profile, net: FeatureNet) -> Outcome:
    """The outcome of one prompt.

    Args:
        clips: all its clips; sizes may differ, lengths only as `moments` allows.
        profile: whose rules.
        net: the feature network; VGG19 for figures comparable with the benchmark's.
    """
    chosen = moments([len(clip.frames_THWC) for clip in clips], profile)
    if isinstance(chosen, Unscored):
        return chosen
    frames = [clip.frames_THWC for clip in clips]
    return streamed_diversity((_stretched(frames, at) for at in chosen), net, profile)


def shrunk(clip: Video, profile: Profile) -> Video:
    """What `diversity` needs of a clip, and no more: the value stays the same, the memory shrinks.

    Args:
        clip: a clip in its own size, at least one frame.
        profile: all frames officially; only the compared moments in `fixed`.
    """
    num = len(clip.frames_THWC)
    kept = list(range(num)) if profile == "compat" else spread(num, NUM_MOMENTS)
    return replace(clip, frames_THWC=_stretched([clip.frames_THWC] * len(kept), kept))


def _stretched(clips: Sequence[Frames], at: Sequence[int]) -> Frames:
    import numpy as np
    from PIL import Image

    # Pillow rather than OpenCV: it smooths before it shrinks, as the official code does.
    return np.stack([_square(Image.fromarray(clip[t])) for clip, t in zip(clips, at, strict=True)])


def _square(picture: Image) -> Frames:
    import numpy as np
    from PIL.Image import Resampling

    return np.asarray(picture.resize((SIZE_PX, SIZE_PX), Resampling.BILINEAR))
