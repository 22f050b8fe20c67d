"""A local vision-language model as the judge of `reward_gradient`: from its answer back to the latents.

The classes are the real ones, tiny and with random weights.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import torch

from rushes.families.load import load_family
from rushes.judge.vlm import build_vlm_judge
from rushes.judge.vlm_local import LocalVlmJudge
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import LocalModelSpec, VlmJudgeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import GivenAnswer, JudgeRequest, Video
from rushes.train.live_judge import Asked, LiveJudge
from tests.support.judges import DARK, RED, smooth_order
from tests.support.tiny_vlm import MAKERS, spell_numbers
from tests.support.tiny_wan import make_tiny_wan
from tests.unit.judge.test_vlm_video import TAKE_VIDEOS

LATENT_SIDE = 7
"""Of clips of 56 px: they fit the video processor as they are."""


@pytest.mark.filterwarnings("ignore:the video processor")
@pytest.mark.parametrize("takes_video", [False, True], ids=["images", "video"])
def test_latents_move_towards_what_the_model_is_surer_of(
    takes_video: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spell_numbers(monkeypatch)
    spec = VlmJudgeSpec(
        model=LocalModelSpec(model=str(MAKERS["qwen2.5-vl"](tmp_path / "vlm"))), num_frames=3, min_mass=0.0
    )
    wan = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path / "wan")), max_tokens=8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judge = build_vlm_judge(spec, RuntimeSpec())
        assert isinstance(judge, LocalVlmJudge)
        if takes_video:
            judge.vlm.processor.video_processor = TAKE_VIDEOS["qwen2.5-vl"][0]()
    live = LiveJudge(wan, judge, smooth_order(2, spec=JudgeSpec(judge=spec)), Asked())
    z_0 = torch.randn((2, 4, 2, LATENT_SIDE, LATENT_SIDE), generator=torch.Generator().manual_seed(0))
    rows = torch.arange(2)
    logit_B, g = live.gradient(z_0, rows)
    assert live.asked.num_clips == 2 and live.asked.num_missing == 0
    assert bool(logit_B.isfinite().all()) and bool((g.flatten(1).norm(dim=1) > 0).all())

    # The logit is the mean over the questions, for the expected answers, of what the judge says about stored frames.
    for frames, logit in zip(wan.decode(z_0), logit_B.tolist(), strict=True):
        (given,) = judge.answer([JudgeRequest(Video(frames, 8.0), "a red circle", (RED, DARK))])
        assert isinstance(given, tuple)
        said = [each.p_yes for each in given if isinstance(each, GivenAnswer) and each.p_yes is not None]
        wanted = [math.log(p / (1 - p)) for p in said]
        assert logit == pytest.approx((wanted[0] - wanted[1]) / 2, abs=2e-3)

    # A small step along the gradient makes it surer, and one against it less sure, of each clip.
    step = 0.3 * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1, 1)
    up, down = (live.gradient(z_0 + sign * step, rows)[0] for sign in (1, -1))
    assert bool((up > logit_B).all()) and bool((down < logit_B).all())
