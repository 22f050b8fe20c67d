"""What weights amount to: against numpy and scipy, and each warning exactly where it is due."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from scipy.stats import f_oneway

from rushes.recipe.weights import WeightsSpec
from rushes.records import Clip, Score
from rushes.weights.report import WeightReport, effective_size, entropy, report_weights, within_share
from rushes.weights.weigh import weighed
from tests.support.judged import make_clip, make_prompt, make_score

EXPONENTIAL = WeightsSpec(kind="exponential")


def clips_of(num_prompts: int, takes: int, dimension: str = "Mechanics") -> list[Clip]:
    prompts = [make_prompt(f"{dimension} {i}", dimension=dimension) for i in range(num_prompts)]
    return [make_clip(prompt, take) for prompt in prompts for take in range(takes)]


def report_of(
    values: Sequence[float | None], spec: WeightsSpec, clips: Sequence[Clip] | None = None, takes: int = 2
) -> WeightReport:
    clips = clips_of(len(values) // takes, takes) if clips is None else clips
    scores: list[Score] = [make_score(clip, value) for clip, value in zip(clips, values, strict=True)]
    return report_weights(weighed(clips, scores, spec), scores, spec)


@pytest.mark.parametrize("seed", range(4))
def test_statistics_are_those_of_an_independent_computation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.random(30) * (rng.random(30) < 0.7) + 1e-3 * (seed == 0)
    assert effective_size(w.tolist()) == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert entropy(w.tolist()) == pytest.approx(float(scipy_entropy(w)))
    groups = w.reshape(6, 5)
    f = f_oneway(*groups).statistic  # F = (between / 5) / (within / 24)
    assert within_share(groups.tolist()) == pytest.approx(1 / (1 + f * 5 / 24))


def test_extremes() -> None:
    assert effective_size([1.0] * 7) == pytest.approx(7.0)
    assert effective_size([0.0, 3.0, 0.0]) == 1.0
    assert effective_size([1e-300, 1e-300]) == pytest.approx(2.0)
    assert entropy([0.0, 3.0]) == 0.0
    assert within_share([[1.0, 1.0], [0.0, 0.0]]) == 0.0
    assert within_share([[0.1, 0.1, 0.1], [0.3, 0.3, 0.3]]) == 0.0
    assert within_share([[0.0, 1.0], [0.0, 1.0]]) == 1.0
    assert within_share([[1.0, 1.0], [1.0]]) is None


def test_a_whole_report_by_hand() -> None:
    clips = [*clips_of(2, 2, "Mechanics"), *clips_of(1, 2, "Composition")]
    report = report_of([1.0, 0.0, 0.5, 0.5, 1.0, None], WeightsSpec(kind="raw"), clips)
    assert (report.num_clips, report.num_scored, report.num_weighted) == (6, 5, 4)
    assert (report.num_prompts, report.num_prompts_contrast) == (3, 1)
    assert report.effective_size == pytest.approx(3.0**2 / 2.5)
    assert report.effective_share == pytest.approx(3.6 / 5)
    assert report.largest_share == pytest.approx(1 / 3)
    assert report.heaviest_tenth == pytest.approx(1 / 3)
    assert report.variation == pytest.approx(np.std([1.0, 0.0, 0.5, 0.5, 1.0]) / 0.6)
    assert report.within_prompt == pytest.approx(0.5 / 0.7)
    assert report.entropy <= report.even_entropy == pytest.approx(np.log(5))
    shares = [(each.dimension, each.num_clips, each.num_weighted, each.weight_share) for each in report.dimensions]
    assert shares == [("Composition", 2, 1, pytest.approx(1 / 3)), ("Mechanics", 4, 3, pytest.approx(2 / 3))]
    assert report.warnings == ()


def test_real_clips_are_not_counted() -> None:
    clips = clips_of(3, 2)
    scores = [make_score(clip, value) for clip, value in zip(clips, [0.1, 0.9, 0.4, 0.6, 0.5, 0.5], strict=True)]
    real = make_clip(make_prompt("real")).model_copy(update={"origin": "real", "sampler": None})
    spec = WeightsSpec(kind="raw")
    with_real = report_weights(weighed([*clips, real], scores, spec), scores, spec)
    assert with_real == report_weights(weighed(clips, scores, spec), scores, spec)


def test_few_clips_that_dominate_are_warned_of() -> None:
    report = report_of([1.0, *[0.0] * 19], EXPONENTIAL)
    assert report.effective_share < 0.2
    few, heavy = report.warnings
    assert "20 scored clips count like 1.0 equal ones" in few and "weights.min_effective 20%" in few
    assert "the heaviest tenth of the clips has" in heavy
    silent = EXPONENTIAL.model_copy(update={"min_effective": 0.0})
    assert len(report_of([1.0, *[0.0] * 19], silent).warnings) == 1


def test_the_limit_is_the_recipes() -> None:
    values = [1.0, 1.0, *[0.0] * 6]
    loose = WeightsSpec(kind="filter", min_effective=0.25)
    tight = WeightsSpec(kind="filter", min_effective=0.26)
    assert report_of(values, loose).effective_share == pytest.approx(0.25)
    assert not any("min_effective" in warning for warning in report_of(values, loose).warnings)
    assert any("min_effective" in warning for warning in report_of(values, tight).warnings)


def test_saturated_scores_under_raw_are_told_to_be_plain_fine_tuning() -> None:
    values = [0.97, 0.99, 1.0, 0.95, 0.98, 1.0]
    (warning,) = report_of(values, WeightsSpec(kind="raw")).warnings
    assert "nearly plain fine-tuning" in warning
    assert report_of(values, WeightsSpec(kind="uniform")).warnings == ()


def test_a_dimension_without_weight_is_named() -> None:
    clips = [*clips_of(4, 2, "Mechanics"), *clips_of(1, 2, "Composition")]
    report = report_of([0.9, 0.5] * 4 + [0.1, None], WeightsSpec(kind="filter"), clips)
    assert "Composition: none of its 2 clips has a weight, so nothing is learned from it" in report.warnings


def test_nothing_to_report_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a scored clip with a weight"):
        report_weights([], [], EXPONENTIAL)
