"""Writing: orders become records with the orders' keys; what fails is a value in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import UserError
from rushes.prompts.briefs import plan_captions
from rushes.prompts.captions import CaptionWriter
from rushes.prompts.write import PromptTools, write_prompts
from rushes.recipe.base import ShapeSpec
from rushes.records import Prompt, Question
from rushes.roles import Brief, Draft, Failed, QuestionRequest, Video
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from rushes_sandbox.real_clips import sandbox_real_clips

QUESTION = Question(text="is it red?", expected="yes", dimension="Up", about="colour")


class Writes:
    """Gives what it was told to give."""

    def __init__(self, *drafts: Draft | Failed) -> None:
        self.drafts = list(drafts)

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        return self.drafts


class Asks:
    """Asks one question of every text, none of an "empty" one, and fails for a "bad" one."""

    def __init__(self) -> None:
        self.requests: list[QuestionRequest] = []

    def write(self, requests: Sequence[QuestionRequest]) -> list[tuple[Question, ...] | Failed]:
        self.requests += requests
        return [Failed("X", "no") if "bad" in r.text else () if "empty" in r.text else (QUESTION,) for r in requests]


def order(num: int) -> list[Work[Brief]]:
    return [Work(f"{i:064x}", Brief("Up", "Things go up.", (), (), "weakness", i, i)) for i in range(num)]


def test_a_draft_becomes_a_record_with_the_key_of_its_order(tmp_path: Path) -> None:
    draft = Draft("a red circle moves up on a grey background", "a red circle moves up", "grammar", (QUESTION,))
    (made,) = write_prompts(PromptTools(Writes(draft), Blobs(tmp_path)), order(1))
    assert made == Prompt(
        key="0" * 64, text=draft.text, base_text=draft.base_text, dimension="Up", origin="weakness", index=0,
        questions=(QUESTION,), source="grammar",
    )  # fmt: skip


def test_failures_stay_in_their_place(tmp_path: Path) -> None:
    drafts = [Failed("Timeout", "too slow"), Draft(" \n", ""), Draft("a circle", "")]
    made = write_prompts(PromptTools(Writes(*drafts), Blobs(tmp_path)), order(3))
    assert made[0] == drafts[0]
    assert isinstance(made[1], Failed)
    assert "no words" in made[1].message
    assert isinstance(made[2], Prompt)
    assert made[2].base_text == "a circle"


def test_questions_are_asked_for_only_where_there_are_none(tmp_path: Path) -> None:
    asks = Asks()
    own = Question(text="own?", expected="no", dimension="Up", about="x")
    drafts = [Draft("known", "known", questions=(own,)), Draft("plain", ""), Draft("bad", ""), Draft("empty", "")]
    made = write_prompts(PromptTools(Writes(*drafts), Blobs(tmp_path), asks), order(4))
    assert [request.text for request in asks.requests] == ["plain", "bad", "empty"]
    assert [isinstance(each, Prompt) for each in made] == [True, True, False, False]
    assert [each.questions for each in made if isinstance(each, Prompt)] == [(own,), (QUESTION,)]
    assert isinstance(made[3], Failed)
    assert "had none" in made[3].message


def test_a_writer_that_loses_items_is_asked_for_each_alone(tmp_path: Path) -> None:
    """Of a list that is too short nobody knows which draft is whose."""

    class Loses:
        def write(self, briefs: Sequence[Brief]) -> list[Draft]:
            return [Draft(f"a circle, number {brief.index}", "") for brief in briefs if brief.index != 1]

    made = write_prompts(PromptTools(Loses(), Blobs(tmp_path)), order(3))
    assert [each.text for each in made if isinstance(each, Prompt)] == ["a circle, number 0", "a circle, number 2"]
    assert isinstance(made[1], Failed) and "each of 1 requests, got a list of 0" in made[1].message


@pytest.mark.parametrize("which", ["writer", "questions"])
def test_one_text_that_breaks_a_writer_costs_only_itself(which: str, tmp_path: Path) -> None:
    class Breaks(Asks):
        def write(self, requests: Sequence[QuestionRequest]) -> list[tuple[Question, ...] | Failed]:
            if which == "questions" and any("number 1" in request.text for request in requests):
                raise ValueError("an odd text")
            return super().write(requests)

    class Writer:
        def write(self, briefs: Sequence[Brief]) -> list[Draft]:
            if which == "writer" and any(brief.index == 1 for brief in briefs):
                raise ValueError("an odd brief")
            return [Draft(f"a circle, number {brief.index}", "") for brief in briefs]

    made = write_prompts(PromptTools(Writer(), Blobs(tmp_path), Breaks()), order(3))
    assert [each.index for each in made if isinstance(each, Prompt)] == [0, 2]
    assert isinstance(made[1], Failed) and "an odd" in made[1].message and made[1].was_alone


def test_drafts_that_came_before_an_error_are_kept(tmp_path: Path) -> None:
    class Yields:
        def write(self, briefs: Sequence[Brief]) -> Iterator[Draft]:
            yield Draft("a circle", "")
            raise UserError("no more credit")

    made = write_prompts(PromptTools(Yields(), Blobs(tmp_path)), order(3))
    assert isinstance(made[0], Prompt)
    assert [isinstance(each, Failed) and isinstance(each.ends, UserError) for each in made[1:]] == [True, True]


def test_captions_come_with_the_pixels_of_their_clips(tmp_path: Path) -> None:
    clips = sandbox_real_clips(3, seed=4)
    blobs = Blobs(tmp_path)
    made = write_prompts(PromptTools(CaptionWriter(clips, (ShapeSpec(),)), blobs), plan_captions(clips))
    for clip, prompt in zip(clips, made, strict=True):
        assert isinstance(prompt, Prompt)
        assert prompt.real_clip is not None
        assert (prompt.text, prompt.origin, prompt.questions) == (clip.text, "caption", clip.questions)
        assert np.array_equal(blobs.read_video(prompt.real_clip), clip.load().frames_THWC)


def test_a_clip_of_another_shape_than_the_models_fails_alone(tmp_path: Path) -> None:
    """A plug-in's clip, since files are cut to shape."""
    long = sandbox_real_clips(2, seed=4)
    short = dataclasses.replace(long[0], load=lambda: Video(long[0].load().frames_THWC[:9], 8.0))
    clips = [short, long[1]]
    failed, made = write_prompts(
        PromptTools(CaptionWriter(clips, (ShapeSpec(),)), Blobs(tmp_path)), plan_captions(clips)
    )
    assert isinstance(made, Prompt) and isinstance(failed, Failed)
    assert "expected frames of shape (17, 64, 64, 3), got (9, 64, 64, 3)" in failed.message
