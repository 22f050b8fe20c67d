"""The assembly: each line of the pipeline hands the right thing to the next, in the second round too.

One run of two rounds with a tiny random model; each test below fails when one line of `pipeline.py` or of a stage hands
on something else. `make mutants` makes those faults one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import pytest

from rushes.errors import TrainingError
from rushes.families.load import load_family
from rushes.families.models import Model
from rushes.judge.agreement import Agreement, agreement
from rushes.pipeline import improve
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Answer, Checkpoint, Clip, Focus, Measurement, Prompt, Rejection, Sample, Score, Scored
from rushes.report import collect
from rushes.report.data import ReportData
from rushes.roles import Failed, GivenAnswer, JudgeRequest, Runtime, Spec
from rushes.store.run import Run
from rushes.weights.report import WeightReport
from tests.support.repeating_writer import UNREADABLE, text_of
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

WRITER = PluginSpec(use="tests.support.repeating_writer:RepeatingWriterSpec")


def with_writer(recipe: Recipe, **changes: Any) -> Recipe:
    """The tiny recipe with the repeating writer."""
    prompts = recipe.prompts.model_copy(update={"writer": WRITER, "oversample": 3.0, "num_weakness": 4})
    return recipe.model_copy(update={"prompts": prompts, **changes})


class Finished:
    """A finished run of two rounds, and what it holds."""

    def __init__(self, recipe: Recipe, home: Path, reported: ReportData, held: Sequence[set[str]]) -> None:
        self.recipe, self.home, self.reported = recipe, home, reported
        self.held = held
        """The clips whose judge is held to the measurer: of the base model, of the tuned one."""
        with Run.view(home) as run:
            self.prompts: dict[str, Prompt] = {each.key: each for each in run.prompts.all()}
            self.clips: dict[str, Clip] = {each.key: each for each in run.clips.all()}
            self.measurements: list[Measurement] = run.measurements.all()
            self.answers = run.answers.all()
            self.samples = [run.read_derived(f"samples-{n}", Sample) or [] for n in range(2)]
            self.scores = [run.read_derived(f"scores-{n}", Score) or [] for n in range(2)]
            self.weights = [run.read_derived(f"weights-{n}", WeightReport) or [] for n in range(2)]
            self.focus = run.read_derived("focus", Focus) or []
            self.rejections = run.read_derived("rejections", Rejection) or []
            self.scorecard = run.scorecard()
            found = {each.key: each for each in run.checkpoints.all()}
        self.base = next(each.model for each in self.clips.values() if self._origin(each) == "probe")
        self.rounds = self._in_order(found)

    def _origin(self, clip: Clip) -> str:
        return self.prompts[clip.prompt_key].origin

    def _in_order(self, found: dict[str, Checkpoint]) -> list[Checkpoint]:
        first = next(each for each in found.values() if each.parent == self.base)
        return [first, next(each for each in found.values() if each.parent == first.key)]

    def texts(self, origin: str, *, measured: bool = False) -> set[str]:
        """Texts of prompts; of those that clips were made of where `measured`."""
        keys = {clip.prompt_key for clip in self.clips.values()} if measured else set(self.prompts)
        return {self.prompts[key].text for key in keys if self.prompts[key].origin == origin}

    def own(self, number: int) -> list[Clip]:
        """The clips that a round trained on, without real ones."""
        return [self.clips[each.clip_key] for each in self.samples[number] if each.source == "own"]

    def of_model(self, origin: str, model: str) -> list[Measurement]:
        """Measurements of a model's single clips of evaluation prompts."""
        return [
            each
            for each in self.measurements
            if len(each.subject) == 1
            and self.clips[each.subject[0]].model == model
            and self.prompts[each.prompt_key].origin == origin
        ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def finished(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    recipe = with_writer(tiny_recipe(model, num_rounds=2))
    home = tmp_path_factory.mktemp("runs") / "run"
    reported: list[ReportData] = []
    held: list[set[str]] = []

    def compared(answers: Iterable[Answer], measured: Sequence[Measurement]) -> tuple[Agreement, ...]:
        held.append({each.subject[0] for each in measured})
        return agreement(answers, measured)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect, "agreement", compared)
        write_report = collect.write_report
        patch.setattr(collect, "write_report", lambda data, folder: (reported.append(data), write_report(data, folder)))
        assert improve(recipe, home) is not None
    return Finished(recipe, home, reported[-1], held[-2:])


# ---------------------------------------------------------------------------------------------- evaluation prompts


def test_probe_and_held_out_prompts_are_screened(finished: Finished) -> None:
    assert UNREADABLE in finished.texts("probe") and UNREADABLE in finished.texts("held_out"), "the writer wrote it"
    for origin in ("probe", "held_out"):
        assert finished.texts(origin, measured=True) and UNREADABLE not in finished.texts(origin, measured=True)


def test_no_text_is_both_a_probe_and_held_out(finished: Finished) -> None:
    assert not finished.texts("probe", measured=True) & finished.texts("held_out", measured=True)


@pytest.mark.parametrize("origin", ["probe", "held_out"])
def test_what_is_measured_is_never_trained_on(finished: Finished, origin: str) -> None:
    """The writer offers a text of each evaluation list in every round."""
    offered = {text_of(each.dimension, origin, 1) for each in finished.focus}
    assert offered <= finished.texts("weakness"), "the writer offered them"
    trained = {finished.prompts[each.prompt_key].text for number in range(2) for each in finished.own(number)}
    assert trained and not trained & finished.texts(origin, measured=True)
    refused = {each.text for each in finished.rejections if each.reason == "held_out"}
    assert offered <= refused


# ---------------------------------------------------------------------------------------------- diagnosis


def test_the_focus_follows_from_the_base_models_probe_clips(finished: Finished) -> None:
    probes = finished.of_model("probe", finished.base)
    assert {each.dimension for each in finished.focus} == {"Composition", "Mechanics"}
    for each in finished.focus:
        values = [m.outcome.value for m in probes if m.dimension == each.dimension and isinstance(m.outcome, Scored)]
        assert each.baseline == pytest.approx(fmean(values))


# ---------------------------------------------------------------------------------------------- rounds


def test_each_round_has_prompts_and_scores_of_its_own(finished: Finished) -> None:
    first, second = ({clip.prompt_key for clip in finished.own(number)} for number in range(2))
    assert first and second and not first & second
    for number in range(2):
        assert {score.clip_key for score in finished.scores[number]} == {clip.key for clip in finished.own(number)}
        assert finished.weights[number][0].num_clips == len(finished.own(number))


def test_each_round_generates_with_the_model_of_the_round_before(finished: Finished) -> None:
    first, last = finished.rounds
    assert {clip.model for clip in finished.own(0)} == {finished.base}
    assert {clip.model for clip in finished.own(1)} == {first.key}
    assert last.parent == first.key and first.parent == finished.base


def test_the_weights_of_a_sample_are_those_of_its_score(finished: Finished) -> None:
    """The raw weighting: weight proportional to score."""
    for number in range(2):
        values = {s.clip_key: s.outcome.value for s in finished.scores[number] if isinstance(s.outcome, Scored)}
        own = [each for each in finished.samples[number] if each.source == "own"]
        mean = fmean(values.values())
        assert [each.weight for each in own] == pytest.approx([values[each.clip_key] / mean for each in own])


def test_real_clips_are_trained_on_in_every_round(finished: Finished) -> None:
    real = {clip.key for clip in finished.clips.values() if clip.origin == "real"}
    assert len(real) == finished.recipe.prompts.real.num_clips
    for samples in finished.samples:
        assert {each.clip_key for each in samples if each.source == "real"} == real


# ---------------------------------------------------------------------------------------------- the comparison


def test_base_and_last_model_are_compared_on_the_same_prompts_and_seeds(finished: Finished) -> None:
    last = finished.rounds[-1].key
    card = finished.scorecard
    assert card is not None and (card.base_model, card.tuned_model) == (finished.base, last)
    sides = [finished.of_model("held_out", name) for name in (finished.base, last)]
    seeds = [{(m.prompt_key, finished.clips[m.subject[0]].seed) for m in side} for side in sides]
    assert seeds[0] and seeds[0] == seeds[1]
    assert not finished.of_model("held_out", finished.rounds[0].key), "rounds in between are not compared"


def test_the_scorecards_sides_are_not_swapped(finished: Finished) -> None:
    card = finished.scorecard
    assert card is not None
    for row in (each for each in card.rows if each.dimension != "Diversity"):
        for model, said in ((finished.base, row.before), (finished.rounds[-1].key, row.after)):
            found = [m for m in finished.of_model("held_out", model) if m.dimension == row.dimension]
            values = [m.outcome.value for m in found if isinstance(m.outcome, Scored)]
            assert said == pytest.approx(fmean(values))


def test_the_report_holds_the_judge_to_the_measurer_on_each_models_own_clips(finished: Finished) -> None:
    data, last = finished.reported, finished.rounds[-1].key
    for shown, model, held in zip(
        (data.agreement_before, data.agreement_after), (finished.base, last), finished.held, strict=True
    ):
        measured = finished.of_model("held_out", model)
        own = {each.subject[0] for each in measured}
        assert held == own
        assert list(shown) == list(agreement([a for a in finished.answers if a.clip_key in own], measured))  # type: ignore[arg-type]
    assert finished.held[0].isdisjoint(finished.held[1])


@pytest.mark.parametrize("which", ["base", "tuned"])
def test_compared_clips_are_what_their_weights_generate(finished: Finished, model: Path, which: str) -> None:
    """Whatever was loaded in between: the base's clips come from the base's weights, the tuned model's from its own."""
    base = finished.recipe.base.model_copy(update={"model": str(model)})
    name = finished.base if which == "base" else finished.rounds[-1].key
    (first, *_) = [finished.clips[each.subject[0]] for each in finished.of_model("held_out", name)]
    assert first.latents is not None and first.sampler is not None
    family = load_family(base)
    with Run.view(finished.home) as run:
        kept = run.blobs.read_arrays(first.latents)["latents"]
        if which == "tuned":
            weights = Model.of(finished.rounds[-1]).weights
            assert weights is not None
            family.load_weights(run.blobs.read_tensors(weights))
    text = finished.prompts[first.prompt_key].text
    again = family.sample([text], [first.seed], first.sampler, finished.recipe.shape)[0].numpy()
    np.testing.assert_allclose(again, kept, atol=1e-4)


# ---------------------------------------------------------------------------------------------- stops and refusals


def test_a_run_stops_after_the_stage_that_it_is_asked_to(model: Path, tmp_path: Path) -> None:
    recipe, home = with_writer(tiny_recipe(model)), tmp_path / "run"
    expected = {
        "prompts": {"clips of the round": False, "answers": False, "checkpoints": False, "held out": False},
        "generate": {"clips of the round": True, "answers": False, "checkpoints": False, "held out": False},
        "judge": {"clips of the round": True, "answers": True, "checkpoints": False, "held out": False},
        "train": {"clips of the round": True, "answers": True, "checkpoints": True, "held out": False},
    }
    for stage, there in expected.items():
        assert improve(recipe, home, until=stage) is None
        with Run.view(home) as run:
            origins = {run.prompts.get(clip.prompt_key).origin for clip in run.clips.all()}
            found = {
                "clips of the round": "weakness" in origins,
                "answers": bool(run.answers.num_records()),
                "checkpoints": bool(run.checkpoints.num_records()),
                "held out": "held_out" in origins,
            }
        assert found == there, stage
    assert improve(recipe, home) is not None


class SilentJudgeSpec(Spec):
    """Answers every second question only."""

    spec_name: ClassVar[str] = "tests.silent-judge"

    def build(self, runtime: Runtime) -> SilentJudge:
        return SilentJudge()


class SilentJudge:
    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        return [
            tuple(
                GivenAnswer(0.5) if int(r.video.frames_THWC.sum()) % 2 else GivenAnswer(None, "silent")
                for _ in r.questions
            )
            for r in requests
        ]


def test_training_is_refused_where_too_many_clips_have_no_score(model: Path, tmp_path: Path) -> None:
    recipe = with_writer(tiny_recipe(model))
    silent = PluginSpec(use="tests.pipeline.test_assembly:SilentJudgeSpec")
    judge = recipe.judge.model_copy(update={"judge": silent, "max_unscored": 0.05})
    with pytest.raises(TrainingError, match="unscored"):
        improve(recipe.model_copy(update={"judge": judge}), tmp_path / "run")
    with Run.view(tmp_path / "run") as run:
        assert run.checkpoints.num_records() == 0
