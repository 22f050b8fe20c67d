"""`make results`: the arms are real recipes, and the tables say what the runs found; runs are made up here."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from statistics import fmean

import pytest

import lab.results as results
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.records import DimensionRow, Prompt, PromptGain, Scorecard
from rushes.store.run import Run
from tests.support.judged import key

NUM_PROMPTS = 6
FOCUS, OTHER = "Composition", "Mechanics"
GAINS = {1: (0, 1, 1, 0, 1, 1), 2: (0, 1, 0, 0, 1, 0)}
"""Per seed, the gain of each prompt of the focus dimension: 0 or 1, from a score of 0."""


def _row(name: str, before: float, after: float, focus: tuple[str, ...]) -> DimensionRow:
    gain = after - before
    return DimensionRow(
        dimension=name, before=before, after=after, gain=gain, gain_low=gain - 0.1, gain_high=gain + 0.1, p_holm=0.01,
        num_prompts=NUM_PROMPTS, num_clips=NUM_PROMPTS, num_unscored=0, is_focus=name in focus,
        verdict="better" if gain > 0 else "worse",
    )  # fmt: skip


def fake_improve(
    recipe: Recipe,
    home: Path,
    *,
    on_progress: object,
    allow_change: bool,
    focus: tuple[str, ...] = (FOCUS,),
    shared: bool = False,
) -> Scorecard:
    """Lands what a run of that seed would have measured, in the one run folder of all seeds."""
    assert allow_change, "arms share a run folder"
    tuned = key("tuned", recipe.seed)
    gains = [
        PromptGain(dimension=dimension, prompt_key=key(dimension, i), before=before, after=after, num_pairs=1)
        for dimension in (FOCUS, OTHER)
        for i, gained in enumerate(map(float, GAINS[recipe.seed]))
        for before, after in [(0.0, gained) if dimension == FOCUS else (gained, 0.0)]
    ]
    with Run.open(home, recipe, allow_change=True) as run:
        run.prompts.land([_prompt(dimension, i, shared) for dimension in (FOCUS, OTHER) for i in range(NUM_PROMPTS)])
        run.write_derived("gains", gains)
    gain = fmean(GAINS[recipe.seed])
    rows = (_row(FOCUS, 0.0, gain, focus), _row(OTHER, gain, 0.0, focus))
    return Scorecard(
        base_model="base", tuned_model=tuned, measurer="test", judge="test", rows=rows,
        focus_gain=gain if recipe.seed == 1 else None,
    )  # fmt: skip


def _prompt(dimension: str, index: int, shared: bool) -> Prompt:
    text = f"prompt {index}" if shared else f"prompt {index} of {dimension}"
    return Prompt(
        key=key(dimension, index), text=text, base_text=text, dimension=dimension, origin="held_out", index=index
    )


@pytest.fixture(autouse=True)
def _no_real_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "improve", fake_improve)


@pytest.mark.parametrize(
    "arm", [arm for group in results.GROUPS.values() for arm in group.arms], ids=lambda arm: arm.name
)
def test_every_arm_is_a_recipe(arm: results.Arm) -> None:
    recipe = load_recipe("sandbox", list(arm.overrides))
    if "+ realism" in arm.name or arm.name == "both":
        assert recipe.train.realism.kind == "real_flow"
    if arm in results.PAPER and "+ realism" not in arm.name:
        assert recipe.train.realism.kind == "none"
    assert recipe.prompts.num_weakness + recipe.prompts.num_caption == results.NUM_PROMPTS


def test_gains_are_averaged_over_seeds_prompt_by_prompt_and_only_over_the_focus(tmp_path: Path) -> None:
    outcome = results.run_arm(results.DEMO[0], [1, 2], tmp_path / "run", [])
    expected = fmean(fmean(pair) for pair in zip(GAINS[1], GAINS[2], strict=True))
    gain = outcome.gain.gain
    assert gain.value == pytest.approx(expected)
    assert gain.low < expected < gain.high
    assert outcome.by_dimension[OTHER].gain.value == pytest.approx(-expected)
    assert len(outcome.scorecards) == 2


@pytest.mark.parametrize("shared", [True, False])
def test_prompts_that_dimensions_share_are_resampled_together(
    shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one dimension gains on a prompt the other loses: on the same prompts that cancels in every resample."""
    monkeypatch.setattr(results, "improve", partial(fake_improve, focus=(FOCUS, OTHER), shared=shared))
    gain = results.run_arm(results.DEMO[0], [1, 2], tmp_path / "run", []).gain.gain
    assert gain.value == pytest.approx(0.0)
    assert (gain.high - gain.low < 1e-9) is shared


def test_the_page_holds_every_group_and_a_gain_that_is_missing_is_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.md"
    arguments = ["--home", str(tmp_path / "run"), "--seeds", "1", "2", "--groups", "demo", "realism", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["results", *arguments])
    with Run.open(tmp_path / "run", load_recipe("sandbox", ["seed=1"])) as run:
        run.log.write("run_opened", commit="an-earlier-one")
    results.main()
    page = out.read_text(encoding="utf-8")
    assert "seeds 1, 2; test prompts" in page
    row = next(line for line in page.splitlines() if line.startswith("| demo recipe"))
    mean = 100 * fmean(fmean(pair) for pair in zip(GAINS[1], GAINS[2], strict=True))
    assert f"| {mean:+.1f} |" in row
    assert row.endswith("| +66.7, not measured |")
    lines = page.splitlines()
    assert any(line.startswith(f"| {FOCUS} (focus) | 0.0 | {mean:.1f} | {mean:+.1f} | ") for line in lines)
    other = next(line for line in lines if line.startswith(f"| {OTHER} | {mean:.1f} | 0.0 | {-mean:+.1f} | -"))
    assert other.endswith("| too few prompts (6 of 7) |")
    assert "points are excluded in each of the 2 dimensions compared (least certain: Mechanics)." in page
    assert "over prompts, with the variance between seeds" in " ".join(page.split())
    assert "| each seed | less no realism constraint | 95 % interval | verdict |" in page
    assert next(line for line in lines if line.startswith("| moments |")).count(" | +0.0 | ") == 1
    assert "Records that could be reused are of earlier commits: an-earlier-one." in " ".join(page.split())
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        f"## {results.GROUPS[name].title}" for name in ("demo", "realism")
    ]
    assert "moments" in capsys.readouterr().out
