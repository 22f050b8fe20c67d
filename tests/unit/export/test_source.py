"""Which checkpoint of a run is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.errors import InputError, StoreError
from rushes.export.source import choose
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import RANK, add_checkpoint, moved


def test_the_compared_checkpoint_of_a_finished_run_with_all_its_rounds(lora_home: Path) -> None:
    with Run.view(lora_home) as run:
        source = choose(run)
        scorecard = run.scorecard()
    assert scorecard is not None and source.checkpoint.key == scorecard.tuned_model
    assert [each.parent for each in source.chain[1:]] == [each.key for each in source.chain[:-1]]
    assert source.max_lora_rank == 2 * RANK


def test_an_earlier_round_by_the_beginning_of_its_key(lora_home: Path) -> None:
    with Run.view(lora_home) as run:
        first = choose(run).chain[0]
        source = choose(run, first.key[:10])
    assert source.chain == (first,)
    assert source.max_lora_rank == RANK


def test_a_run_without_a_checkpoint(model_folder: Path, tmp_path: Path) -> None:
    Run.open(tmp_path / "run", tiny_recipe(model_folder)).close()
    with Run.view(tmp_path / "run") as run, pytest.raises(StoreError, match=r"no finished checkpoint[\s\S]*status"):
        choose(run)


def test_no_checkpoint_of_that_key(full_home: Path) -> None:
    with Run.view(full_home) as run, pytest.raises(InputError, match="no checkpoint begins"):
        choose(run, "zzz")


def test_two_ends_of_an_unfinished_run(model_folder: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(model_folder)
    made = [add_checkpoint(tmp_path / "run", recipe, moved(model_folder)) for _ in range(2)]
    with Run.view(tmp_path / "run") as run:
        with pytest.raises(InputError, match="2 checkpoints that could be meant") as caught:
            choose(run)
        assert choose(run, made[1].key).checkpoint == made[1]
        with pytest.raises(InputError, match="several checkpoints begin"):
            choose(run, "")
    assert all(each.key[:12] in str(caught.value) for each in made)
