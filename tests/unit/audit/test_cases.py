"""Controls: what they do to frames and questions, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.audit.cases import ORIGINAL, PIXELS, Asked, NotAsked, compressed, requests_of, wrong_prompts
from rushes.audit.expectations import chosen_controls
from rushes.roles import Video
from tests.support.audited import make_case, make_cases


def changed(control: str, frames: np.ndarray, fps: float = 8.0) -> Video:
    found = PIXELS[control](Video(frames, fps), np.random.default_rng(0))
    assert isinstance(found, Video)
    return found


def numbered(num_frames: int) -> np.ndarray:
    """Frame t is t everywhere."""
    return np.broadcast_to(np.arange(num_frames, dtype=np.uint8)[:, None, None, None], (num_frames, 4, 4, 3)).copy()


def order_of(video: Video) -> list[int]:
    return video.frames_THWC[:, 0, 0, 0].tolist()


def test_frames_of_each_control() -> None:
    frames = numbered(9)
    assert order_of(changed("black_video", frames)) == [0] * 9
    assert order_of(changed("frozen_frame", frames)) == [4] * 9
    assert order_of(changed("reversed_time", frames)) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert order_of(changed("held_frames", frames)) == [0, 0, 2, 2, 4, 4, 6, 6, 8]
    half = changed("half_the_frames", frames)
    assert (order_of(half), half.fps) == ([0, 2, 4, 6, 8], 4.0)
    double = changed("double_rate", frames)
    assert (order_of(double), double.fps) == (list(range(9)), 16.0)
    assert order_of(Video(frames, 8.0)) == list(range(9)), "the original must stay as it is"


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_frames_keep_every_frame_and_lose_the_order(seed: int) -> None:
    found = PIXELS["shuffled_frames"](Video(numbered(6), 8.0), np.random.default_rng(seed))
    assert isinstance(found, Video)
    order = order_of(found)
    assert sorted(order) == list(range(6))
    assert np.mean(np.abs(np.diff(order)) > 1) >= 0.5


def test_short_clips_say_why_they_cannot_be_shuffled_or_halved() -> None:
    rng = np.random.default_rng(0)
    assert PIXELS["shuffled_frames"](Video(numbered(3), 8.0), rng) == "3 frames have no order to lose"
    assert PIXELS["half_the_frames"](Video(numbered(2), 8.0), rng) == "2 frames cannot be halved"


@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_compression_spoils_pixels_and_keeps_the_shape(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (5, 5, 7, 3), np.uint8).repeat(10, 1).repeat(7, 2)
    frames = small[:, : size[0], : size[1]]
    heavy, light = compressed(frames, 8.0), compressed(frames, 8.0, crf=10)
    assert heavy.shape == frames.shape and heavy.dtype == np.uint8
    wrong = [np.abs(each.astype(int) - frames).mean() for each in (light, heavy)]
    assert wrong[0] < wrong[1] < 60


def test_every_control_of_the_table_can_be_asked() -> None:
    cases = make_cases(4)
    rows = requests_of(cases[0], cases[1], chosen_controls(), seed=0)
    assert [row.control for row in rows] == [ORIGINAL, *chosen_controls()]
    assert all(isinstance(row, Asked) for row in rows)
    with pytest.raises(ValueError, match="no such control"):
        requests_of(cases[0], cases[1], ["upside_down"], seed=0)


def test_the_same_seed_gives_the_same_requests() -> None:
    case = make_case(1)
    first, again, other = (requests_of(case, None, ["shuffled_frames"], seed)[1] for seed in (0, 0, 1))
    assert isinstance(first, Asked) and isinstance(again, Asked) and isinstance(other, Asked)
    assert np.array_equal(first.request.video.frames_THWC, again.request.video.frames_THWC)
    assert not np.array_equal(first.request.video.frames_THWC, other.request.video.frames_THWC)


def test_questions_of_each_control() -> None:
    case, other = make_case(0), make_case(1)
    wrong, turned, again = requests_of(case, other, ["wrong_prompt", "negated_question", "asked_again"], 0)[1:]
    assert isinstance(wrong, Asked) and isinstance(turned, Asked) and isinstance(again, Asked)
    assert (wrong.request.text, wrong.request.questions) == (other.text, other.questions)
    assert again.request.questions == case.questions[::-1]
    for index, question in zip(turned.compared, turned.request.questions, strict=True):
        assert case.questions[index].text in question.text
        assert {question.expected, case.questions[index].expected} == {"yes", "no"}


def test_what_cannot_be_asked_says_why() -> None:
    case = make_case(0)
    open_question = case.questions[0].model_copy(update={"text": "what is it?"})
    from dataclasses import replace

    alone = replace(case, questions=(open_question,))
    no_prompt, no_turn = requests_of(alone, None, ["wrong_prompt", "negated_question"], 0)[1:]
    assert isinstance(no_prompt, NotAsked) and "no other prompt" in no_prompt.reason
    assert isinstance(no_turn, NotAsked) and "negated safely" in no_turn.reason
    # Only what can be turned round is compared.
    mixed = replace(case, questions=(open_question, *case.questions[1:]))
    row = requests_of(mixed, None, ["negated_question"], 0)[1]
    assert isinstance(row, Asked) and row.compared == (1, 2, 3)


def test_a_wrong_prompt_is_of_the_same_dimension_and_shares_as_little_as_possible() -> None:
    cases = (*make_cases(12), *make_cases(2, "Composition"))
    pairs = wrong_prompts(cases[:12], seed=0)
    assert len(pairs) == 12
    for case in cases[:12]:
        other = pairs[case.name]
        assert other.prompt != case.prompt
        own = {(q.text, q.expected) for q in case.questions}
        # Among twelve clips there is always one of another colour that goes the other way.
        assert not own & {(q.text, q.expected) for q in other.questions}
    assert wrong_prompts(cases[:1], seed=0) == {}
