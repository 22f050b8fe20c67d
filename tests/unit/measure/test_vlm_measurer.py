"""Measuring by questions to another vision-language model: what answers are worth, and that it is not the judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from rushes.errors import RecipeError
from rushes.measure.stage import build_measurer, measurer_name, subjects
from rushes.measure.vlm import VlmMeasurer, Worth
from rushes.recipe.load import parse_recipe
from rushes.recipe.models import VlmMeasurerSpec, models_named
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.recipe.template import recipe_yaml
from rushes.records import Question, Scored, Unscored
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Runtime, Spec, Subject, Video
from tests.contract.measurer import check_measurer
from tests.support.judged import make_clip, make_prompt
from tests.support.odd_server import OddServer, asked_text, says, status
from tests.support.sandbox_recipe import measure_spec

CLIP = Video(np.random.default_rng(0).integers(0, 255, (9, 32, 48, 3), dtype=np.uint8), 8.0)
QUESTIONS = (
    Question(text="Is it red?", expected="yes", dimension="Material", about="x"),
    Question(text="Is it blue?", expected="no", dimension="Material", about="x"),
)


class Says:
    """Gives these answers to each clip."""

    def __init__(self, *given: GivenAnswer | Failed) -> None:
        self.given, self.seen = given, list[JudgeRequest]()

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        self.seen += requests
        if isinstance(self.given[0], Failed):
            return [self.given[0]] * len(requests)
        return [tuple(each for each in self.given if isinstance(each, GivenAnswer))] * len(requests)


def subject(dimension: str = "Material", questions: tuple[Question, ...] = QUESTIONS, num: int = 1) -> Subject:
    return Subject(dimension, "A thing.", questions, (CLIP,) * num)


@pytest.mark.parametrize(("worth", "value"), [("share", 0.5), ("all", 0.0), ("probability", 0.65)])
def test_what_answers_are_worth(worth: Worth, value: float) -> None:
    (found,) = VlmMeasurer(Says(GivenAnswer(0.9), GivenAnswer(0.6)), worth).measure([subject()])
    assert isinstance(found, Scored) and found.value == pytest.approx(value)
    assert [part.value for part in found.parts] == pytest.approx([0.9, 0.4])


def test_what_cannot_be_asked_is_unscored_and_the_rest_is_asked_at_once() -> None:
    judge = Says(GivenAnswer(1.0), GivenAnswer(0.0))
    asked = [subject(), subject("Diversity", num=2), subject(questions=()), subject(num=2), subject()]
    good, takes, without, two, again = VlmMeasurer(judge).measure(asked)
    assert len(judge.seen) == 2 and good == again and isinstance(good, Scored) and good.value == 1.0
    for outcome, words in ((takes, "num_diversity_prompts"), (without, "no questions"), (two, "2 clips")):
        assert isinstance(outcome, Unscored) and words in outcome.reason
    check_measurer(VlmMeasurer(judge), asked, tolerance=0.0)


@pytest.mark.parametrize("answer", [GivenAnswer(None, "only 3% is yes or no"), GivenAnswer(float("nan"))])
def test_a_missing_answer_is_never_a_number(answer: GivenAnswer) -> None:
    (found,) = VlmMeasurer(Says(GivenAnswer(1.0), answer)).measure([subject()])
    assert isinstance(found, Unscored) and "Is it blue?" in found.reason


def test_a_failure_stays_one() -> None:
    failed = Failed("Timeout", "no reply")
    assert VlmMeasurer(Says(failed)).measure([subject()]) == [failed]


SANDBOX = "from: sandbox"
ASKS = "measure.measurer={kind: vlm, model: {kind: server, server: eyes, model: org/Other-7B}}"


def test_through_a_recipe_and_a_server() -> None:
    pytest.importorskip("openai")
    recipe = parse_recipe(SANDBOX, source="r", overrides=[ASKS])
    assert parse_recipe(recipe_yaml(recipe), source="written") == recipe
    spec = recipe.measure
    with OddServer(says("Yes", {"Yes": 0.8, "No": 0.1})) as server:
        runtime = RuntimeSpec(servers={"eyes": ServerRuntime(url=server.url, num_retries=0)})
        (found,) = build_measurer(spec, runtime).measure([subject()])
    assert isinstance(found, Scored) and found.value == 0.5 and found.parts[0].value == pytest.approx(8 / 9)
    assert measurer_name(spec) == "org/Other-7B"
    assert sum("Is it red?" in asked_text(body) for body in server.bodies) == 1 and len(server.bodies) == 2
    with OddServer(status(503)) as server:
        runtime = RuntimeSpec(servers={"eyes": ServerRuntime(url=server.url, num_retries=0)})
        (broken,) = build_measurer(spec, runtime).measure([subject()])
    assert isinstance(broken, Failed)


def judged_by(model: str) -> str:
    return f"judge.judge={{kind: vlm, model: {model}}}"


@pytest.mark.parametrize(
    "model",
    [
        "{kind: server, model: org/Other-7B}",
        "{kind: transformers, model: /data/other-7b/}",
        "{kind: transformers, model: Other-7B.gguf}",
    ],
)
def test_the_judges_own_model_may_not_measure_unless_told(model: str) -> None:
    with pytest.raises(RecipeError, match="it would measure its own rewards") as caught:
        parse_recipe(SANDBOX, source="r", overrides=[ASKS, judged_by(model)])
    assert "other-7b" in str(caught.value) and "same_model_as_judge" in str(caught.value)
    told = parse_recipe(SANDBOX, source="r", overrides=[ASKS, judged_by(model), "measure.same_model_as_judge=true"])
    assert told.measure.same_model_as_judge
    parse_recipe(SANDBOX, source="r", overrides=[ASKS, judged_by("{kind: server, model: org/Other-72B}")])


def test_a_model_inside_a_plug_in_counts_too() -> None:
    plugged = (
        "measure.measurer={kind: plugin, use: 'rushes_vbench.metrics.measurer:VBenchMeasurerSpec', "
        "options: {judge: {kind: vlm, model: {kind: server, model: a/Eyes}}, profile: fixed}}"
    )
    with pytest.raises(RecipeError, match="its own rewards"):
        parse_recipe(SANDBOX, source="r", overrides=[plugged, judged_by("{kind: server, model: Eyes}")])
    recipe = parse_recipe(SANDBOX, source="r", overrides=[plugged])
    assert models_named(recipe.measure.measurer) == {"eyes"} and models_named(recipe.judge.judge) == frozenset()


class NoMeasurerSpec(Spec):
    """Builds something else."""

    spec_name: ClassVar[str] = "tests.no-measurer"

    def build(self, runtime: Runtime) -> object:
        return object()


def test_a_plug_in_that_is_no_measurer_says_so() -> None:
    with pytest.raises(RecipeError, match="NoMeasurerSpec does not build a Measurer"):
        build_measurer(measure_spec(measurer=PluginSpec(use=f"{__name__}:NoMeasurerSpec")), RuntimeSpec())


class OptionsSpec(Spec):
    """A measurer with an option."""

    spec_name: ClassVar[str] = "tests.options"

    profile: str = "fixed"

    def build(self, runtime: Runtime) -> VlmMeasurer:
        return VlmMeasurer(Says(GivenAnswer(1.0)))


def test_other_options_are_another_measurer() -> None:
    prompt = make_prompt("a")
    clip, prompts = make_clip(prompt), {prompt.key: prompt}
    watcher = VlmMeasurerSpec.model_validate({"model": {"kind": "server", "model": "m"}})
    named = [
        measure_spec(),
        measure_spec(measurer=PluginSpec(use=f"{__name__}:OptionsSpec")),
        measure_spec(measurer=PluginSpec(use=f"{__name__}:OptionsSpec", options={"profile": "compat"})),
        measure_spec(measurer=watcher),
        measure_spec(measurer=watcher.model_copy(update={"num_frames": 4})),
    ]
    keys = [subjects([clip], prompts, spec)[0].key for spec in named]
    assert len(set(keys)) == len(keys)
    assert subjects([clip], prompts, named[0].model_copy(update={"num_bootstrap": 5}))[0].key == keys[0]
