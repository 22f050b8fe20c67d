"""A run that resumes in or after a training does not go through its clips again, unless anything of it is lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes import pipeline
from rushes.families.models import Model
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, Measurement
from rushes.store.run import Run
from rushes.train import rounds
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


class Halted(Exception):
    """The process ends here."""


class Counted:
    """Counts the rounds that are gone through, and ends the process when the tuned model is to be measured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.num_rounds, self.halts, self.halts_in_training, self._num_measured = 0, True, False, 0
        self._generate, self._measure, self._train = pipeline.generate, pipeline.measure, pipeline.watched_train
        monkeypatch.setattr(pipeline, "generate", self.generate)
        monkeypatch.setattr(pipeline, "measure", self.measure)
        monkeypatch.setattr(pipeline, "watched_train", self.train)
        monkeypatch.setattr(rounds, "commit", lambda: ("ab" * 20, False))  # as in a checkout without changes

    def generate(self, *arguments: Any) -> list[Clip]:
        self.num_rounds += 1
        return self._generate(*arguments)

    def train(self, *arguments: Any) -> Model:
        if self.halts_in_training:
            raise Halted
        return self._train(*arguments)

    def measure(self, *arguments: Any) -> Sequence[Measurement]:
        self._num_measured += 1
        if self.halts and self._num_measured == 2:  # the base comes first
            raise Halted
        return self._measure(*arguments)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


@pytest.fixture
def counted(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """A run in `tmp_path` that ended after its only round."""
    counted = Counted(monkeypatch)
    with pytest.raises(Halted):
        improve(recipe, tmp_path, check_first=False)
    assert counted.num_rounds == 1
    counted.halts = False
    return counted


def lose(home: Path, which: str) -> None:
    with contextlib.closing(sqlite3.connect(home / "records.sqlite")) as connection:
        connection.execute(f"DELETE FROM records WHERE rowid = (SELECT {which})")
        connection.commit()


OWN_CLIP = "max(rowid) FROM records WHERE name = 'clips' AND rowid < (SELECT rowid FROM records WHERE name = 'rounds')"


def test_a_finished_round_is_not_gone_through_again(counted: Counted, recipe: Recipe, tmp_path: Path) -> None:
    assert improve(recipe, tmp_path, check_first=False) is not None
    assert counted.num_rounds == 1


@pytest.mark.parametrize("which", [OWN_CLIP, "min(rowid) FROM records WHERE name = 'answers'"])
def test_what_is_lost_of_it_is_made_again(counted: Counted, recipe: Recipe, tmp_path: Path, which: str) -> None:
    with Run.view(tmp_path) as run:
        before = {each.key for each in (*run.clips.all(), *run.answers.all())}
    lose(tmp_path, which)
    assert improve(recipe, tmp_path, check_first=False) is not None
    assert counted.num_rounds == 2
    with Run.view(tmp_path) as run:
        assert before <= {each.key for each in (*run.clips.all(), *run.answers.all())}


def test_files_of_the_report_are_written_again(counted: Counted, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "derived" / "samples-0.json").unlink()
    assert improve(recipe, tmp_path, check_first=False) is not None
    assert counted.num_rounds == 2 and (tmp_path / "derived" / "samples-0.json").is_file()


@pytest.mark.parametrize("section", ["judge", "train", "weights", "generate"])
def test_a_changed_setting_makes_another_round(counted: Counted, recipe: Recipe, tmp_path: Path, section: str) -> None:
    changes = {
        "judge": {"aggregate": "minimum"},
        "train": {"num_steps": 7},
        "weights": {"min_effective": 0.3},
        "generate": {"num_takes": 3},
    }
    changed = getattr(recipe, section).model_copy(update=changes[section])
    other = recipe.model_copy(update={section: changed})
    improve(other, tmp_path, check_first=False, allow_change=True)
    assert counted.num_rounds == 2


def test_code_with_changes_of_no_commit_goes_through_all(
    counted: Counted, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "commit", lambda: ("ab" * 20, True))
    improve(recipe, tmp_path, check_first=False)
    assert counted.num_rounds == 2


# ---------------------------------------------------------------------------------------------- in training


@pytest.fixture
def training(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """A run in `tmp_path` that ended as its only training began."""
    counted = Counted(monkeypatch)
    counted.halts_in_training = True
    with pytest.raises(Halted):
        improve(recipe, tmp_path, check_first=False)
    assert counted.num_rounds == 1
    counted.halts = counted.halts_in_training = False
    return counted


def stored(home: Path) -> dict[str, set[str]]:
    with Run.view(home) as run:
        names = ("prompts", "clips", "answers", "measurements", "checkpoints")
        return {name: {each.key for each in run.tables()[name].all()} for name in names}


def test_a_round_that_waits_for_its_training_is_not_gone_through_again(
    training: Counted, recipe: Recipe, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert improve(recipe, tmp_path, check_first=False) is not None
    assert training.num_rounds == 1
    whole = tmp_path_factory.mktemp("whole")
    improve(recipe, whole, check_first=False)
    assert training.num_rounds == 2 and stored(whole) == stored(tmp_path)


AN_ANSWER = "min(rowid) FROM records WHERE name = 'answers'"


@pytest.mark.parametrize("change", ["answer", "file", "other", "until"])
def test_a_round_with_anything_missing_or_of_another_recipe_is_gone_through(
    training: Counted, recipe: Recipe, tmp_path: Path, change: str
) -> None:
    file = tmp_path / "derived" / "samples-0.json"
    before = file.read_bytes()
    if change == "answer":
        lose(tmp_path, AN_ANSWER)
    elif change == "file":
        file.unlink()
    elif change == "other":  # another recipe's samples lie in the same place
        other = recipe.model_copy(update={"weights": recipe.weights.model_copy(update={"kind": "uniform"})})
        training.halts_in_training = True
        with pytest.raises(Halted):
            improve(other, tmp_path, check_first=False, allow_change=True)
        training.halts_in_training, training.num_rounds = False, 1
        assert file.read_bytes() != before
    until = "judge" if change == "until" else None
    improve(recipe, tmp_path, check_first=False, allow_change=True, until=until)
    assert training.num_rounds == 2
    assert file.read_bytes() == before
