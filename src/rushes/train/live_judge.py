"""The judge in the training loop: latents are decoded as clips are, and judged as clips are.

One clip at a time is decoded, with its gradient where that is wanted: a decoder's graph is larger than the rest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rushes.errors import RecipeError, TrainingError
from rushes.families.attention import attention_for_sampling
from rushes.families.family import Family
from rushes.judge.gradient import GradientJudge, PixelRequest
from rushes.judge.live import margin, outcomes
from rushes.judge.stage import build_answerer
from rushes.records import Scored
from rushes.roles import Failed, Judge, JudgeRequest, Video
from rushes.train.judging import JudgeOrder

MAX_EMPTY_IN_A_ROW: Final = 5
"""Calls in a row without a single answer after which training gives up."""


@dataclass
class Asked:
    """What a training has asked of its judge since this process began."""

    num_clips: int = 0
    """Clips decoded and judged."""
    num_missing: int = 0
    """Clips among them without an answer."""
    seconds: float = 0.0
    """Wall-clock seconds of decoding and judging."""
    num_empty_in_a_row: int = 0
    """The most recent calls without any answer."""

    def note(self, reasons: Sequence[str | None], seconds: float) -> None:
        """Count one call.

        Args:
            reasons: for each clip why there is no answer, None where there is one.
            seconds: how long it took.

        Raises:
            TrainingError: the judge answers nothing any more.
        """
        missing = [each for each in reasons if each is not None]
        self.num_clips += len(reasons)
        self.num_missing += len(missing)
        self.seconds += seconds
        self.num_empty_in_a_row = self.num_empty_in_a_row + 1 if len(missing) == len(reasons) else 0
        if self.num_empty_in_a_row >= MAX_EMPTY_IN_A_ROW:
            raise TrainingError(
                f"the judge answered nothing in {MAX_EMPTY_IN_A_ROW} calls in a row, and the objective learns from it",
                expected="scores of clips that the model denoises in training",
                got=missing[-1],
                next_step="correct what the judge says and run the same command again: training goes on from its last "
                "stored state; or set train.objective: {kind: flow}",
            )


@dataclass(frozen=True, eq=False)
class LiveJudge:
    """The recipe's judge, about rows of the training data; a `rushes.train.batch.JudgeHook`."""

    family: Family
    judge: Judge
    order: JudgeOrder
    asked: Asked

    @classmethod
    def of(cls, order: JudgeOrder, family: Family, *, gradient: bool) -> LiveJudge:
        """Load the judge, and put the autoencoder on the family's device.

        Raises:
            RecipeError: it cannot be loaded, or gives no gradient where one is needed.
        """
        judge = build_answerer(order.spec, order.runtime)
        if gradient and not isinstance(judge, GradientJudge):
            raise RecipeError(
                f"train.objective needs the gradient of judge.judge, and {type(judge).__name__} gives none",
                expected="a judge with a method margins(requests), see rushes.judge.gradient",
                next_step="set train.objective: {kind: online}, which needs only scores, or name another judge",
            )
        family.pipeline.vae.to(family.device)  # offloaded parts are in main memory while the model trains
        return cls(family, judge, order, Asked())

    @torch.no_grad()
    def value(self, clean_BCTHW: Tensor, rows_B: Tensor) -> Tensor:
        """Scores (B,), NaN where there is none."""
        began = time.perf_counter()
        requests = []
        with attention_for_sampling():  # not training's kernels: as where clips are generated and judged
            for z, row in zip(clean_BCTHW, rows_B.tolist(), strict=True):
                asked, (frames,) = self.order.of_row(row), self.family.decode(z[None])
                requests.append(JudgeRequest(Video(frames, self.order.fps), asked.text, asked.questions))
            found = outcomes(self.judge, requests, self.order.spec.aggregate)
        self.asked.note([None if isinstance(each, Scored) else each.reason for each in found], _since(began))
        values = [each.value if isinstance(each, Scored) else torch.nan for each in found]
        return torch.tensor(values, dtype=torch.float32, device=clean_BCTHW.device)

    def gradient(self, clean_BCTHW: Tensor, rows_B: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B,) and their derivative by the latents, NaN and 0 where there is none."""
        began = time.perf_counter()
        logit_B = torch.full((len(rows_B),), torch.nan, device=clean_BCTHW.device)
        g, reasons = torch.zeros_like(clean_BCTHW), list[str | None]()
        for i, row in enumerate(rows_B.tolist()):
            leaf = clean_BCTHW[i : i + 1].detach().requires_grad_()
            with torch.enable_grad():
                given = self._margin(leaf, row)
                if not isinstance(given, Failed):
                    g[i : i + 1] = torch.autograd.grad(given, leaf)[0]
                    logit_B[i] = given.detach()
            reasons.append(f"{given.error_type}: {given.message}" if isinstance(given, Failed) else None)
        self.asked.note(reasons, _since(began))
        return logit_B, g

    def _margin(self, leaf: Tensor, row: int) -> Tensor | Failed:
        asked = self.order.of_row(row)
        assert isinstance(self.judge, GradientJudge)
        (frames_THWC,) = rounded_pixels(self.family.decoded(leaf))
        return margin(self.judge, PixelRequest(frames_THWC, self.order.fps, asked.text, asked.questions))


def rounded_pixels(video_N3THW: Tensor) -> Tensor:
    """An autoencoder's output as pixels (N, T, H, W, 3), whole numbers from 0 to 255 as clips are stored.

    The gradient passes rounding as if there were none. It is 0 where a pixel is cut off at black or white.
    """
    exact = (video_N3THW.float() / 2 + 0.5).clamp(0, 1) * 255
    return (exact.detach().round() + (exact - exact.detach())).permute(0, 2, 3, 4, 1)


def _since(began: float) -> float:
    return time.perf_counter() - began
