"""VBench-1: official files read, totals as the official script and the leaderboard have them, never with VBench-2.0."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from rushes.cli import main
from rushes.errors import InputError
from rushes.report.section import Sources
from rushes.statistics.resampling import Resampling
from rushes.store.run import Run
from rushes_vbench.beside import official_section
from rushes_vbench.catalogue import facts as facts_of_vbench2
from rushes_vbench.vbench1.beside import vbench1_section
from rushes_vbench.vbench1.comparison import compare
from rushes_vbench.vbench1.facts import facts, identifier, normalised, totals
from rushes_vbench.vbench1.results import DimensionScore, is_vbench1, read_results
from tests.support.pages import ROOT
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.vbench1 import rows, write_results

QUALITY = [
    "subject_consistency", "background_consistency", "temporal_flickering", "motion_smoothness", "dynamic_degree",
    "aesthetic_quality", "imaging_quality",
]  # fmt: skip
SEMANTIC = [
    "object_class", "multiple_objects", "human_action", "color", "spatial_relationship", "scene", "appearance_style",
    "temporal_style", "overall_consistency",
]  # fmt: skip

PUBLISHED = {
    "Runway Gen-3": "97.10 96.62 98.61 99.23 60.14 63.34 66.82 | 87.81 53.64 96.40 80.90 65.09 54.57 24.31 24.71 26.69"
    " | 84.11 75.17 82.32",
    "Kling": "98.33 97.60 99.30 99.40 46.94 61.21 65.62 | 87.24 68.05 93.40 89.90 73.03 50.86 19.62 24.17 26.42"
    " | 83.39 75.68 81.85",
    "CogVideoX-5B": "96.23 96.52 98.66 96.92 70.97 61.98 62.90 | 85.23 62.11 99.40 82.81 66.35 53.20 24.91 25.38 27.59"
    " | 82.75 77.04 81.61",
    "Mochi-1": "96.99 97.28 99.40 99.02 61.85 56.94 60.64 | 86.51 50.47 94.60 79.73 69.24 36.99 20.33 23.65 25.15"
    " | 82.64 70.08 80.13",
    "Mira": "96.23 96.92 98.29 97.54 60.33 42.51 60.16 | 52.06 12.52 63.80 42.24 27.83 16.34 21.89 18.77 18.72"
    " | 78.78 44.21 71.87",
    "T2V-Turbo-v2": "95.50 96.71 97.35 97.07 90.00 62.61 71.78 | 95.33 61.49 96.20 92.53 43.32 56.40 24.17 27.06 28.26"
    " | 85.13 77.12 83.52",
}
"""Rows of the VBench leaderboard as LinGen (Wang and others, 2024, https://arxiv.org/abs/2412.09856, appendix) prints
them, in percent: quality dimensions, semantic dimensions, the three totals. The heads of its columns for dynamic
degree, aesthetic and imaging quality are shifted by one; only this order gives its totals, in every row."""


def dimension(path: Path, name: str = "color") -> DimensionScore:
    return next(each for each in read_results([path]).dimensions if each.dimension == name)


# ---------------------------------------------------------------------------------------------- totals


@pytest.mark.parametrize("model", PUBLISHED)
def test_totals_are_those_of_the_leaderboard(model: str) -> None:
    quality, semantic, sums = ([float(x) / 100 for x in part.split()] for part in PUBLISHED[model].split("|"))
    found = totals(dict(zip([*QUALITY, *SEMANTIC], [*quality, *semantic], strict=True)))
    # What is published is rounded to two decimals of a percent, dimensions and sums alike.
    assert [found[name] for name in ("quality", "semantic", "total")] == pytest.approx(sums, abs=1.5e-4)


def test_totals_are_those_of_the_official_script_also_beyond_its_range() -> None:
    """Printed by scripts/cal_final_score.py of Vchitect/VBench, commit 45e79ec, for these scores in a zip archive."""
    scores = {name: round(0.05 + 0.06 * i, 4) for i, name in enumerate([*QUALITY, *SEMANTIC])}
    expected = {"quality": -0.35150134008769124, "semantic": 1.3171853752787224, "total": -0.017763997014408516}
    assert totals(scores) == pytest.approx(expected, abs=1e-12)


def test_totals_are_weighed_by_hand() -> None:
    """Everything at the score that counts as 1, but dynamic degree at 0: it has half a weight of 6.5."""
    best = {name: fact.high for name, fact in facts().items()} | {"dynamic_degree": 0.0}
    found = totals(best)
    assert found == pytest.approx({"quality": 6 / 6.5, "semantic": 1.0, "total": (4 * 6 / 6.5 + 1) / 5})
    assert normalised("scene", 0.4111) == pytest.approx(0.5) and normalised("motion_smoothness", 0.706) == 0.0


def test_a_sum_that_lacks_a_dimension_is_not_given() -> None:
    scores = dict.fromkeys(QUALITY, 0.9)
    assert totals(scores).keys() == {"quality"}
    assert totals(scores | dict.fromkeys(SEMANTIC[1:], 0.5)).keys() == {"quality"}
    assert totals(dict.fromkeys([*QUALITY, *SEMANTIC], 0.5)).keys() == {"quality", "semantic", "total"}
    assert totals({}) == {}


def test_no_dimension_is_shared_with_vbench2() -> None:
    assert list(facts()) == [*QUALITY, *SEMANTIC]
    assert [identifier(each) for each in ("Subject Consistency", "subject-consistency", "COLOR")] == [
        "subject_consistency",
        "subject_consistency",
        "color",
    ]
    assert not any(identifier(name) for name in facts_of_vbench2())


# ---------------------------------------------------------------------------------------------- reading


def test_a_complete_file_has_no_doubts(tmp_path: Path) -> None:
    flags = [True, False, True, True, True] * 72
    found = dimension(write_results(tmp_path, {"dynamic_degree": [0.8, rows(flags)]}), "dynamic_degree")
    assert found.doubts == () and found.stated == 0.8 and found.mean == pytest.approx(0.8)
    assert (found.rows[6].prompt, found.rows[6].sample, found.rows[6].value) == ("a red bus 1", 1, 0.0)


def test_rows_of_imaging_quality_are_percent_and_its_score_is_not(tmp_path: Path) -> None:
    content = {"imaging_quality": [0.65, rows([60.0, 70.0, 65.0, 62.0, 68.0] * 93)]}
    found = dimension(write_results(tmp_path, content), "imaging_quality")
    assert found.doubts == () and found.mean == pytest.approx(0.65) and found.rows[0].value == pytest.approx(0.6)


def test_a_cosine_can_be_negative_and_another_score_cannot(tmp_path: Path) -> None:
    content = {"temporal_style": [0.1, rows([-0.1, 0.3])], "scene": [0.1, rows([-0.1, 0.3])]}
    write_results(tmp_path, content)
    assert [row.value for row in dimension(tmp_path, "temporal_style").rows] == [-0.1, 0.3]
    assert "1 row: no value in the range of the dimension; left out" in dimension(tmp_path, "scene").doubts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([0.7, rows([0.6] * 425)], "states 0.700000; the mean of its rows is 0.600000"),
        (["0.6", rows([0.6] * 425)], "states no numeric score"),
        ([60.0, rows([0.6] * 425)], "states 60.0, outside 0 to 1, which is left out; if it is a percentage, divide"),
        ([-0.1, rows([0.6] * 425)], "states -0.1, outside 0 to 1, which is left out"),
        ([0.6, rows([0.6] * 430)], "430 rows; a complete evaluation has 425"),
        ([0.6, rows([0.6] * 424 + [float("nan")])], "1 row: no value"),
        ([0.6, rows([0.6] * 424 + [10**400])], "1 row: no value"),
        ([0.6, [*rows([0.6] * 424), {"video_results": 0.6}]], "1 row: no file name"),
        ([0.6, [*rows([0.6] * 424), "text"]], "1 row: no file name"),
        ([0.6, [*rows([0.6] * 424), rows([0.6])[0]]], "1 row of a clip that another row is about"),
        (0.6, "no rows: only the score is known"),
        ([0.6, []], "no rows: only the score is known"),
    ],
)  # fmt: skip
def test_contradictions_are_named(content: Any, said: str, tmp_path: Path) -> None:
    found = dimension(write_results(tmp_path, {"color": content}))
    assert any(doubt.startswith(said) for doubt in found.doubts), found.doubts
    assert found.stated is None if "states" in said and "the mean" not in said else found.stated is not None


def test_color_may_leave_clips_out_and_scene_may_not(tmp_path: Path) -> None:
    write_results(tmp_path, {"color": [0.6, rows([0.6] * 300)], "scene": [0.6, rows([0.6] * 300)]})
    assert dimension(tmp_path).doubts == ()
    assert dimension(tmp_path, "scene").doubts == ("300 rows; a complete evaluation has 430",)


def test_a_mean_over_frames_explains_its_difference(tmp_path: Path) -> None:
    found = dimension(write_results(tmp_path, {"scene": [0.5, rows([0.6] * 430)]}), "scene")
    assert any("it is a mean over frames" in doubt for doubt in found.doubts) and found.stated == 0.5


def test_one_benchmark_at_a_time(tmp_path: Path) -> None:
    first = write_results(tmp_path / "1", {"subject consistency": [0.9, []]})
    second = write_results(tmp_path / "2", {"Material": [0.5, []]})
    image = write_results(tmp_path / "i2v", {"i2v_subject": [0.9, []], "subject_consistency": [0.9, []]})
    assert is_vbench1([first]) and not is_vbench1([second])
    with pytest.raises(InputError, match="two benchmarks, whose scores must not be mixed"):
        is_vbench1([first, second])
    with pytest.raises(InputError, match="VBench-I2V"):
        is_vbench1([image])
    with pytest.raises(InputError, match="more than one of the named places"):
        read_results([first, first])
    with pytest.raises(InputError, match="no VBench-1 results"):
        read_results([second])


def test_a_file_without_results_is_ignored_and_named(tmp_path: Path) -> None:
    write_results(tmp_path, {"color": [0.6, rows([0.6])], "culture_fairness": [0.5, []]})
    (tmp_path / "results_full_info.json").write_text("[]", encoding="utf-8")
    assert [each.split(": ")[1] for each in read_results([tmp_path]).ignored] == [
        "no dimension is called 'culture_fairness'",
        "a list of prompts, not results",
    ]


# ---------------------------------------------------------------------------------------------- two models


def test_gains_are_paired_by_prompt_and_clip(tmp_path: Path) -> None:
    before = [0.1, 0.2, 0.3, 0.4] * 75
    base = read_results([write_results(tmp_path / "a", {"color": [0.25, rows(before)], "scene": [0.2, []]})])
    shifted = rows([value + 0.3 + 0.01 * (i % 7 - 3) for i, value in enumerate(before)])
    tuned = read_results([write_results(tmp_path / "b", {"color": [0.3, shifted[::-1]], "scene": [0.3, []]})])
    (found,) = compare(base, tuned, Resampling(num_resamples=200))
    assert (found.dimension, found.num_prompts, found.num_pairs) == ("color", 60, 300)
    assert found.gain == pytest.approx(0.3, abs=1e-3) and found.low < 0.3 < found.high and found.verdict == "better"
    other = read_results([write_results(tmp_path / "c", {"color": [0.3, [{**shifted[0]}]]})])
    assert compare(base, other) == ()


# ---------------------------------------------------------------------------------------------- shown


def complete(folder: Path, score: float) -> str:
    return str(write_results(folder, {name: [score, []] for name in facts()}))


def test_import_marks_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vbench", "import", complete(tmp_path / "er", 0.5), "--method", "repository 45e79ec"]) == 0
    said = capsys.readouterr().out
    assert "VBench-1: official results of er (repository 45e79ec); not comparable with VBench-2.0" in said
    expected = 100 * totals(dict.fromkeys(facts(), 0.5))["total"]
    assert f"VBench-1 total score: {expected:.2f}" in said and "without a score" not in said


def test_import_names_what_a_missing_dimension_hides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {name: [0.5, []] for name in facts() if name != "color"}
    assert main(["vbench", "import", str(write_results(tmp_path / "er", content))]) == 0
    said = capsys.readouterr().out
    assert "VBench-1 quality score" in said and "semantic score:" not in said and "total score:" not in said
    assert "without a score: color." in said


def test_import_compares_two_models_and_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [complete(tmp_path / "a", 0.5), "--tuned", complete(tmp_path / "b", 0.6)]
    assert main(["vbench", "import", *files]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["scene", "50.00", "60.00", "+10.00"] in lines
    assert main(["vbench", "import", *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["benchmark"] == "VBench-1" and found["results"][1]["benchmark"] == "VBench-1"
    assert found["results"][0]["totals"] == pytest.approx(totals(dict.fromkeys(facts(), 0.5)))


def test_a_run_shows_them_in_a_section_of_their_own(tmp_path: Path) -> None:
    home = tmp_path / "run"
    with Run.open(home, sandbox_recipe(name="x")):
        pass
    files = [complete(tmp_path / "a", 0.5), "--tuned", complete(tmp_path / "b", 0.4)]
    assert main(["vbench", "import", *files, "--run", str(home)]) == 0
    with Run.view(home) as run:
        sources = Sources(run, (), (), {}, {})
        found = vbench1_section(sources)
        assert official_section(sources) is None
    assert found is not None and found.title == "Official VBench-1 results" and "another benchmark" in found.lead
    assert found.rows[12] == ("scene", "50.00", "40.00", "\u221210.00")
    assert [row[0] for row in found.rows[-3:]] == ["quality score", "semantic score", "total score"]


def test_a_run_without_them_has_no_section(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", sandbox_recipe(name="x")) as run:
        assert vbench1_section(Sources(run, (), (), {}, {})) is None


def test_the_report_finds_the_section_by_its_entry_point() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    value = project["entry-points"]["rushes.sections"]["vbench1"]
    assert EntryPoint("vbench1", value, "rushes.sections").load() is vbench1_section
