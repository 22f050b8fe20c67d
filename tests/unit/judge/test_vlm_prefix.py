"""Questions of one clip share its reading: a safe cut, the logits of the plain way, or it is not used."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.judge.vlm_local import LocalVlmJudge
from rushes.judge.vlm_model import LocalVlm, Timing, local_vlm
from rushes.judge.vlm_prefix import Split, agrees, first_words, split
from rushes.recipe.models import LocalModelSpec, VlmJudgeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import JudgeRequest, Video
from tests.support.judged import make_question
from tests.support.tiny_vlm import MAKERS, make_llava, spell_numbers

PICTURE, END = 90, 91
ASKED = ("is the circle red?", "does the ball move to the left? is it blue?", "is it a square or a circle", "is it?")


def test_conversations_part_where_their_words_do() -> None:
    whole = [1, PICTURE, PICTURE, PICTURE, END, 5, 6, 7]
    bare = [[1, PICTURE, END, 5, 6, 7], [1, PICTURE, END, 5, 8], [1, PICTURE, END, 5, 6, 9, 9]]
    assert split(whole, bare, frozenset({PICTURE})) == Split(6, ((6, 7), (8,), (6, 9, 9)))


def test_equal_questions_keep_a_word_of_their_own() -> None:
    assert split([PICTURE, PICTURE, 5, 6], [[PICTURE, 5, 6]] * 2, frozenset({PICTURE})) == Split(3, ((6,), (6,)))


@pytest.mark.parametrize(
    ("whole", "bare", "pictures"),
    [
        ([1, PICTURE, 5, 6], [[1, PICTURE, 5, 6], [2, PICTURE, 5, 7]], {PICTURE}),  # they differ from the first word on
        ([1, 5, PICTURE], [[1, 5, PICTURE], [1, 6, PICTURE]], {PICTURE}),  # the clip stands last
        ([1, PICTURE, 5, 6], [[1, PICTURE, 5, 6], [1, PICTURE, 5, 7]], set()),  # nobody knows what a picture is
        ([1, PICTURE, 5, 4], [[1, PICTURE, 5, 6], [1, PICTURE, 5, 7]], {PICTURE}),  # the processor changed the words
    ],
)
def test_what_cannot_be_cut_safely_is_not_cut(whole: list[int], bare: list[list[int]], pictures: set[int]) -> None:
    assert split(whole, bare, frozenset(pictures)) is None


def test_rounding_agrees_and_other_answers_do_not() -> None:
    plain = torch.randn(2, 200, generator=torch.Generator().manual_seed(0))
    assert agrees(plain + 1e-5, plain)
    assert not agrees(plain + torch.linspace(0, 0.1, 200), plain)
    assert agrees(plain.bfloat16() + 0.01, plain.bfloat16()) and not agrees(plain.bfloat16() * 1.5, plain.bfloat16())


@pytest.fixture(scope="module", params=MAKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        spell_numbers(patch)
        yield MAKERS[request.param](tmp_path_factory.mktemp("vlm"))


def clip(seed: int = 3) -> JudgeRequest:
    frames = np.random.default_rng(seed).integers(0, 255, (9, 40, 56, 3), dtype=np.uint8)
    return JudgeRequest(Video(frames, 8.0), "a caption", tuple(make_question(each) for each in ASKED))


@pytest.mark.filterwarnings("ignore:the video processor")
def test_shared_reading_gives_the_logits_of_the_plain_way_and_reads_the_clip_once(folder: Path) -> None:
    spec = VlmJudgeSpec(model=LocalModelSpec(model=str(folder)), num_frames=3, min_mass=0.0)
    judge = LocalVlmJudge(spec, LocalVlm(LocalModelSpec(model=str(folder)), RuntimeSpec()))
    request = clip()
    frames = request.video.frames_THWC[[0, 4, 8]]
    from rushes.judge.asked import turns

    texts = [judge.vlm.as_text(turns(spec, each.text, 9, 8.0, (0, 4, 8)), 3) for each in request.questions]
    read: list[int] = []
    forward = judge.vlm.model.forward

    def counting(*args: object, **given: torch.Tensor) -> object:
        read.append(given["input_ids"].numel())
        return forward(*args, **given)

    judge.vlm.__dict__["keeps_few_logits"] = judge.vlm.keeps_few_logits
    judge.vlm.model.forward = counting
    plain = judge._plain(texts, frames, Timing(9, 8.0, (0, 4, 8)))
    (num_plain,) = read
    shared = first_words(judge.vlm, texts, frames)
    assert shared is not None and torch.allclose(shared, plain, atol=1e-4)
    assert not torch.allclose(shared[0], shared[1], atol=1e-3), "the questions are told apart"
    assert sum(read[1:]) < num_plain / 2

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (answers,) = judge.answer([request])
        before = len(read)
        assert judge.answer([request]) == [answers]
    assert judge._shares is True and len(read) == before + 2
    for answer, question in zip(answers, request.questions, strict=True):  # type: ignore[arg-type]
        ((alone,),) = judge.answer([JudgeRequest(request.video, "", (question,))])  # type: ignore[misc]
        assert alone.p_yes == pytest.approx(answer.p_yes, abs=1e-4)


@pytest.mark.filterwarnings("ignore:the video processor")
def test_a_model_that_goes_on_wrongly_is_asked_the_plain_way_and_this_is_said(tmp_path: Path) -> None:
    spec = VlmJudgeSpec(model=LocalModelSpec(model=str(make_llava(tmp_path))), num_frames=3, min_mass=0.0)
    right = LocalVlmJudge(spec, local_vlm(spec.model, RuntimeSpec()))  # type: ignore[arg-type]
    one_by_one = [right.answer([JudgeRequest(clip().video, "", (each,))])[0] for each in clip().questions]
    wrong = LocalVlmJudge(spec, local_vlm(spec.model, RuntimeSpec()))  # type: ignore[arg-type]
    assert wrong.vlm is right.vlm, "loaded once"
    forward = wrong.vlm.model.forward

    def forgetful(*args: object, past_key_values: object = None, **given: object) -> object:
        return forward(*args, **given)

    wrong.vlm.__dict__["keeps_few_logits"] = wrong.vlm.keeps_few_logits
    wrong.vlm.model.forward = forgetful
    with pytest.warns(UserWarning, match="every question processes the clip again"):
        (answers,) = wrong.answer([clip()])
    for answer, (alone,) in zip(answers, one_by_one, strict=True):  # type: ignore[arg-type,misc]
        assert answer.p_yes == pytest.approx(alone.p_yes, abs=1e-4)
    assert wrong._shares is False
