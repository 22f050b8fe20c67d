"""The same tuning for every objective: six configurations each, one rule, nothing run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import results, tuning
from lab.arms import OBJECTIVES, Arm
from lab.outcomes import Result, read
from lab.runs import Laboratory
from rushes.records import Record
from tests.support.outcomes import exactly, result

ARMS = tuning.tunable()
GAINS = {"lr 2.0e-4, strength 0.5": 0.1, "lr 8.0e-4, strength 1.0": 0.3}
"""What these gain; the other configurations gain nothing."""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that would have been made."""
    names: list[str] = []

    def run(self: Laboratory, arm: Arm, seed: int, on_progress: object) -> Result:
        names.append(f"{arm.name} {seed}")
        assert self.split == "development"
        gain = next((gain for said, gain in GAINS.items() if arm.name.endswith(said)), 0.0)
        made = result(arm.name, seed, {"A": exactly(gain, seed=seed)}, split=self.split)
        return made.model_copy(update={"recipe_hash": self.hash_of(arm, seed)})

    monkeypatch.setattr(Laboratory, "run", run)
    return names


def tune(folder: Path, *more: str) -> int:
    return tuning.main(["--outcomes", str(folder / "tuning"), "--home", str(folder / "runs"), *more])


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_gets_as_many_configurations_and_they_differ_in_what_their_names_say(name: str) -> None:
    found = tuning.configurations(ARMS[name])
    recipes = [Laboratory(Path("none"), "development").recipe(arm, 1) for arm in found]
    assert len(found) == tuning.NUM == 6 and len({recipe.model_dump_json() for recipe in recipes}) == 6
    for arm, recipe in zip(found, recipes, strict=True):
        said = dict(each.split(" ") for each in arm.name.removeprefix(f"{name}, ").split(", "))
        assert float(said["lr"]) == recipe.train.learning_rate
        objective: Record = recipe.train.objective
        strength = getattr(objective, "strength", None)
        assert float(said["shift"] if strength is None else said["strength"]) == (strength or recipe.train.shift)
        plain = Laboratory(Path("none"), "development").recipe(ARMS[name], 1)
        assert recipe.train.objective.kind == plain.train.objective.kind and recipe.weights == plain.weights


def test_all_objectives_are_tuned_and_the_papers_too() -> None:
    assert {*OBJECTIVES} < {*ARMS}
    assert len(ARMS) == len(OBJECTIVES) + 4


def test_a_tuning_resumes_and_its_best_configuration_becomes_an_arm(tmp_path: Path, ran: list[str]) -> None:
    assert tune(tmp_path, "--arms", "dpo") == 0
    assert len(ran) == 6 and tune(tmp_path, "--arms", "dpo") == 0 and len(ran) == 6
    assert tune(tmp_path, "--arms", "dpo", "--seeds", "1", "2") == 0
    assert len(ran) == 12, "only the second seed"
    assert len(read(tmp_path / "tuning", "development")) == 12 and read(tmp_path, "development") == []
    found = tuning.tuned_arms(tmp_path / "tuning")
    assert found.keys() == {"dpo, tuned"} and found["dpo, tuned"].versus == ""
    recipe = Laboratory(tmp_path, "test").recipe(found["dpo, tuned"], 1)
    assert (recipe.train.learning_rate, recipe.train.objective.strength) == (8e-4, 1.0)  # type: ignore[union-attr]
    tune(tmp_path, "--arms", "crd", "--seeds", "1", "2")
    assert tuning.tuned_arms(tmp_path / "tuning")["dpo, tuned"].versus == "crd, tuned"
    # Then it is an arm like others.
    typed = ["--outcomes", str(tmp_path), "--home", str(tmp_path / "runs"), "--arms", "dpo, tuned", "--seeds", "1"]
    assert results.main(typed) == 0
    assert [each.arm for each in read(tmp_path, "development")] == ["dpo, tuned"]


def test_nothing_is_chosen_from_less_than_six_or_from_other_seeds_or_another_recipe(
    tmp_path: Path, ran: list[str]
) -> None:
    tune(tmp_path, "--arms", "dpo", "--seeds", "1", "2")
    folder = tmp_path / "tuning"
    first, *others = sorted((folder / "development" / "own").glob("*.2.json"))
    for path in others:
        path.unlink()
    kept = sorted((folder / "development" / "own").glob("*.1.json"))
    text = kept[0].read_text(encoding="utf-8")
    assert tuning.tuned_arms(folder) == {}, "one configuration has two seeds, the others one"
    kept[0].unlink()
    assert tuning.tuned_arms(folder) == {}, "one has another seed"
    first.unlink()
    assert tuning.tuned_arms(folder) == {}, "one was not run"
    kept[0].write_text(text, encoding="utf-8")
    assert tuning.tuned_arms(folder).keys() == {"dpo, tuned"}
    made = Result.model_validate_json(text)
    kept[0].write_text(made.model_copy(update={"recipe_hash": "0" * 64}).model_dump_json(), encoding="utf-8")
    assert tuning.tuned_arms(folder) == {}, "one is of another recipe"
    assert "dpo: 1 runs" in tuning.plan({"dpo": ARMS["dpo"]}, [1], read(folder, "development"))


def test_the_plan_counts_what_is_left(tmp_path: Path, ran: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tune(tmp_path, "--plan", "--arms", "dpo", "nft")
    assert "dpo: 6 runs" in capsys.readouterr().out and not ran
    tune(tmp_path, "--arms", "dpo")
    capsys.readouterr()
    tune(tmp_path, "--plan", "--arms", "dpo", "nft", "--seeds", "1", "2")
    said = capsys.readouterr().out
    assert "dpo: 6 runs" in said and "nft: 12 runs" in said and "together 18 runs" in said
    assert "the 6 kept ones took 5.0 minutes each" in said


def test_the_section_is_put_between_its_marks_and_names_what_is_missing(tmp_path: Path, ran: list[str]) -> None:
    page = tmp_path / "lab.md"
    page.write_text("# Lab book\n\nBefore.\n", encoding="utf-8")
    tune(tmp_path, "--write", str(page))
    assert "dpo (0 of 6)" in page.read_text(encoding="utf-8") and not ran
    tune(tmp_path, "--arms", "dpo")
    page.write_text(page.read_text(encoding="utf-8") + "\nAfter.\n", encoding="utf-8")
    for _ in range(2):
        tune(tmp_path, "--write", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Lab book\n\nBefore.\n\n## ") and text.endswith("\nAfter.\n")
    assert text.count(tuning.MARK) == 2 and text.count("| dpo | lr ") == 6 and "dpo (" not in text
    assert "| dpo | lr 8.0e-4, strength 1.0 | **+30.0** | " in text and text.count("**") == 2
