"""What leaves this process can leave it: a run whose chunks travel ends with the records of one that stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.context import executor_of, needs_of
from rushes.execute.ray import RayExecutor
from rushes.pipeline import improve
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Needs
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan
from tests.support.travelling import Travelling


def contents(home: Path) -> dict[tuple[str, str], object]:
    with Run.view(home) as run:
        return {(name, record.key): record.content() for name, t in run.tables().items() for record in t.all()}


def test_a_run_that_travels_ends_like_one_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_recipe(make_tiny_wan(tmp_path / "model"))
    improve(recipe, tmp_path / "stays")
    away = Travelling()
    monkeypatch.setattr("rushes.context.executor_of", lambda runtime: away)
    monkeypatch.chdir(tmp_path)  # a relative run folder must still be found by the workers
    improve(recipe, Path("travels"))
    assert contents(tmp_path / "travels") == contents(tmp_path / "stays")
    assert away.num_calls >= 8  # clips, answers and measurements, before, between and after


def test_the_recipe_chooses_the_executor_and_what_a_worker_needs() -> None:
    assert executor_of(RuntimeSpec()) is None
    chosen = executor_of(RuntimeSpec(executor="ray", num_workers=3, ray_address="auto"))
    assert chosen == RayExecutor(3, "auto")
    assert needs_of(RuntimeSpec(device="cuda:0", num_threads=4)) == Needs(num_cpus=4, num_gpus=1.0)
