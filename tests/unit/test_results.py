"""`make results`: the arms are real recipes, what is kept is not run again, and the page needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from lab import results
from lab.arms import GROUPS, NUM_PROMPTS, OBJECTIVES, Arm, arms
from lab.outcomes import Result, read, write
from lab.runs import Laboratory
from rushes.errors import RecipeError
from rushes.recipe.load import load_recipe
from rushes.recipe.objectives import BuiltInObjective
from rushes.recipe.recipe import Recipe
from tests.support.outcomes import result, spread

KNOWN = {kind.model_fields["kind"].default for kind in get_args(BuiltInObjective)}
ARMS = {name: arm for name, arm in arms().items() if arm.group != "objectives" or arm.best_of or name in KNOWN}
"""Arms whose objective this version has."""


def _recipe(arm: Arm, home: Path = Path("runs/none"), **laboratory: object) -> Recipe:
    return Laboratory(home, "development", **laboratory).recipe(arm, 2)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("arm", ARMS.values(), ids=list(ARMS))
def test_every_arm_is_a_recipe_whose_seeds_have_clips_and_training_of_their_own(arm: Arm) -> None:
    recipe = _recipe(arm)
    assert (recipe.seed, recipe.train.seed, recipe.measure.split) == (2, 2, "development")
    assert arm.group in GROUPS and (not arm.versus or arm.versus in arms())
    if arm.group != "amount":
        assert recipe.num_rounds * (recipe.prompts.num_weakness + recipe.prompts.num_caption) == NUM_PROMPTS
        assert recipe.num_rounds * recipe.train.steps == load_recipe("sandbox").train.steps


def test_arms_differ_in_what_their_names_say() -> None:
    known = {name: _recipe(arm) for name, arm in ARMS.items()}
    assert known["nft, no real clips"].train.realism.kind == "none" == known["plain SFT"].train.realism.kind
    assert known["plain SFT + real clips"].train.realism.kind == "real_flow" == known["nft"].train.realism.kind
    assert known["RWR (exponential)"].weights.kind == "exponential"
    assert known["nft, guidance 3"].measure.sampler.guidance_scale == 3.0
    assert known["crd, guidance 6"].generate.sampler.guidance_scale == 6.0
    assert known["crd, guidance 6"].generate.latents == "reencoded" != known["crd"].generate.latents
    assert known["nft, 4 rounds"].num_rounds == 4 and known["nft, 4 rounds"].train.objective.kind == "nft"
    assert known["nft"].measure.only_focus is False and known["dpo"].measure.only_focus
    assert known["best of 4"].measure.num_takes == 8, "seed 2 chooses among takes of its own"


def test_the_two_best_can_be_others_and_must_be_objectives() -> None:
    found = arms(("dpo", "nft"))
    assert found["crd"].versus == "dpo" and found["dpo"].versus == "" and "dpo, random judge" in found
    assert OBJECTIVES["dpo"][0] in found["dpo, 2 rounds"].overrides
    with pytest.raises(KeyError):
        arms(("nft", "none such"))


def test_the_same_control_has_the_same_training_clips_as_its_arm() -> None:
    true, control = _recipe(ARMS["nft"]), _recipe(ARMS["nft, random judge"])
    assert true.generate == control.generate and true.prompts == control.prompts
    guided, twin = _recipe(ARMS["nft, guidance 3"]), _recipe(ARMS["nft, guidance 3, shuffled"])
    assert guided.generate == twin.generate != true.generate and guided.judge.judge != twin.judge.judge
    assert true.judge.judge != control.judge.judge and true.judge.aggregate == control.judge.aggregate


@pytest.mark.parametrize("change", ["train.num_steps=399", "measure.num_prompts=41", "judge.aggregate=mean"])
def test_an_arm_whose_recipe_changed_has_another_hash(change: str, tmp_path: Path) -> None:
    plain, changed = (Laboratory(tmp_path, "development", more=more) for more in ((), (change,)))
    assert plain.hash_of(ARMS["nft"], 1) != changed.hash_of(ARMS["nft"], 1)
    assert plain.hash_of(ARMS["nft"], 1) == Laboratory(tmp_path / "else", "development").hash_of(ARMS["nft"], 1)
    assert plain.hash_of(ARMS["nft"], 1) != plain.hash_of(ARMS["nft"], 2)
    assert plain.hash_of(ARMS["nft"], 1) != plain.hash_of(Arm("n", "objectives", ARMS["nft"].overrides, best_of=1), 1)


# ---------------------------------------------------------------------------------------------- running and keeping


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that would have been made; every one of them gains 0.1."""
    names: list[str] = []

    def run(self: Laboratory, arm: Arm, seed: int, on_progress: object) -> Result:
        if arm.name == "awm":
            raise RecipeError("no such thing here")
        names.append(f"{arm.name} {seed}")
        made = result(arm.name, seed, {"A": spread(0.1)}, split=self.split, equal=self.equal)
        return made.model_copy(update={"recipe_hash": self.hash_of(arm, seed)})

    monkeypatch.setattr(Laboratory, "run", run)
    return names


