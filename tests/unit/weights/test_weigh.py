"""From scores to samples: mean 1 over the scored, 0 for the unscored, and an explanation when nothing is left."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from rushes.errors import RecipeError, TrainingError
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.weights import WeightsSpec
from rushes.records import Clip, Score
from rushes.roles import Runtime, Spec
from rushes.weights.weigh import scaled, weighed, weights_of
from tests.support.judged import make_clip, make_prompt, make_score

KINDS = ("uniform", "raw", "filter", "exponential", "rank", "centred")
PROMPTS = [make_prompt(f"p{i}") for i in range(6)]


def make_scores(values: Sequence[float | None], takes: int = 4) -> list[Score]:
    return [make_score(make_clip(PROMPTS[i // takes], i % takes), value) for i, value in enumerate(values)]


def spec(kind: str, **fields: object) -> WeightsSpec:
    return WeightsSpec.model_validate({"kind": kind, **fields})


def mixed(seed: int) -> list[float | None]:
    rng = random.Random(seed)
    return [rng.choice([None, rng.random(), rng.random(), 0.5, 1.0]) for _ in range(24)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_mean_is_1_over_the_scored_and_the_unscored_weigh_0(kind: str, seed: int) -> None:
    values = mixed(seed)
    w = weights_of(make_scores(values), spec(kind))
    assert all(math.isfinite(weight) and weight >= 0 for weight in w)
    assert [weight for weight, value in zip(w, values, strict=True) if value is None] == [0.0] * values.count(None)
    assert sum(w) / (24 - values.count(None)) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_order_changes_no_bit(kind: str) -> None:
    scores = make_scores(mixed(7))
    order = random.Random(0).sample(range(24), 24)
    w = weights_of(scores, spec(kind))
    assert weights_of([scores[i] for i in order], spec(kind)) == [w[i] for i in order]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unscored_clip_changes_no_other_weight(kind: str) -> None:
    values = [0.2, 0.9, 0.4, 0.85]
    alone = weights_of(make_scores(values), spec(kind))
    assert weights_of(make_scores([*values, None]), spec(kind)) == [*alone, 0.0]


def test_the_papers_weights_by_hand() -> None:
    assert weights_of(make_scores([0.2, 0.6, None, 1.0]), spec("raw")) == pytest.approx([1 / 3, 1.0, 0.0, 5 / 3])


def test_each_kind_and_its_constant_reach_its_formula() -> None:
    scores = make_scores([0.1, 0.6, 0.7, 0.8])
    assert weights_of(scores, spec("uniform")) == [1.0] * 4
    assert weights_of(scores, spec("filter", threshold=0.65)) == [0.0, 0.0, 2.0, 2.0]
    assert weights_of(scores, spec("filter", threshold=0.6)) == pytest.approx([0.0, 4 / 3, 4 / 3, 4 / 3])
    assert weights_of(scores, spec("rank")) == pytest.approx([0.25, 0.75, 1.25, 1.75])
    sharp = weights_of(scores, spec("exponential", temperature=0.1))
    assert sharp[3] / sharp[2] == pytest.approx(math.e)
    assert weights_of(scores, spec("centred")) == pytest.approx([0.0, 4 / 9, 12 / 9, 20 / 9])
    assert weights_of(scores, spec("centred", floor=0.2)) == [0.0, 0.0, 0.0, 4.0]


@pytest.mark.parametrize("tiny", [5e-324, 1e-310, 1e-200])
def test_tiny_scores_do_not_overflow(tiny: float) -> None:
    assert weights_of(make_scores([tiny, tiny, 0.0, 0.0]), spec("raw")) == [2.0, 2.0, 0.0, 0.0]
    assert scaled([tiny], 1000) == [1000.0]


@pytest.mark.parametrize(
    ("kind", "values", "advice"),
    [
        ("raw", [0.0, 0.0], "use easier prompts"),
        ("filter", [0.5, 0.7], "lower weights.threshold (now 0.8)"),
        ("centred", [0.5, 0.5], "generate more takes per prompt"),
    ],
)
def test_no_weight_left_is_refused_with_the_way_out(kind: str, values: list[float | None], advice: str) -> None:
    with pytest.raises(TrainingError, match=f"all 2 scored clips have weight 0 under weights.kind: {kind}") as caught:
        weights_of(make_scores([*values, None]), spec(kind))
    assert advice in str(caught.value.next_step)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num", [0, 3])
def test_no_score_at_all_is_refused(kind: str, num: int) -> None:
    with pytest.raises(TrainingError, match="no clip has a score") as caught:
        weights_of(make_scores([None] * num), spec(kind))
    assert f"{num} unscored clips" in str(caught.value.got_repr)
    assert ("3 of them: " in str(caught.value.got_repr)) == (num == 3), "with the commonest reason"


class TestSamples:
    def clips(self) -> list[Clip]:
        return [make_clip(PROMPTS[i // 2], i % 2) for i in range(4)]

    def test_samples_are_the_clips_in_order_whatever_the_order_of_scores(self) -> None:
        clips = self.clips()
        scores = [make_score(clip, value) for clip, value in zip(clips, [0.5, None, 1.0, 0.0], strict=True)]
        samples = weighed(clips, scores[::-1], spec("raw"))
        assert [sample.clip_key for sample in samples] == [clip.key for clip in clips]
        assert [sample.prompt_key for sample in samples] == [clip.prompt_key for clip in clips]
        assert [sample.weight for sample in samples] == [1.0, 0.0, 2.0, 0.0]
        assert {(sample.source, sample.dimension) for sample in samples} == {("own", "Mechanics")}

    def test_real_clips_need_no_score_and_weigh_1(self) -> None:
        clips = self.clips()
        real = make_clip(make_prompt("real")).model_copy(update={"origin": "real", "sampler": None})
        scores = [make_score(clip, value) for clip, value in zip(clips, [0.1, 0.2, 0.3, 0.4], strict=True)]
        samples = weighed([real, *clips], scores, spec("raw"))
        assert (samples[0].source, samples[0].weight) == ("real", 1.0)
        assert [sample.weight for sample in samples[1:]] == pytest.approx([0.4, 0.8, 1.2, 1.6])
        (alone,) = weighed([real], [], spec("raw"))
        assert alone.weight == 1.0

    def test_scores_must_be_those_of_the_clips(self) -> None:
        clips = self.clips()
        scores = [make_score(clip, 0.5) for clip in clips]
        for wrong in (scores[:3], [*scores[:3], make_score(make_clip(PROMPTS[5]), 0.5)], [*scores, scores[0]]):
            with pytest.raises(ValueError, match="expected one score per own clip"):
                weighed(clips, wrong, spec("raw"))


class Returning(Spec):
    """A plug-in weighting that returns `RETURNED`."""

    spec_name: ClassVar[str] = "tests.returning"

    def build(self, runtime: Runtime) -> Any:
        return self

    def weigh(self, scores: Sequence[Score]) -> Any:
        return RETURNED[0]


class NoWeighting(Spec):
    spec_name: ClassVar[str] = "tests.no-weighting"

    def build(self, runtime: Runtime) -> int:
        return 7


RETURNED: dict[int, Any] = {}
PLUGIN = WeightsSpec(kind="plugin", plugin=PluginSpec(use=f"{__name__}:Returning"))


class TestPlugins:
    def test_a_plugins_weights_are_scaled_like_any_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(RETURNED, 0, [3, 1.0, 0.0])
        assert weights_of(make_scores([0.1, 0.2, None]), PLUGIN) == [1.5, 0.5, 0.0]

    @pytest.mark.parametrize(
        "returned", [None, 3, "abc", [1.0, 1.0], [1.0] * 4, [float("nan"), 1.0, 0.0], [float("inf"), 1.0, 0.0]]
    )
    def test_what_is_no_list_of_weights_is_refused(self, monkeypatch: pytest.MonkeyPatch, returned: Any) -> None:
        monkeypatch.setitem(RETURNED, 0, returned)
        with pytest.raises(RecipeError, match=f"the weighting {__name__}:Returning"):
            weights_of(make_scores([0.1, 0.2, None]), PLUGIN)

    @pytest.mark.parametrize("bad", [-0.1, None, "1", True, float("nan"), 1j])
    def test_an_impossible_weight_is_named_with_its_place(self, monkeypatch: pytest.MonkeyPatch, bad: Any) -> None:
        monkeypatch.setitem(RETURNED, 0, [1.0, bad, 0.0])
        with pytest.raises(RecipeError, match="impossible weight to clip 1 of 3") as caught:
            weights_of(make_scores([0.1, 0.2, None]), PLUGIN)
        assert repr(bad) in str(caught.value.got_repr)

    def test_an_unscored_clip_must_weigh_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(RETURNED, 0, [1.0, 1.0, 0.5])
        with pytest.raises(RecipeError, match="impossible weight to clip 2 of 3"):
            weights_of(make_scores([0.1, 0.2, None]), PLUGIN)

    def test_all_zero_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(RETURNED, 0, [0.0, 0.0, 0.0])
        with pytest.raises(TrainingError, match=r"weights\.kind: plugin"):
            weights_of(make_scores([0.1, 0.2, None]), PLUGIN)

    def test_what_is_no_weighting_is_refused_by_name(self) -> None:
        wrong = WeightsSpec(kind="plugin", plugin=PluginSpec(use=f"{__name__}:NoWeighting"))
        with pytest.raises(RecipeError, match="NoWeighting does not build a Weighting"):
            weights_of(make_scores([0.1]), wrong)

    def test_kind_and_plugin_go_together(self) -> None:
        for fields in ({"kind": "plugin"}, {"kind": "raw", "plugin": {"use": "a.b:C"}}):
            with pytest.raises(ValidationError, match=r"exactly when weights\.plugin is set"):
                WeightsSpec.model_validate(fields)
