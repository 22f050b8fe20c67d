"""Clips side by side: several requests at once, the same results as one after the other, and errors that stay apart."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rushes.context import Context
from rushes.errors import RecipeError, Stopped, UserError
from rushes.llm import call as call_module
from rushes.measure.shown import SHARE_SHOWN
from rushes.measure.stage import measurements_of
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.records import Measurement, Outcome, Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Subject, Video
from rushes.store.identity import canonical_json
from rushes.store.run import Run
from rushes_vbench.metrics.anatomy import human_anatomy
from rushes_vbench.metrics.build import build_models
from rushes_vbench.metrics.detectors import JudgedAnomaly
from rushes_vbench.metrics.measurer import VBenchMeasurer, VBenchMeasurerSpec
from rushes_vbench.metrics.models import Box
from rushes_vbench.metrics.scorer import Models
from rushes_vbench.metrics.together import Asking, alone, ask, ask_all, one_by_one, side_by_side
from rushes_vbench.suite import Suite
from tests.support.judged import make_prompt
from tests.support.measured_clips import clip as made
from tests.support.odd_server import Behaviour, Handler, OddServer, asked_text, cut_off, says, status
from tests.support.sandbox_recipe import measure_spec, sandbox_recipe
from tests.support.suite import write_suite
from tests.support.vbench_clips import ScriptedJudge, entry

LENGTHS = (20, 21, 22, 23, 24, 25)
SUITE = Suite(
    (
        entry("Complex_Plot", "a boy opens a door", "he walks out", prompt="A boy."),
        entry("Human_Interaction", prompt="A hands B a cup."),
        entry("Mechanics", "does it fall?", prompt="A ball."),
        entry("Human_Anatomy", prompt="A dancer."),
    ),
    "modified",
    "made up",
)
TEXTS = {each.dimension: each.prompt for each in SUITE.entries}
SERVER = {"kind": "server", "model": "tiny"}
OPTIONS = {
    "judge": {"kind": "vlm", "model": SERVER},
    "teller": {"kind": "vlm", "model": SERVER},
    "text_judge": {"kind": "llm", "model": SERVER},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setattr(call_module, "backoff_s", lambda attempt, longest_s, draw: 0.01)


def measurer(url: str, cache: Path | None = None, num_at_once: int = 3, **options: Any) -> VBenchMeasurer:
    spec = VBenchMeasurerSpec.model_validate(OPTIONS | options)
    servers = {"main": ServerRuntime(url=url, num_retries=1, max_concurrent=num_at_once)}
    runtime = RuntimeSpec(servers=servers, cache_folder=None if cache is None else str(cache))
    return VBenchMeasurer(SUITE, spec.profile, build_models(spec, runtime))


def clip(num_frames: int) -> Video:
    return Video(np.random.default_rng(num_frames).integers(0, 255, (num_frames, 24, 32, 3), dtype=np.uint8), 8.0)


def subjects(*dimensions: str) -> list[Subject]:
    """One clip of each length in each dimension; the words of a request tell its length."""
    return [Subject(name, TEXTS[name], (), (clip(num),)) for num in LENGTHS for name in dimensions]


def lively(handler: Handler, body: dict[str, Any]) -> None:
    """Answers by what it is asked, differently about each clip."""
    text = asked_text(body)
    num = next((num for num in LENGTHS if f"{num} frames" in text), 0)
    if "logprobs" in body:
        says("Yes", {"Yes": 0.7, "No": 0.3})(handler, body)
    elif "JSON list" in text:
        says("[1, 2]" if "of 20" in text or "of 23" in text else "[2, 0]")(handler, body)
    elif "yes or no" in text:
        says("Yes." if "of 21" in text else "No.")(handler, body)
    else:
        says(f"1. A boy of {num} opens a door.\n2. He walks out.")(handler, body)


class Crowd:
    """Lets the first two requests with images, and those without, wait for each other; then behaves.

    One that nobody joins gives up after a while.
    """

    def __init__(self, then: Behaviour) -> None:
        self.then, self.lock, self.num = then, threading.Lock(), Counter[bool]()
        self.barriers = {has_images: threading.Barrier(2, timeout=10) for has_images in (True, False)}

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        has_images = num_images(body) > 0
        with self.lock:
            self.num[has_images] += 1
            is_early = self.num[has_images] <= 2
        if is_early:
            try:
                self.barriers[has_images].wait()
            except threading.BrokenBarrierError:
                return status(418, "nobody else asks")(handler, body)
        return self.then(handler, body)


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.json")}


def values(outcomes: Sequence[Outcome | Failed]) -> list[float]:
    assert all(isinstance(each, Scored) for each in outcomes), outcomes
    return [each.value for each in outcomes if isinstance(each, Scored)]


@pytest.mark.parametrize("names", [("Complex_Plot",), ("Mechanics",), ("Human_Interaction", "Mechanics")])
def test_several_clips_are_asked_about_at_once_with_the_same_results(names: tuple[str, ...], tmp_path: Path) -> None:
    with OddServer(lively) as server:
        one = measurer(server.url, tmp_path / "one", num_at_once=1).measure(subjects(*names))
        assert server.most_at_once == 1
    with OddServer(Crowd(lively)) as server:
        three = measurer(server.url, tmp_path / "three", num_at_once=3).measure(subjects(*names))
        assert 1 < server.most_at_once <= 3
    assert one == three and len(set(values(one))) == (1 if names == ("Mechanics",) else 2)
    assert kept(tmp_path / "one") == kept(tmp_path / "three") != {}


def measured(url: str, home: Path, num_at_once: int) -> list[Measurement]:
    """The measurements of the stage itself, in a recipe that measures one clip at a time."""
    texts = [f"A boy walks {num} steps." for num in LENGTHS]
    rows = [{"prompt_en": text, "dimension": ["Complex_Landscape"], "auxiliary_info": ["a", "b"]} for text in texts]
    options = {**OPTIONS, "suite": str(write_suite(home.parent / "suite", rows))}
    servers = {"main": ServerRuntime(url=url, max_concurrent=num_at_once)}
    runtime = RuntimeSpec(num_threads=1, judge_batch=1, servers=servers, cache_folder=str(home / "llm"))
    recipe = sandbox_recipe(measure=measure_spec(measurer=PluginSpec(use="vbench2", options=options)), runtime=runtime)
    with Run.open(home, {"test": 1}) as run:
        context, clips = Context(recipe, run), []
        for number, (text, num) in enumerate(zip(texts, LENGTHS, strict=True)):
            video = run.blobs.put_video(clip(num).frames_THWC)
            clips.append(made("base", "Complex_Landscape", number).model_copy(update={"video": video}))
            prompt = make_prompt(text, dimension="Complex_Landscape")
            key = clips[-1].prompt_key
            context.prompts[key] = prompt.model_copy(update={"key": key, "text": text})
        return measurements_of(context, clips)


def test_the_stage_keeps_a_server_busy_even_where_a_recipe_judges_clip_by_clip(tmp_path: Path) -> None:
    with OddServer(lively) as server:
        one = measured(server.url, tmp_path / "one", 1)
        assert server.most_at_once == 1
    with OddServer(Crowd(lively)) as server:
        three = measured(server.url, tmp_path / "three", 3)
        assert 1 < server.most_at_once <= 3
    assert one == three and {each.outcome.value for each in one if isinstance(each.outcome, Scored)} == {0.5, 1.0}


def about(num_frames: int, behaviour: Behaviour) -> Behaviour:
    """This to requests about the clip of that length, the truth to all others."""

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        (behaviour if f"{num_frames} frames" in asked_text(body) else lively)(handler, body)

    return behave


def test_what_fails_is_the_clip_that_failed() -> None:
    with OddServer(about(21, status(500)), about(21, status(500))) as server:
        found = measurer(server.url).measure(subjects("Complex_Plot"))
    failed = found.pop(1)
    assert isinstance(failed, Failed) and values(found) == [1.0, 0.5, 1.0, 0.5, 0.5]
    with OddServer(about(23, cut_off("1. A boy"))) as server:
        found = measurer(server.url).measure(subjects("Complex_Plot"))
    endless = found.pop(3)
    assert isinstance(endless, Unscored) and "did not end" in endless.reason and len(values(found)) == 5


def test_what_ends_the_run_keeps_what_was_received(tmp_path: Path) -> None:
    with OddServer(about(25, status(401))) as server, pytest.raises(UserError, match="needs a key"):
        measurer(server.url, tmp_path, num_at_once=1).measure(subjects("Complex_Plot"))
    with OddServer(lively) as server:
        values(measurer(server.url, tmp_path).measure(subjects("Complex_Plot")))
    told = [body for body in server.bodies if isinstance(body["messages"][-1]["content"], list)]
    assert len(told) == 1 and "25 frames" in asked_text(told[0])


def allows(most: int) -> Behaviour:
    refusal = status(400, f"At most {most} image(s) may be provided in one prompt.")

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        (refusal if num_images(body) > most else says("1. A boy.\n2. He."))(handler, body)

    return behave


def num_images(body: dict[str, Any]) -> int:
    content = body["messages"][-1]["content"]
    return sum(part["type"] == "image_url" for part in content) if isinstance(content, list) else 0


def test_fewer_images_are_shown_where_the_recipe_allows_it_and_the_score_says_so() -> None:
    def limited(handler: Handler, body: dict[str, Any]) -> None:
        (lively if "JSON list" in asked_text(body) else allows(8))(handler, body)

    with OddServer(limited) as server, pytest.warns(UserWarning, match="allows 8 images"):
        eyes = measurer(server.url, least_told=4)
        found = eyes.measure(subjects("Complex_Plot"))
        later = len(server.bodies)
        eyes.measure(subjects("Complex_Plot"))
    assert values(found) == [0.5] * 6
    for num, each in zip(LENGTHS, found, strict=True):
        assert isinstance(each, Scored) and {part.name: part.value for part in each.parts}[SHARE_SHOWN] == 8 / num
    told = [body for body in server.bodies if num_images(body)]
    assert [num_images(body) for body in told[6:]] == [8] * 12 and "8 frames are taken" in asked_text(told[6])
    assert all(num_images(body) in (0, 8) for body in server.bodies[later:]), "the limit is learned once"


@pytest.mark.parametrize(
    ("most", "options"), [(8, {}), (8, {"profile": "compat"}), (8, {"num_told": 16}), (8, {"least_told": 9}), (1, {})]
)
def test_a_number_of_frames_that_the_recipe_names_is_not_reduced(most: int, options: dict[str, Any]) -> None:
    with OddServer(allows(most)) as server, pytest.raises(RecipeError, match=r"options\.num_told") as caught:
        measurer(server.url, **options).measure(subjects("Complex_Plot"))
    steps = str(caught.value.next_step)
    assert ("--set measure.measurer.options.num_told=8" in steps) is (most == 8)


def test_fewer_frames_are_not_the_official_ones() -> None:
    with pytest.raises(ValidationError, match="profile: fixed for least_told"):
        VBenchMeasurerSpec(profile="compat", least_told=8)


def test_the_setting_stays_out_of_keys_until_it_is_set() -> None:
    plain, fewer = VBenchMeasurerSpec(), VBenchMeasurerSpec(least_told=8)
    assert "least_told" not in canonical_json(plain) and '"least_told":8' in canonical_json(fewer)


def test_a_server_that_takes_all_frames_gets_them_without_a_word() -> None:
    with OddServer(lively) as server:
        found = measurer(server.url, least_told=2).measure(subjects("Complex_Plot"))
    assert not any(part.name == SHARE_SHOWN for each in found if isinstance(each, Scored) for part in each.parts)
    assert sorted(num_images(body) for body in server.bodies if num_images(body)) == list(LENGTHS)


class Teller:
    """A plug-in that takes one request at a time, and breaks at one of them."""

    def __init__(self, error: Exception) -> None:
        self.error, self.seen = error, list[int]()

    def tell(self, video: Video, instruction: str) -> str:
        self.seen.append(len(video.frames_THWC))
        if self.seen[-1] == 22:
            raise self.error
        return "1. a\n2. b"

    def reply(self, messages: Sequence[object]) -> str:
        return "[1, 2]"


def test_plug_ins_are_asked_once_each() -> None:
    eyes = Teller(RuntimeError("no eyes"))
    found = VBenchMeasurer(SUITE, "fixed", Models(teller=eyes, text_judge=eyes)).measure(subjects("Complex_Plot"))
    lost = found.pop(2)
    assert isinstance(lost, Unscored) and "no eyes" in lost.reason
    assert values(found) == [1.0] * 5 and eyes.seen == list(LENGTHS)


def test_a_stop_is_no_outcome() -> None:
    eyes, classifier = Teller(Stopped("stopped")), Stopping()
    told, looked = Models(teller=eyes, text_judge=eyes), Models(detector=Everyone(), anomaly=classifier)
    for name, models in (("Complex_Plot", told), ("Human_Anatomy", looked)):
        with pytest.raises(Stopped):
            VBenchMeasurer(SUITE, "fixed", models).measure(subjects(name))


class OneCall(ScriptedJudge):
    """Counts its calls, and breaks where it is told to."""

    def __init__(self, *p: float, breaks: Callable[[Sequence[JudgeRequest]], bool] = lambda requests: False) -> None:
        super().__init__(*p)
        self.breaks, self.num_calls = breaks, 0

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        self.num_calls += 1
        if self.breaks(requests):
            raise RuntimeError("too much at once")
        return super().answer(requests)


def test_a_judge_gets_all_clips_in_one_call_and_one_bad_clip_costs_only_itself() -> None:
    judge = OneCall(*[0.9] * 6)
    assert values(VBenchMeasurer(SUITE, "fixed", Models(judge=judge)).measure(subjects("Mechanics"))) == [1.0] * 6
    assert judge.num_calls == 1
    judge = OneCall(*[0.9] * 6, breaks=lambda requests: any(len(each.video.frames_THWC) == 22 for each in requests))
    found = VBenchMeasurer(SUITE, "fixed", Models(judge=judge)).measure(subjects("Mechanics"))
    lost = found.pop(2)
    assert isinstance(lost, Unscored) and "too much at once" in lost.reason and values(found) == [1.0] * 5


class Stopping:
    """A classifier in whose work the user asks to stop."""

    def p_abnormal(self, crop_HWC: np.typing.NDArray[np.uint8], part: str) -> float:
        raise Stopped("stopped")


class Everyone:
    """Finds a person with a face and a hand in every picture."""

    def detect(self, frame_HWC: np.typing.NDArray[np.uint8], labels: Sequence[str]) -> list[Box]:
        return [Box(0, 0, 20, 20, 0.9, label) for label in labels]


def test_all_crops_of_a_clip_go_to_a_judge_together() -> None:
    judge = OneCall(*[0.1] * 12)
    alone(human_anatomy(clip(4).frames_THWC, "fixed", Everyone(), JudgedAnomaly(judge)))
    assert judge.num_calls == 1 and len(judge.seen) == 12


def test_replies_go_to_who_asked() -> None:
    calls: list[list[int]] = []

    def doubled(numbers: Sequence[int]) -> list[int | Exception]:
        calls.append(list(numbers))
        return [ValueError("seven") if number == 7 else 2 * number for number in numbers]

    def metric(*numbers: int) -> Asking[int]:
        try:
            first = yield from ask_all(doubled, numbers)
        except ValueError:
            return -1
        return sum(first) + (yield from ask(doubled, first[0]))

    assert side_by_side([metric(1, 2), metric(7, 3), metric(4)]) == [10, -1, 24]
    assert calls == [[1, 2, 7, 3, 4], [2, 8]]


def test_a_call_of_the_wrong_length_is_made_alone() -> None:
    def short(numbers: Sequence[int]) -> list[int | Exception]:
        return list(numbers[:1])

    assert side_by_side([ask(short, 1), ask(short, 2)]) == [1, 2]
    with pytest.raises(KeyError):
        alone(ask(one_by_one(lambda number: {1: 2}[number]), 3))
