"""A run that aims by what its judge can pick, and compares in what it aimed at alone."""

from __future__ import annotations

from pathlib import Path

from rushes.diagnose import baseline
from rushes.judge.grade import grade
from rushes.pipeline import improve
from rushes.recipe.plugin import PluginSpec
from rushes.records import Focus
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


def test_the_judges_choice_decides_the_focus_and_only_the_focus_is_compared(tmp_path: Path) -> None:
    tiny = tiny_recipe(make_tiny_wan(tmp_path / "model"))
    aimed = {"choose": "picked", "focus": (), "num_focus": 1, "num_takes": 3}
    # A judge that knows something: what it likes is better than the usual take.
    measurer = PluginSpec(use="tests.support.fakes:HashMeasurerSpec", options={"agreement": 0.7})
    recipe = tiny.model_copy(
        update={
            "diagnose": tiny.diagnose.model_copy(update=aimed),
            "measure": tiny.measure.model_copy(update={"only_focus": True, "measurer": measurer}),
        }
    )
    scorecard = improve(recipe, tmp_path / "run")
    assert scorecard is not None
    with Run.view(tmp_path / "run") as run:
        [focus] = run.read_derived("focus", Focus) or []
        prompts = {prompt.key: prompt for prompt in run.prompts.all()}
        probes = [clip for clip in run.clips.all() if prompts[clip.prompt_key].origin == "probe"]
        seen = {clip.key for clip in probes}
        measured = [each for each in run.measurements.all() if each.subject[0] in seen]
        scores = grade(probes, prompts, [each for each in run.answers.all() if each.clip_key in seen], recipe.judge)
    assert len(probes) == 2 * 3 * 3
    by_name = {each.dimension: each.picked for each in baseline(measured, (), scores).measured}
    known = {name: value for name, value in by_name.items() if value is not None}
    assert len(known) == 2
    assert focus.dimension == max(known, key=lambda name: known[name])
    assert focus.picked == known[focus.dimension]
    assert [row.dimension for row in scorecard.rows] == [focus.dimension]
