"""A clip that cannot be generated: tried three times a run, then a failure on record, and everything else goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import StageFailed, StoreError
from rushes.generate.clips import generate_chunk
from rushes.generate.takes import How, takes
from rushes.judge.grade import grade
from rushes.judge.stage import ask, questions
from rushes.recipe.base import ShapeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records import Clip, Prompt, Question, SamplerSettings
from rushes.roles import ClipRequest, Failed, GeneratedClip
from rushes.store.advance import advance
from rushes.store.decoded import Decoded
from rushes.store.run import Run
from tests.support.fakes import HashJudge
from tests.support.sandbox_recipe import judge_spec

SAMPLER = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=2.0, scheduler="FlowMatchEulerDiscreteScheduler")
SHAPE = ShapeSpec(height_px=8, width_px=8, num_frames=5)
HOW = How("base", SAMPLER, SHAPE)
QUESTION = Question(text="Is it red?", expected="yes", dimension="Simple", about="colour")
PROMPTS = [
    Prompt(
        key=f"{index:064x}", text=text, base_text=text, dimension="Simple", origin="weakness", index=index,
        questions=(QUESTION,),
    )
    for index, text in enumerate(("one", "cursed", "two", "three"))
]  # fmt: skip


class Noise:
    """Generates noise; runs out of memory at one prompt."""

    def __init__(self, *, raises: bool) -> None:
        self.raises = raises
        self.asked: list[str] = []

    def generate(self, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
        self.asked += [request.text for request in requests]
        return [self._one(request) for request in requests]

    def _one(self, request: ClipRequest) -> GeneratedClip | Failed:
        if request.text != "cursed":
            noise = np.random.default_rng(request.seed).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
            return GeneratedClip(noise, None, 0.1)
        error = MemoryError("out of memory at step 3")
        if self.raises:
            raise error
        return Failed.of(error)


def generated(home: Path, generator: Noise, num_takes: int = 1, chunk_size: int = 1) -> tuple[list[Clip], Run]:
    with Run.open(home, {"toy": 1}) as run:
        do = partial(generate_chunk, generator, blobs=run.blobs, how=HOW)  # type: ignore[arg-type]
        work = takes(PROMPTS, num_takes, HOW)
        return advance(run.clips, work, do, chunk_size=chunk_size, place=run.place()), run


@pytest.mark.parametrize("raises", [True, False])
def test_three_runs_try_it_and_the_rest_goes_on(raises: bool, tmp_path: Path) -> None:
    home = tmp_path / "run"
    for attempt in (1, 2, 3):
        generator = Noise(raises=raises)
        clips, _ = generated(home, generator)
        assert [clip.prompt_key for clip in clips] == [PROMPTS[i].key for i in (0, 2, 3)]
        tries = ["cursed"] * 3
        assert generator.asked == (["one", "cursed", "two", "three", "cursed", "cursed"] if attempt == 1 else tries)
        with Run.view(home) as run:
            (failure,) = run.clips.failures()
            assert (failure.stage, failure.attempt, failure.error_type) == ("clips", attempt, "MemoryError")
            assert failure.message == "out of memory at step 3" and "MemoryError" in failure.trace
    generator = Noise(raises=raises)
    clips, _ = generated(home, generator)
    assert generator.asked == [] and len(clips) == 3
    with Run.view(home) as run:
        assert len(run.clips.failures()) == 1 and run.clips.num_records() == 3
        started = [event for event in run.log.read() if event["event"] == "stage_started"]
        assert [event["given_up"] for event in started] == [0, 0, 0, 1]
        spec = judge_spec(judge=PluginSpec(use="tests.support.fakes:HashJudgeSpec"))
        by_key = {prompt.key: prompt for prompt in PROMPTS}
        answers = ask(HashJudge(), questions(clips, by_key, spec), videos=Decoded(run.blobs), name="hash")
        scores = grade(clips, by_key, [answer for answer in answers if not isinstance(answer, Failed)], spec)
    assert [score.prompt_key for score in scores] == [clip.prompt_key for clip in clips]
    assert all(score.outcome.kind == "scored" for score in scores)


def test_one_clip_that_fails_does_not_take_its_batch_with_it(tmp_path: Path) -> None:
    alone, _ = generated(tmp_path / "alone", Noise(raises=True))
    generator = Noise(raises=True)
    with pytest.warns(
        UserWarning, match=r"4 of 4 clips generated at once failed \(MemoryError: .*lower runtime.generate_batch"
    ):
        clips, _ = generated(tmp_path / "run", generator, chunk_size=4)
    texts = ["one", "cursed", "two", "three"]
    assert generator.asked == [*texts, *texts, "cursed", "cursed"], "the batch, its clips, and two more tries of one"
    assert [(clip.key, clip.video) for clip in clips] == [(clip.key, clip.video) for clip in alone]
    with Run.view(tmp_path / "run") as run:
        (failure,) = run.clips.failures()
        assert (failure.attempt, failure.error_type) == (1, "MemoryError")
    for attempt in (2, 3):
        with pytest.warns(UserWarning, match="one by one"):
            assert len(generated(tmp_path / "run", Noise(raises=True), chunk_size=4)[0]) == 3
        with Run.view(tmp_path / "run") as run:
            assert [each.attempt for each in run.clips.failures()] == [attempt]
    idle = Noise(raises=True)
    assert len(generated(tmp_path / "run", idle, chunk_size=4)[0]) == 3 and idle.asked == []


@pytest.mark.filterwarnings("ignore:.*generated at once failed")
@pytest.mark.parametrize("chunk_size", [1, 4])
@pytest.mark.parametrize("raises", [True, False])
def test_a_generator_that_works_at_the_third_try_loses_nothing(raises: bool, chunk_size: int, tmp_path: Path) -> None:
    class Moody(Noise):
        def _one(self, request: ClipRequest) -> GeneratedClip | Failed:
            if self.asked.count("cursed") < (4 if chunk_size > 1 else 3):
                return super()._one(request)
            return super()._one(replace(request, text="not cursed any more"))

    generator = Moody(raises=raises)
    clips, _ = generated(tmp_path / "run", generator, chunk_size=chunk_size)
    assert generator.asked.count("cursed") == (4 if chunk_size > 1 else 3)
    assert [clip.prompt_key for clip in clips] == [prompt.key for prompt in PROMPTS]
    assert len({clip.seed for clip in clips}) == 4, "every clip is from its own seed, tried again or not"
    with Run.view(tmp_path / "run") as run:
        assert run.clips.failures() == []


def test_what_must_end_a_run_is_not_tried_clip_by_clip(tmp_path: Path) -> None:
    generator = Noise(raises=True)

    def full(request: ClipRequest) -> GeneratedClip | Failed:
        raise StoreError("no space left")

    generator._one = full  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="no space left"):
        generated(tmp_path / "run", generator, chunk_size=4)
    assert len(generator.asked) == 4


def test_a_generator_that_fails_at_everything_is_broken_and_said_so(tmp_path: Path) -> None:
    generator = Noise(raises=True)
    generator._one = lambda request: Failed("Dead", "no clip")  # type: ignore[method-assign]
    with pytest.raises(StageFailed, match="3 chunks in a row"):
        generated(tmp_path / "run", generator)
    assert len(generator.asked) == 3
