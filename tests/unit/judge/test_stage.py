"""Asking the judge: whole requests, one record per question, and no number from a judge that misbehaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rushes.context import Context
from rushes.errors import BlobCorrupt, InputError, RecipeError, StageFailed
from rushes.judge.grade import grade
from rushes.judge.key import answer_keys, judge_name
from rushes.judge.stage import Asked, ask, build_judge, chunk_size, judge, questions
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Answer, Clip, Prompt, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Runtime, Spec
from rushes.store.advance import Work, advance
from rushes.store.decoded import Decoded
from rushes.store.run import Run
from tests.support.judged import make_clip, make_prompt, make_question
from tests.support.sandbox_recipe import judge_spec, sandbox_recipe
from tests.support.travelling import Travelling

SPEC = judge_spec()


@dataclass
class Scripted:
    """Says yes as surely as the clip is bright; remembers its requests; `act` may do something else first."""

    act: Callable[[Sequence[JudgeRequest]], Any] | None = None
    calls: list[list[JudgeRequest]] = field(default_factory=list[list[JudgeRequest]])

    def answer(self, requests: Sequence[JudgeRequest]) -> Any:
        self.calls.append(list(requests))
        if self.act is not None and (acted := self.act(requests)) is not None:
            return acted
        return [tuple(GivenAnswer(brightness(each) / 255) for _ in each.questions) for each in requests]


def brightness(request: JudgeRequest) -> int:
    return int(request.video.frames_THWC[0, 0, 0, 0])


@dataclass
class Scene:
    """A run with three clips of 2, 3 and 2 questions, 10, 20 and 30 bright."""

    run: Run
    clips: list[Clip]
    prompts: dict[str, Prompt]

    @property
    def work(self) -> list[Work[Asked]]:
        return questions(self.clips, self.prompts, SPEC)

    def ask(self, judge: Scripted, chunk: Sequence[Work[Asked]] | None = None) -> list[Answer | Failed]:
        return ask(judge, self.work if chunk is None else chunk, videos=Decoded(self.run.blobs), name="scripted")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Run.open(tmp_path / "run", {"test": 1}) as run:
        prompts = [make_prompt(f"p{n}", *(make_question(f"is it {n} {i}?") for i in range(n))) for n in (2, 3)]
        clips = [
            make_clip(prompts[0], 0, brightness=10, blobs=run.blobs),
            make_clip(prompts[1], 0, brightness=20, blobs=run.blobs),
            make_clip(prompts[0], 1, brightness=30, blobs=run.blobs),
        ]
        yield Scene(run, clips, {prompt.key: prompt for prompt in prompts})


def p_yes(results: Sequence[Answer | Failed]) -> list[float | None]:
    assert all(isinstance(result, Answer) for result in results)
    return [result.p_yes for result in results if isinstance(result, Answer)]


class TestWork:
    def test_one_piece_per_question_side_by_side(self, scene: Scene) -> None:
        order = [(piece.payload.clip.key, piece.payload.index) for piece in scene.work]
        a, b, c = (clip.key for clip in scene.clips)
        assert order == [(a, 0), (a, 1), (b, 0), (b, 1), (b, 2), (c, 0), (c, 1)]
        assert len({piece.key for piece in scene.work}) == 7

    def test_keys_follow_the_judge_and_the_questions_not_the_aggregate(self, scene: Scene) -> None:
        clip, prompt = scene.clips[0], scene.prompts[scene.clips[0].prompt_key]
        key = answer_keys(clip, prompt, SPEC)[0]
        assert answer_keys(clip, prompt, judge_spec(aggregate="minimum", max_unscored=0.5))[0] == key
        other_judge = judge_spec(judge=PluginSpec(use=f"{__name__}:BrightSpec"))
        other_words = prompt.model_copy(update={"questions": prompt.questions[:1]})
        others = {
            answer_keys(clip, prompt, SPEC)[1],
            answer_keys(scene.clips[2], prompt, SPEC)[0],
            answer_keys(clip, prompt, other_judge)[0],
            answer_keys(clip, other_words, SPEC)[0],
        }
        assert len(others | {key}) == 5

    def test_a_prompt_without_questions_gives_no_work(self, scene: Scene) -> None:
        silent = make_prompt("silent")
        assert questions([make_clip(silent)], {silent.key: silent}, SPEC) == []

    def test_chunks_hold_about_that_many_clips(self, scene: Scene) -> None:
        assert chunk_size(scene.work, 4) == 12
        assert chunk_size([], 4) == 4
        assert chunk_size(scene.work, 0) == 3


class TestRequests:
    def test_a_clip_is_one_request_with_all_its_questions_frames_and_text(self, scene: Scene) -> None:
        judge = Scripted()
        results = scene.ask(judge)
        assert p_yes(results) == pytest.approx([n / 255 for n in (10, 10, 20, 20, 20, 30, 30)])
        (requests,) = judge.calls
        assert [brightness(each) for each in requests] == [10, 20, 30]
        for request, clip in zip(requests, scene.clips, strict=True):
            prompt = scene.prompts[clip.prompt_key]
            assert (request.text, request.questions) == (prompt.text, prompt.questions)
            assert (request.video.fps, request.video.frames_THWC.shape) == (8.0, (3, 4, 4, 3))

    def test_answers_say_what_was_asked_of_which_clip_by_whom(self, scene: Scene) -> None:
        for piece, result in zip(scene.work, scene.ask(Scripted()), strict=True):
            assert isinstance(result, Answer)
            assert (result.key, result.clip_key, result.judge) == (piece.key, piece.payload.clip.key, "scripted")
            assert result.question == piece.payload.prompt.questions[piece.payload.index]

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
    def test_the_edge_of_a_chunk_cuts_no_request(self, scene: Scene, size: int) -> None:
        judge = Scripted(act=by_position)
        do = partial(ask, judge, videos=Decoded(scene.run.blobs), name="scripted")
        found = advance(scene.run.answers, scene.work, do, chunk_size=size, place=scene.run.place())
        assert p_yes(found) == [0.0, 0.1, 0.0, 0.1, 0.2, 0.0, 0.1]
        whole = {prompt.text: prompt.questions for prompt in scene.prompts.values()}
        assert all(request.questions == whole[request.text] for call in judge.calls for request in call)
        shown = {id(request.video) for call in judge.calls for request in call}
        assert len(shown) == 3, "a clip on the edge is read once"

    def test_running_again_asks_nothing(self, scene: Scene) -> None:
        judge = Scripted()
        do = partial(ask, judge, videos=Decoded(scene.run.blobs), name="scripted")
        first = advance(scene.run.answers, scene.work, do, chunk_size=4)
        num_calls = len(judge.calls)
        assert advance(scene.run.answers, scene.work, do, chunk_size=3) == first
        assert len(judge.calls) == num_calls > 0


def by_position(requests: Sequence[JudgeRequest]) -> Any:
    """An answer that depends on where in the request its question stands."""
    return [tuple(GivenAnswer(i / 10) for i in range(len(each.questions))) for each in requests]


def for_dim_clip(given: Any) -> Callable[[Sequence[JudgeRequest]], Any]:
    """A judge that gives `given` for the clip of brightness 20, and half a yes for the others."""

    def act(requests: Sequence[JudgeRequest]) -> Any:
        return [given if brightness(r) == 20 else tuple(GivenAnswer(0.5) for _ in r.questions) for r in requests]

    return act


class TestMisbehaviour:
    @pytest.mark.parametrize(
        "given",
        [
            None,
            0.5,
            "yes",
            (),
            (GivenAnswer(0.9),),
            (GivenAnswer(0.9),) * 4,
            (GivenAnswer(float("nan")),) * 3,
            (GivenAnswer(1.5),) * 3,
            (GivenAnswer(-0.5),) * 3,
            (GivenAnswer("0.9"),) * 3,  # type: ignore[arg-type]
            (GivenAnswer(True),) * 3,
            (GivenAnswer(None, "too dark"),) * 3,
            (GivenAnswer(None),) * 3,
            (0.9, 0.9, 0.9),
        ],
        ids=lambda given: repr(given)[:50],
    )
    def test_unusable_answers_are_unscored_with_a_reason_and_others_keep_theirs(self, scene: Scene, given: Any) -> None:
        results = scene.ask(Scripted(act=for_dim_clip(given)))
        assert p_yes(results) == [0.5, 0.5, None, None, None, 0.5, 0.5]
        reasons = [result.unscored_reason for result in results if isinstance(result, Answer)]
        assert [bool(reason) for reason in reasons] == [False, False, True, True, True, False, False]
        answers = [result for result in results if isinstance(result, Answer)]
        outcomes = [score.outcome for score in grade(scene.clips, scene.prompts, answers, SPEC)]
        assert [isinstance(outcome, Unscored) for outcome in outcomes] == [False, True, False]

    def test_one_unusable_answer_leaves_the_clips_other_answers(self, scene: Scene) -> None:
        given = (GivenAnswer(0.1), GivenAnswer(float("nan")), GivenAnswer(0.3))
        assert p_yes(scene.ask(Scripted(act=for_dim_clip(given))))[2:5] == [0.1, None, 0.3]

    def test_a_clip_that_the_judge_failed_on_is_failed(self, scene: Scene) -> None:
        results = scene.ask(Scripted(act=for_dim_clip(Failed("Timeout", "no reply"))))
        assert [isinstance(result, Failed) for result in results] == [False, False, True, True, True, False, False]

    @pytest.mark.parametrize("given", [None, [], "abc", 7, [(GivenAnswer(0.9),)], {}, Failed("x", "y")])
    def test_a_list_that_does_not_fit_is_a_failure_never_a_guess(self, scene: Scene, given: Any) -> None:
        class Judge(Scripted):
            def answer(self, requests: Sequence[JudgeRequest]) -> Any:
                self.calls.append(list(requests))
                return given if len(requests) != 1 or given != [(GivenAnswer(0.9),)] else []

        results = scene.ask(Judge())
        assert all(isinstance(result, Failed) for result in results)
        assert "expected a list with one result for each of 1 requests" in str(results[0])

    def test_one_clip_that_makes_the_judge_raise_costs_only_itself(self, scene: Scene) -> None:
        def choke(requests: Sequence[JudgeRequest]) -> None:
            if any(brightness(request) == 20 for request in requests):
                raise RuntimeError("choked on 20")

        judge = Scripted(act=choke)
        results = scene.ask(judge)
        failed = [result for result in results if isinstance(result, Failed)]
        assert [isinstance(result, Failed) for result in results] == [False, False, True, True, True, False, False]
        assert {(each.error_type, each.message) for each in failed} == {("RuntimeError", "choked on 20")}
        assert "choke" in failed[0].trace
        assert [len(call) for call in judge.calls] == [3, 1, 1, 1]

    def test_a_judge_that_failed_on_a_whole_batch_is_asked_clip_by_clip(self, scene: Scene) -> None:
        def batches_fail(requests: Sequence[JudgeRequest]) -> Any:
            return [Failed("OutOfMemoryError", "too many")] * len(requests) if len(requests) > 1 else None

        judge = Scripted(act=batches_fail)
        assert p_yes(scene.ask(judge)) == pytest.approx([n / 255 for n in (10, 10, 20, 20, 20, 30, 30)])
        assert [len(call) for call in judge.calls] == [3, 1, 1, 1]

    def test_a_judge_that_is_down_is_not_called_for_every_clip(self, tmp_path: Path) -> None:
        def down(requests: Sequence[JudgeRequest]) -> None:
            raise ConnectionError("server is down")

        prompt = make_prompt("p", make_question("is it?"))
        with Run.open(tmp_path / "run", {"test": 2}) as run:
            clips = [make_clip(prompt, take, blobs=run.blobs) for take in range(20)]
            work = questions(clips, {prompt.key: prompt}, SPEC)
            judge = Scripted(act=down)
            results = ask(judge, work, videos=Decoded(run.blobs), name="scripted")
            assert len(results) == 20 and all(isinstance(result, Failed) for result in results)
            assert [len(call) for call in judge.calls] == [20, 1, 1, 1]

            with pytest.raises(StageFailed, match="server is down"):
                do = partial(ask, judge, videos=Decoded(run.blobs), name="scripted")
                advance(run.answers, work, do, chunk_size=4)
            assert run.answers.num_records() == 0

    def test_what_the_user_can_mend_is_raised_as_it_is(self, scene: Scene) -> None:
        def complain(requests: Sequence[JudgeRequest]) -> None:
            raise InputError("no such server")

        judge = Scripted(act=complain)
        with pytest.raises(InputError, match="no such server"):
            scene.ask(judge)
        assert len(judge.calls) == 1

    def test_a_damaged_video_is_reported_not_judged(self, scene: Scene) -> None:
        scene.run.blobs.path(scene.clips[1].video).write_bytes(b"short")
        judge = Scripted()
        with pytest.raises(BlobCorrupt, match="truncated"):
            scene.ask(judge)
        assert judge.calls == []


class BrightSpec(Spec):
    """A judge for the recipe, as a plug-in."""

    spec_name: ClassVar[str] = "tests.bright-judge"

    def build(self, runtime: Runtime) -> Scripted:
        return Scripted()


class NoJudgeSpec(Spec):
    spec_name: ClassVar[str] = "tests.no-judge"

    def build(self, runtime: Runtime) -> str:
        return "not a judge"


class TestBuilding:
    def test_the_recipes_judge_is_built_when_needed_and_travels(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = Travelling()
        monkeypatch.setattr("rushes.context.executor_of", lambda runtime: away)
        spec = judge_spec(judge=PluginSpec(use=f"{__name__}:BrightSpec"))
        context = Context(sandbox_recipe(judge=spec, runtime=RuntimeSpec(num_threads=1, judge_batch=1)), scene.run)
        context.prompts.update(scene.prompts)
        scores = judge(context, scene.clips)
        assert scores == grade(scene.clips, scene.prompts, scene.run.answers.all(), spec)
        work = questions(scene.clips, scene.prompts, spec)
        found = list(scene.run.answers.get_many([piece.key for piece in work]).values())
        assert p_yes(found) == pytest.approx([n / 255 for n in (10, 10, 20, 20, 20, 30, 30)])
        assert {answer.judge for answer in found} == {"tests.bright-judge"}
        assert away.num_calls == 1
        judge(context, scene.clips)
        assert away.num_calls == 1, "nothing is missing, so no judge is needed"

    def test_what_is_no_judge_is_refused_by_name(self) -> None:
        spec = judge_spec(judge=PluginSpec(use=f"{__name__}:NoJudgeSpec"))
        with pytest.raises(RecipeError, match=r"NoJudgeSpec does not build a Judge") as caught:
            build_judge(spec, RuntimeSpec())
        assert caught.value.got_repr == "'not a judge'"

    def test_the_sandboxs_judge_is_the_one_in_the_package(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("rushes_sandbox.vqa.judge.packaged_judge", lambda: tmp_path / "empty")
        with pytest.raises(InputError, match=r"no judge can be loaded from .*empty"):
            build_judge(judge_spec(), RuntimeSpec())

    def test_names(self) -> None:
        assert judge_name(judge_spec()) == "sandbox-vqa"
        plugin = PluginSpec(use=f"{__name__}:BrightSpec")
        assert judge_name(judge_spec(judge=plugin)) == "tests.bright-judge", "wherever the class lives"
