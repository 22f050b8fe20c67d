"""Dimension scores: exclusion, coverage, clustered intervals."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.records import Outcome, Scored, Unscored
from rushes.statistics.bootstrap import score_interval
from rushes_vbench.metrics.aggregate import dimension_score
from rushes_vbench.metrics.core import not_applicable


def outcomes(*values: float | str | None) -> list[Outcome]:
    """None: not applicable; text: a tool failed."""
    return [
        not_applicable("no orbit") if v is None else Unscored(reason=v) if isinstance(v, str) else Scored(value=v)
        for v in values
    ]


def test_what_counts_where() -> None:
    found = dimension_score(
        "Human_Clothes", outcomes(1.0, None, 0.0, 1.0, "no answer", None), ["a", "a", "b", "b", "c", "c"], "fixed"
    )
    assert found.score is not None and found.score.value == pytest.approx(2 / 3)
    assert found.covered is not None and found.covered.value == pytest.approx(2 / 5)
    assert (found.num_clips, found.num_scored, found.num_not_applicable, found.num_failed) == (6, 3, 2, 1)
    assert found.coverage == 0.5 and found.num_prompts == 2
    assert list(found.reasons.items()) == [("not applicable: no orbit", 2), ("no answer", 1)]


def test_interval_is_the_project_s_own_where_prompts_have_as_many_clips() -> None:
    rng = np.random.default_rng(3)
    values = [float(v) for v in rng.integers(0, 2, 36)]
    prompts = [f"p{i // 3:02d}" for i in range(36)]
    found = dimension_score("Material", outcomes(*values), prompts, "fixed").score
    own = score_interval(values, prompts)
    assert found is not None and (found.value, found.low, found.high) == pytest.approx((own.value, own.low, own.high))


def test_clips_of_one_prompt_are_not_independent() -> None:
    values = [float(i % 2) for i in range(20) for _ in range(3)]
    clustered = dimension_score("Material", outcomes(*values), [str(i // 3) for i in range(60)], "fixed").score
    single = dimension_score("Material", outcomes(*values), [str(i) for i in range(60)], "fixed").score
    assert clustered is not None and clustered.low is not None and clustered.high is not None
    assert single is not None and single.low is not None and single.high is not None
    assert clustered.high - clustered.low > 1.5 * (single.high - single.low)


def test_order_of_clips_changes_nothing() -> None:
    values, prompts = [1.0, 0.0, 0.5, 0.25, 1.0], ["a", "a", "b", "c", "c"]
    mixed = [3, 1, 4, 0, 2]
    first = dimension_score("Material", outcomes(*values), prompts, "fixed")
    second = dimension_score("Material", outcomes(*(values[i] for i in mixed)), [prompts[i] for i in mixed], "fixed")
    assert first == second


def test_all_alike_is_not_certain() -> None:
    found = dimension_score("Material", outcomes(*[1.0] * 9), list("aaabbbccc"), "fixed").score
    assert found is not None and found.value == found.high == 1.0 and found.low is not None and found.low < 0.95


def test_nothing_to_average() -> None:
    empty = dimension_score("Human_Identity", outcomes(None, None, None), ["a", "a", "b"], "compat")
    assert empty.score is None and empty.coverage == 0.0
    assert empty.covered is not None and empty.covered.value == 0.0
    assert dimension_score("Human_Identity", [], [], "compat").covered is None
    failed = dimension_score("Human_Identity", outcomes("broken"), ["a"], "fixed")
    assert failed.score is None and failed.covered is None and failed.num_failed == 1
    one = dimension_score("Material", outcomes(1.0, 0.0), ["a", "a"], "fixed").score
    assert one is not None and one.value == 0.5 and one.low is None and one.high is None
    with pytest.raises(ValueError, match="expected one prompt per outcome"):
        dimension_score("Material", outcomes(1.0), [], "fixed")


def test_the_ninety_percent_rule_is_official_only() -> None:
    prompts = [str(i) for i in range(20)]
    rare = outcomes(1.0, *[None] * 19)
    name = "Motion_Order_Understanding"
    compat, fixed = (dimension_score(name, rare, prompts, profile).score for profile in ("compat", "fixed"))
    assert compat is not None and compat.value == 0.0
    assert fixed is not None and fixed.value == 1.0
    often = dimension_score(name, outcomes(1.0, 1.0, *[None] * 18), prompts, "compat").score
    assert often is not None and often.value == 1.0
    other = dimension_score("Material", rare, prompts, "compat").score
    assert other is not None and other.value == 1.0
