"""The contract of the role Generator: the size that was asked for, decided by prompt and seed and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rushes.roles import ClipRequest, Failed, GeneratedClip, Generator


def check_generator(generator: Generator, requests: Sequence[ClipRequest], *, tolerance: float = 2.0) -> None:
    """Put a generator through the contract.

    Args:
        generator: built.
        requests: at least two different ones that it can generate, of one shape and sampler.
        tolerance: how far the pixels of a clip may move on average with its companions in a batch, of 255: rounding.
    """
    assert len(requests) >= 2, "give the contract at least two requests"
    clips = generator.generate(requests)
    _check_shape(clips, requests)
    assert not all(isinstance(clip, Failed) for clip in clips), f"give requests that can be generated; got {clips!r}"
    assert list(generator.generate([])) == [], "no requests must give no clips"
    _check_same(clips, generator.generate(requests), 0.0, "the same requests must give the same clips")
    backwards = list(generator.generate(requests[::-1]))[::-1]
    _check_same(clips, backwards, tolerance, "the order of requests must change no clip")
    alone = [clip for request in requests for clip in generator.generate([request])]
    _check_same(clips, alone, tolerance, "generated alone, a request must give the same clip")
    _check_seed(generator, requests[0])


def _check_shape(clips: object, requests: Sequence[ClipRequest]) -> None:
    assert isinstance(clips, list), f"expected a list, got {type(clips).__name__}"
    assert len(clips) == len(requests), f"expected one clip for each of {len(requests)} requests, got {len(clips)}"
    for clip, request in zip(clips, requests, strict=True):
        if isinstance(clip, Failed):
            continue
        assert isinstance(clip, GeneratedClip), f"expected a GeneratedClip or Failed, got {clip!r}"
        expected = (request.num_frames, request.height_px, request.width_px, 3)
        frames, latents = clip.frames_THWC, clip.latents_CTHW
        assert frames.dtype == np.uint8 and frames.shape == expected, (
            f"expected uint8 frames of shape {expected}, got {frames.dtype} {frames.shape}"
        )
        if latents is not None:
            assert latents.dtype == np.float32 and latents.ndim == 4, (
                f"expected float32 latents of shape C, T, H, W, got {latents.dtype} {latents.shape}"
            )
            assert np.isfinite(latents).all(), "expected finite latents"
        assert math.isfinite(clip.seconds) and clip.seconds >= 0, f"expected seconds >= 0, got {clip.seconds!r}"


def _check_same(
    first: Sequence[GeneratedClip | Failed], second: Sequence[GeneratedClip | Failed], tolerance: float, rule: str
) -> None:
    assert len(first) == len(second), f"{rule}: {len(first)} clips, then {len(second)}"
    for one, other in zip(first, second, strict=True):
        assert type(one) is type(other), f"{rule}: {one!r}, then {other!r}"
        if isinstance(one, GeneratedClip) and isinstance(other, GeneratedClip):
            gap = float(np.abs(one.frames_THWC.astype(int) - other.frames_THWC.astype(int)).mean())
            assert gap <= tolerance, f"{rule}: pixels differ by {gap:.3f} on average"


def _check_seed(generator: Generator, request: ClipRequest) -> None:
    for seed in (request.seed + 1, 2**63 - 1):
        one, other = generator.generate([request, replace(request, seed=seed)])
        if isinstance(one, GeneratedClip) and isinstance(other, GeneratedClip):
            assert (one.frames_THWC != other.frames_THWC).any(), f"another seed must give another clip: {seed}"
