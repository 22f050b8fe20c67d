"""Models that take a video are told when its frames were, and share the reading of it.

Their video processors need torchvision only to change pixels, so here they are given frames that fit as they are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rushes.judge.gradient import PixelRequest
from rushes.judge.vlm_local import LocalVlmJudge
from rushes.judge.vlm_model import LocalVlm, Timing
from rushes.recipe.models import LocalModelSpec, VlmJudgeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import GivenAnswer, JudgeRequest, Video
from tests.support.judged import make_question
from tests.support.tiny_vlm import MAKERS, spell_numbers

PIXELS_AS_THEY_ARE = {"do_resize": False, "do_rescale": True, "do_normalize": False, "do_convert_rgb": False}
ASKED = ("is the circle red?", "does the ball move to the left? is it blue?", "is it a square")
SHOWN = (0, 4, 8)


def qwen_videos(patch_size: int) -> Callable[[], Any]:
    def make() -> Any:
        from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

        return Qwen3VLVideoProcessor(patch_size=patch_size, cap_pixels_per_frame=False, **PIXELS_AS_THEY_ARE)

    return make


def plain_videos() -> Any:
    """Like those of LLaVA-OneVision and InternVL, which do nothing of their own but choose frames."""
    from transformers.video_processing_utils import BaseVideoProcessor

    return BaseVideoProcessor(**PIXELS_AS_THEY_ARE)


def smol_videos() -> Any:
    from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

    return SmolVLMVideoProcessor(**PIXELS_AS_THEY_ARE)


# By architecture: its video processor, the side of a frame that fits it, and what its model is told of the times.
TAKE_VIDEOS: dict[str, tuple[Callable[[], Any], int, tuple[str, ...]]] = {
    "qwen2.5-vl": (qwen_videos(14), 56, ()),
    "qwen3-vl": (qwen_videos(16), 64, ("<0.2 seconds>", "<1.0 seconds>")),
    "llava-onevision": (plain_videos, 32, ()),
    "internvl": (plain_videos, 32, ("Frame1", "Frame2", "Frame3")),
    "smolvlm": (smol_videos, 32, ("3 frames from a 0:00:01", "from 00:00", "from 00:01")),
}


def clip(side_px: int, *questions: str) -> JudgeRequest:
    frames = np.random.default_rng(3).integers(0, 255, (9, side_px, side_px, 3), dtype=np.uint8)
    return JudgeRequest(Video(frames, 8.0), "a caption", tuple(make_question(each) for each in questions))


@pytest.fixture
def make_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], LocalVlmJudge]:
    def make(name: str) -> LocalVlmJudge:
        spell_numbers(monkeypatch)
        model = LocalModelSpec(model=str(MAKERS[name](tmp_path)))
        vlm = LocalVlm(model, RuntimeSpec())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vlm.processor.video_processor = TAKE_VIDEOS[name][0]()
        return LocalVlmJudge(VlmJudgeSpec(model=model, num_frames=len(SHOWN), min_mass=0.0), vlm)

    return make


@pytest.mark.parametrize("name", TAKE_VIDEOS)
def test_a_video_is_read_once_and_its_times_are_told(
    name: str, make_judge: Callable[[str], LocalVlmJudge], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = make_judge(name)
    _, side_px, told = TAKE_VIDEOS[name]
    processor = judge.vlm.processor
    expanded: list[str] = []
    expand = processor.replace_video_token

    def listening(*args: Any, **options: Any) -> str:
        expanded.append(str(expand(*args, **options)))
        return expanded[-1]

    monkeypatch.setattr(processor, "replace_video_token", listening)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (answers,) = judge.answer([clip(side_px, *ASKED)])
    assert judge.vlm.takes_video and judge._shares is True
    assert len(expanded) == len(ASKED) + 1 and len(set(expanded)) == 1
    assert all(words in expanded[0] for words in told)
    assert isinstance(answers, tuple)
    for answer, question in zip(answers, ASKED, strict=True):
        (alone,) = judge.answer([clip(side_px, question)])
        assert isinstance(alone, tuple) and isinstance(alone[0], GivenAnswer)
        assert alone[0].p_yes == pytest.approx(answer.p_yes, abs=1e-4)


def test_qwen2_5_places_frames_by_their_seconds(make_judge: Callable[[str], LocalVlmJudge]) -> None:
    vlm = make_judge("qwen2.5-vl").vlm
    frames = clip(56, "is it?").video.frames_THWC[[*SHOWN]]
    given = vlm.inputs(["<|video_pad|>"], frames, Timing(9, 8.0, SHOWN))
    # Two frames make one step; three of nine frames at 8 per second are 8/3 per second.
    assert float(given["second_per_grid_ts"][0]) == pytest.approx(2 / (8 / 3))


@pytest.mark.parametrize("name", TAKE_VIDEOS)
def test_a_gradient_passes_through_a_video(name: str, make_judge: Callable[[str], LocalVlmJudge]) -> None:
    """The margins are those of the answers, and their derivative by the frames is the network's own."""
    judge, side_px = make_judge(name), TAKE_VIDEOS[name][1]
    asked = clip(side_px, *ASKED[:2])
    frames = torch.tensor(asked.video.frames_THWC).float().requires_grad_()
    request = PixelRequest(frames, 8.0, "a caption", asked.questions)
    (margins,), (given,) = judge.margins([request]), judge.answer([asked])
    assert judge.vlm.takes_video and isinstance(margins, torch.Tensor) and isinstance(given, tuple)
    for margin, answer in zip(margins.tolist(), given, strict=True):
        assert isinstance(answer, GivenAnswer) and answer.p_yes is not None
        assert margin == pytest.approx(math.log(answer.p_yes / (1 - answer.p_yes)), abs=1e-3)
    (g,) = torch.autograd.grad(margins.sum(), frames)
    assert [number for number, each in enumerate(g) if bool(each.any())] == [*SHOWN]
    # Pixels are passed on at 1/255 of their size, so their derivatives are those of what the network reads, moved.
    read = judge.pixel_inputs(request, asked.questions, len(SHOWN))
    pixels = next(name for name in ("pixel_values_videos", "pixel_values") if name in read)
    leaf = read[pixels].detach().requires_grad_()
    logits_QV = judge.vlm.model(**{**read, pixels: leaf}).logits[:, -1].float()
    yes, no = (logits_QV[:, judge._spellings[word]].logsumexp(dim=-1) for word in ("yes", "no"))
    (by_leaf,) = torch.autograd.grad((yes - no).sum(), leaf)
    assert float(by_leaf.abs().sum()) > 0
    assert 255 * float(g.sum()) == pytest.approx(float(by_leaf.sum()), rel=1e-3, abs=1e-4)