def _typed(folder: Path, *more: str) -> list[str]:
    return ["--outcomes", str(folder / "outcomes"), "--home", str(folder / "runs"), *more]


def test_what_is_kept_is_not_run_again_and_seeds_come_in_turn(tmp_path: Path, ran: list[str]) -> None:
    assert results.main(_typed(tmp_path, "--arms", "nft", "dpo", "--seeds", "1")) == 0
    assert results.main(_typed(tmp_path, "--arms", "nft", "crd", "--seeds", "1", "2")) == 0
    assert ran == ["nft 1", "dpo 1", "crd 1", "nft 2", "crd 2"]
    kept = read(tmp_path / "outcomes", "development")
    assert {(each.arm, each.seed) for each in kept} == {("nft", 1), ("dpo", 1), ("crd", 1), ("nft", 2), ("crd", 2)}


def test_an_outcome_of_another_recipe_is_replaced(tmp_path: Path, ran: list[str]) -> None:
    write(result("nft", 1, {"A": spread(0.5)}), tmp_path / "outcomes")
    assert results.main(_typed(tmp_path, "--arms", "nft", "--seeds", "1")) == 0
    assert ran == ["nft 1"]
    (kept,) = read(tmp_path / "outcomes", "development")
    assert kept.recipe_hash != "1c" * 32


def test_a_budget_that_changes_nothing_runs_nothing_and_one_split_says_nothing_of_another(
    tmp_path: Path, ran: list[str]
) -> None:
    for more in ((), ("--equal", "steps"), ("--equal", "clips"), ("--split", "seen")):
        assert results.main(_typed(tmp_path, "--arms", "nft", "--seeds", "1", *more)) == 0
    assert ran == ["nft 1", "nft 1"]
    assert [each.equal for each in read(tmp_path / "outcomes", "development")] == ["clips", "own", "steps"]


def test_who_measured_everything_has_measured_the_focus(tmp_path: Path, ran: list[str]) -> None:
    typed = _typed(tmp_path, "--arms", "dpo", "--seeds", "1")
    assert results.main(typed) == 0 and results.main([*typed, "--everything"]) == 0
    assert results.main(typed) == 0
    assert ran == ["dpo 1", "dpo 1"]
    assert _recipe(ARMS["dpo"], everything=True).measure.only_focus is False


def test_two_names_of_one_recipe_are_one_run(tmp_path: Path, ran: list[str]) -> None:
    names = ["offline re-weighting (raw)", "synthetic prompts only"]
    assert results.main(_typed(tmp_path, "--arms", *names, "--seeds", "1")) == 0
    assert ran == ["offline re-weighting (raw) 1"]
    assert sorted(each.arm for each in read(tmp_path / "outcomes", "development")) == names


def test_an_arm_that_cannot_be_run_stops_no_other_and_is_told(
    tmp_path: Path, ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert results.main(_typed(tmp_path, "--arms", "awm", "nft", "--seeds", "1")) == 1
    assert ran == ["nft 1"]
    assert "awm, seed 1 could not be run: no such thing here" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        results.main(["--arms", "ntf"])
    assert "no arm is called 'ntf'" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- the page


def test_the_page_is_made_from_what_is_kept_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, gain in (("crd", 0.1), ("dpo", 0.3), ("plain SFT", -0.3)):
        for seed in (1, 2):
            gains = {"A": spread(gain, seed=seed)} | ({"Other": spread(0.0)} if name == "crd" else {})
            write(result(name, seed, gains), tmp_path / "outcomes")
    write(result("nft", 1, {"A": spread(0.2)}, equal="forwards"), tmp_path / "outcomes")
    write(result("forgotten", 1, {"A": spread(0.2)}), tmp_path / "outcomes")
    monkeypatch.setattr(Laboratory, "run", None)
    page = tmp_path / "docs" / "results.md"
    assert results.main(_typed(tmp_path, "--write", "--out", str(page))) == 0
    story = page.read_text(encoding="utf-8")
    assert [line for line in story.splitlines() if line.startswith("#")] == ["# Results", "## At equal cost"]
    assert "| nft | not run | not run | not run | +22.9 (" in story and "[the full tables](results_tables.md)" in story
    text = page.with_name("results_tables.md").read_text(encoding="utf-8")
    assert "development prompts; seeds 1, 2;" in text and "forgotten" not in text + story
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles == [
        "# Results: the full tables",
        "## Objectives",
        "### Every dimension: crd",
        "## The paper's objectives",
        "## Equal forward passes",
    ]
    assert "| dpo | +3" in text and " | crd | +2" in text, "dpo is compared with crd"
    assert {each.name for each in (page.parent / "images").iterdir()} == {"forest.svg", "gain_by_clips.svg"}
    assert "](images/forest.svg)" in story


def test_nothing_kept_writes_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "results.md"
    with pytest.raises(SystemExit):
        results.main(_typed(tmp_path, "--write", "--out", str(page), "--split", "test"))
    assert "nothing is kept of test prompts" in capsys.readouterr().err and not page.exists()
