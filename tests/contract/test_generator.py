"""The generator's contract: good generators pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rushes.roles import ClipRequest, Failed, GeneratedClip
from tests.contract.generator import check_generator
from tests.contract.spoiled import (
    Change,
    Spoiled,
    first,
    of_companions,
    of_place,
    one_for_nothing,
    unchanged,
    wandering,
)
from tests.support.judged import SAMPLER


def clip_requests() -> list[ClipRequest]:
    one = ClipRequest("a ball", 1, SAMPLER, height_px=4, width_px=6, num_frames=3, fps=8.0)
    return [one, replace(one, seed=2), replace(one, text="a cube", seed=9)]


def generated(requests: Sequence[ClipRequest]) -> list[Any]:
    return [_generated(request) for request in requests]


def _generated(request: ClipRequest) -> GeneratedClip:
    rng = np.random.default_rng([request.seed, zlib.crc32(request.text.encode())])
    frames = rng.integers(0, 200, (request.num_frames, request.height_px, request.width_px, 3), dtype=np.uint8)
    return GeneratedClip(frames, rng.normal(size=(4, 1, 2, 3)).astype(np.float32), seconds=0.1)


def brighten(clip: GeneratedClip, by: int) -> GeneratedClip:
    return replace(clip, frames_THWC=(clip.frames_THWC + 5 * by).astype(np.uint8))


def with_latents(change: Callable[[Any], Any]) -> Change:
    return first(lambda clip: replace(clip, latents_CTHW=change(clip.latents_CTHW)))


def ignore_seed(results: list[Any], requests: Sequence[ClipRequest]) -> list[Any]:
    return generated([replace(request, seed=0) for request in requests])


def test_good_generators_pass() -> None:
    check_generator(Spoiled(generated, unchanged), clip_requests())
    check_generator(Spoiled(generated, with_latents(lambda _: None)), clip_requests())
    check_generator(Spoiled(generated, of_companions(brighten)), clip_requests(), tolerance=20.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda results, _: tuple(results), "expected a list"),
        (lambda results, _: results[:-1], "one clip for each of 3 requests, got 2"),
        (first(lambda clip: clip.frames_THWC), "expected a GeneratedClip or Failed"),
        (first(lambda clip: replace(clip, frames_THWC=clip.frames_THWC[:2])), r"shape \(3, 4, 6, 3\)"),
        (first(lambda clip: replace(clip, frames_THWC=clip.frames_THWC / 255)), "expected uint8 frames"),
        (with_latents(lambda z: z.astype(np.float16)), "expected float32 latents"),
        (with_latents(lambda z: z[0]), "expected float32 latents"),
        (with_latents(lambda z: z * np.float32("nan")), "expected finite latents"),
        (first(lambda clip: replace(clip, seconds=float("nan"))), "expected seconds >= 0"),
        (lambda results, _: [Failed("X", "y") for _ in results], "requests that can be generated"),
        (one_for_nothing, "no requests must give no clips"),
        (wandering(brighten), "the same requests"),
        (of_place(brighten), "the order of requests"),
        (of_companions(brighten), "generated alone"),
        (ignore_seed, "another seed must give another clip"),
    ],
)
def test_bad_generators_are_caught(change: Change, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_generator(Spoiled(generated, change), clip_requests())
