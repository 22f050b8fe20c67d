"""A run that is measured with the suite, exported, scored by somebody else, and reported with those scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from rushes.cli import main
from rushes.measure.pairs import pair_up
from rushes.measure.stage import Seen, measured
from rushes.pipeline import improve
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.records import BlobRef, Measurement
from rushes.roles import Failed, Measurer
from rushes.store.advance import Work
from rushes.store.decoded import Decoded
from rushes.store.run import Run
from tests.support.sandbox_recipe import VBENCH_CATALOGUE
from tests.support.suite import SHARED, small_suite, suite_rows, write_suite
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


def recipe_with_suite(model: Path, suite: Path) -> Recipe:
    recipe = tiny_recipe(model)
    return recipe.model_copy(
        update={
            "diagnose": recipe.diagnose.model_copy(
                update={"catalogue": VBENCH_CATALOGUE, "dimensions": ("Material", "Mechanics"), "focus": ("Mechanics",)}
            ),
            "measure": recipe.measure.model_copy(
                update={
                    "suite": PluginSpec(use="vbench2", options={"path": str(suite)}),
                    "num_takes": 3,
                    "num_diversity_takes": 2,
                }
            ),
        }
    )


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[BlobRef]]:
    """The clips that the measurer was shown, the first of each subject, by stage."""
    found: list[list[BlobRef]] = []

    readers: list[Decoded] = []

    def watched(
        measurer: Measurer, chunk: Sequence[Work[Seen]], *, videos: Decoded, name: str
    ) -> list[Measurement | Failed]:
        if not any(videos is each for each in readers):  # every stage has a reader of its own
            readers.append(videos)
            found.append([])
        found[-1].extend(work.payload.clips[0].frames for work in chunk)
        return measured(measurer, chunk, videos=videos, name=name)

    monkeypatch.setattr("rushes.measure.stage.measured", watched)
    return found


@pytest.mark.slow
def test_run_measured_with_the_suite_is_exported_and_official_results_stand_in_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], looks: list[list[BlobRef]]
) -> None:
    model, home, out = tmp_path / "model", tmp_path / "run", tmp_path / "out"
    make_tiny_wan(model)
    suite = write_suite(tmp_path / "suite")
    recipe = recipe_with_suite(model, suite)
    scorecard = improve(recipe, home)
    assert scorecard is not None
    for shown in looks:
        assert len(list(groupby(shown))) == len(set(shown)), "subjects of one clip stand side by side"
    assert any(len(set(shown)) < len(shown) for shown in looks)

    material = set(small_suite().prompts_of("Material"))
    with Run.view(home) as run:
        prompts = {prompt.key: prompt for prompt in run.prompts.all()}
        held_out = [prompt for prompt in prompts.values() if prompt.origin == "held_out"]
        assert {prompt.text for prompt in held_out} <= {row["prompt_en"] for row in suite_rows()}
        assert len({prompt.text for prompt in held_out if prompt.dimension == "Material"} & material) == 4
        measured = [each for each in run.measurements.all() if prompts[each.prompt_key].origin == "held_out"]
        clips = {clip.key: clip for clip in run.clips.all()}
        models = {clips[each.subject[0]].model for each in measured}
        sides = [[each for each in measured if clips[each.subject[0]].model == name] for name in sorted(models)]
        pairing = pair_up(*sides, clips.values())
        assert pairing.unpaired == () and len(pairing.of("Material")) == 4 * 3
        for pair in pairing.pairs:
            seeds = [[clips[key].seed for key in each.subject] for each in (pair.before, pair.after)]
            assert seeds[0] == seeds[1]

        mechanics, diversity = (
            [each for each in held_out if each.text == SHARED and each.dimension == name]
            for name in ("Mechanics", "Diversity")
        )
        for model_name in models:
            of = [
                {clip.seed_index: clip for clip in clips.values() if (clip.prompt_key, clip.model) == (key, model_name)}
                for key in (mechanics[0].key, diversity[0].key)
            ]
            assert sorted(of[0]) == [0, 1, 2] and sorted(of[1]) == [0, 1]
            assert all(of[0][i].video == of[1][i].video and of[0][i].seed == of[1][i].seed for i in (0, 1))
            assert sum(of[side][i].seconds > 0 for side in (0, 1) for i in of[side]) == 3, "generated once"

    assert main(["vbench", "export", str(home), str(out), "--suite", str(suite)]) == 0
    names = set(small_suite().names_by_dimension["Material"])
    for which in ("base", "tuned"):
        files = [path.name for path in (out / which / "Material").iterdir()]
        assert len(files) == 12 and set(files) <= names
        rows = [{"video_path": f"{which}/Material/{name}", "video_results": int(which == "tuned")} for name in files]
        folder = tmp_path / f"official-{which}"
        folder.mkdir()
        (folder / "r_eval_results.json").write_text(json.dumps({"Material": [rows[0]["video_results"], rows]}))
    seeds = [row["seed"] for row in json.loads((out / "base.json").read_text(encoding="utf-8"))["files"]]
    assert all(seed is not None for seed in seeds)

    capsys.readouterr()
    assert main(["vbench", "scorecard", str(home), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    (own,) = [row for row in card["rows"] if row["dimension"] == "Material"]
    (ran,) = [row for row in scorecard.rows if row.dimension == "Material"]
    assert (
        own["num_pairs"] == 12 and own["gain"] == pytest.approx(ran.gain) and own["base"] == pytest.approx(ran.before)
    )

    assert main(["vbench", "compare", f"{home}@base", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == card["rows"]

    official = [str(tmp_path / "official-base"), "--tuned", str(tmp_path / "official-tuned")]
    assert main(["vbench", "import", *official, "--run", str(home)]) == 0
    assert main(["report", str(home), "--rebuild"]) == 0
    page = (home / "report.html").read_text(encoding="utf-8")
    assert "Official VBench-2.0 results" in page and "a complete evaluation has 150" in page
