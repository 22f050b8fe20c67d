"""What a recipe's stages have to do."""

from __future__ import annotations

from rushes.plan.work import work_of
from rushes.recipe import parse_recipe

VBENCH = [
    "diagnose.catalogue=vbench2",
    "measure.measurer={kind: plugin, use: 'rushes.vbench.metrics.measurer:VBenchMeasurerSpec', options: {suite: x}}",
]


def test_nothing_is_drafted_for_the_diagnosis_where_a_suite_brings_its_own_prompts() -> None:
    own, suite = (
        work_of(parse_recipe("name: x", source="recipe", overrides=[*VBENCH, *more]))[0]
        for more in ([], ["measure.suite=VBench2_full_info.json"])
    )
    assert own.units["drafts"] > 0
    assert "drafts" not in suite.units
    assert suite.units["clip_calls"] == own.units["clip_calls"]
