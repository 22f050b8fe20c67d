"""Runs whose judge is a reward server: killed, dying and lying servers lose nothing and make nothing up."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rushes.pipeline import improve
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.template import recipe_yaml
from rushes.recipe.weights import WeightsSpec
from rushes.records import Rating
from rushes.store.run import Run
from tests.support import odd_reward
from tests.support.gone import are_gone
from tests.support.sandbox_recipe import judge_spec
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

SERVED = PluginSpec(
    use="served", options={"server": "fake", "model": "fake/one@1", "scales": {"VQ": "points", "TA": "points"}}
)


def recipe_with(base: Recipe, mode: str, file: str = "", **limits: float) -> Recipe:
    command = shlex.join([sys.executable, odd_reward.__file__, mode, *filter(None, [file])])
    runtime = {**base.runtime.model_dump(), "rewards": {"fake": {"command": command, **limits}}}
    weights = WeightsSpec.model_validate({"kind": "exponential", "temperature": 1.0})
    recipe = base.model_copy(update={"judge": judge_spec(judge=SERVED), "weights": weights})
    return Recipe.model_validate({**recipe.model_dump(), "runtime": runtime})


def ratings(home: Path) -> dict[str, Rating]:
    with Run.view(home) as run:
        return {each.key: each for each in run.ratings.all()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def whole(base: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rating]:
    """What an undisturbed server gives."""
    home = tmp_path_factory.mktemp("whole") / "run"
    improve(recipe_with(base, "good"), home, until="judge", check_first=False)
    found = ratings(home)
    assert len(found) > 8 and all(each.value is not None for each in found.values())
    return found


@pytest.mark.parametrize("mode", ["dies", "garbage", "late", "hangs"])
def test_a_fault_in_the_middle_changes_no_record(
    mode: str, base: Recipe, whole: dict[str, Rating], tmp_path: Path
) -> None:
    recipe = recipe_with(base, mode, str(tmp_path / "was here"), **({"timeout_s": 1.0} if mode == "hangs" else {}))
    improve(recipe, tmp_path / "run", until="judge", check_first=False)
    assert (tmp_path / "was here").exists() and ratings(tmp_path / "run") == whole


def test_a_number_that_is_none_is_recorded_with_its_reason(base: Recipe, tmp_path: Path) -> None:
    improve(recipe_with(base, "nan"), tmp_path / "run", until="judge", check_first=False)
    found = ratings(tmp_path / "run").values()
    assert all(each.value is None for each in found if each.scale == "VQ")
    assert {each.unscored_reason for each in found if each.scale == "VQ"} == {
        "the value on VQ must be a finite number, got nan"
    }
    assert all(each.value == 1.0 for each in found if each.scale == "TA")


def test_no_server_is_left_when_the_stage_is_over(base: Recipe, tmp_path: Path) -> None:
    """Its model would hold the GPU's memory while another is trained."""
    improve(recipe_with(base, "child", str(tmp_path / "pids")), tmp_path / "run", until="judge", check_first=False)
    assert are_gone([int(each) for each in (tmp_path / "pids").read_text().split()])


@pytest.mark.slow
def test_a_run_killed_while_it_judges_resumes_with_the_same_records(
    base: Recipe, whole: dict[str, Rating], tmp_path: Path
) -> None:
    home = tmp_path / "run"
    recipe = recipe_with(base, "good")
    improve(recipe, home, until="generate", check_first=False)
    (tmp_path / "recipe.yaml").write_text(recipe_yaml(recipe_with(base, "slow")), encoding="utf-8")
    code = f"""
from pathlib import Path
from rushes.pipeline import improve
from rushes.recipe.load import load_recipe
improve(load_recipe({str(tmp_path / "recipe.yaml")!r}), Path({str(home)!r}), until="judge", check_first=False)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None and not ratings(home):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = ratings(home)
    assert 0 < len(before) < len(whole)
    improve(recipe, home, until="judge", check_first=False)
    assert ratings(home) == whole
