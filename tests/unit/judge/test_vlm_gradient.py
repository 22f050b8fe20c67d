"""The gradient of local vision-language models: the same logits as without it, and the derivative they really have."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from rushes.judge import vlm_pixels
from rushes.judge.gradient import GradientJudge, PixelRequest, gradient_problem
from rushes.judge.vlm import build_vlm_judge
from rushes.judge.vlm_local import LocalVlmJudge
from rushes.judge.vlm_pixels import scaled
from rushes.preflight.local_models import check_judge_pixels
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.models import LocalModelSpec, ServerModelSpec, VlmJudgeSpec
from rushes.recipe.objectives import OnlineSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import GivenAnswer, JudgeRequest, Video
from tests.support.judged import make_question
from tests.support.sandbox_recipe import sandbox_with
from tests.support.tiny_vlm import MAKERS, spell_numbers

QUESTIONS = tuple(make_question(each) for each in ("is the circle red?", "does the ball move to the left? is it blue?"))


@pytest.fixture(scope="module", params=MAKERS)
def judge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVlmJudge]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spell_numbers(patch)
        model = LocalModelSpec(model=str(MAKERS[request.param](tmp_path_factory.mktemp("vlm"))))
        made = build_vlm_judge(VlmJudgeSpec(model=model, num_frames=3, min_mass=0.0, max_side_px=64), RuntimeSpec())
        assert isinstance(made, LocalVlmJudge)
        yield made


def smooth_frames() -> torch.Tensor:
    """Five frames of waves, larger than the judge is shown."""
    y, x, t = np.mgrid[0:60, 0:80, 0:5]
    waves = [np.sin(x / 9 + t + c) * np.cos(y / 7 - c) for c in range(3)]
    return torch.tensor(np.stack(waves, -1).transpose(2, 0, 1, 3) * 90 + 128).float().round()


@pytest.mark.filterwarnings("ignore:the video processor")
def test_margins_are_the_answers_and_have_a_gradient(judge: LocalVlmJudge) -> None:
    frames = smooth_frames().requires_grad_()
    assert isinstance(judge, GradientJudge)
    (margins,) = judge.margins([PixelRequest(frames, 8.0, "a caption", QUESTIONS)])
    video = Video(frames.detach().to(torch.uint8).numpy(), 8.0)
    (given,) = judge.answer([JudgeRequest(video, "a caption", QUESTIONS)])
    assert isinstance(margins, torch.Tensor) and isinstance(given, tuple)
    for margin, answer in zip(margins.tolist(), given, strict=True):
        assert isinstance(answer, GivenAnswer) and answer.p_yes is not None
        assert margin == pytest.approx(math.log(answer.p_yes / (1 - answer.p_yes)), abs=1e-3)
    (g,) = torch.autograd.grad(margins.sum(), frames)
    assert [bool(each.any()) for each in g] == [True, False, True, False, True], "the frames that are shown"
    # A step up the gradient, in whole levels of the pixels so that the processor sees it.
    step = 24 * g / g.abs().max()
    (after,) = judge.margins([PixelRequest((frames.detach() + step).clamp(0, 255).round(), 8.0, "x", QUESTIONS)])
    assert isinstance(after, torch.Tensor)
    assert float(after.sum()) > float(margins.sum())


@pytest.mark.filterwarnings("ignore:the video processor")
def test_a_processor_that_cannot_be_followed_is_told_before_anything_is_spent(
    judge: LocalVlmJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = judge.spec.model_copy(update={"num_frames": 3})
    recipe = sandbox_with("train.objective={kind: reward_gradient}", "shape.num_frames=5")
    recipe = recipe.model_copy(update={"judge": JudgeSpec(judge=VlmJudgeSpec(**spec.model_dump()))})
    assert not [*check_judge_pixels(recipe)]
    monkeypatch.setattr(vlm_pixels, "scaled", lambda frames, *size, **how: 255 - 0.5 * scaled(frames, *size, **how))
    (finding,) = check_judge_pixels(recipe)
    assert finding.setting == "judge.judge" and "no gradient passes through the processor" in finding.problem
    scores = recipe.model_copy(update={"train": recipe.train.model_copy(update={"objective": OnlineSpec()})})
    assert not [*check_judge_pixels(scores)], "scores need no gradient"


def test_a_server_gives_none() -> None:
    spec = VlmJudgeSpec(model=ServerModelSpec(model="eyes"))
    assert "on a server" in str(gradient_problem(JudgeSpec(judge=spec)))
