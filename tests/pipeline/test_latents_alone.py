"""Clips to train on that nobody looks at: neither decoded nor judged, and decoded when a later recipe wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rushes.errors import StoreError
from rushes.export.dataset import export_dataset
from rushes.families.wan import Wan
from rushes.pipeline import improve
from rushes.plan.status import read_status
from rushes.recipe.recipe import Recipe
from rushes.recipe.weights import WeightsSpec
from rushes.records import Clip, Sample
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


def _plain(model: Path, *, decode: bool) -> Recipe:
    tiny = tiny_recipe(model)
    generate = tiny.generate.model_copy(update={"decode": decode, "latents": "sampler"})
    return tiny.model_copy(update={"generate": generate, "weights": WeightsSpec(kind="uniform")})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def home(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("runs") / "run"
    assert improve(_plain(model, decode=False), home) is not None
    return home


def _own(home: Path) -> list[Clip]:
    with Run.view(home) as run:
        origin = {prompt.key: prompt.origin for prompt in run.prompts.all()}
        return [clip for clip in run.clips.all() if origin[clip.prompt_key] == "weakness"]


def test_own_clips_are_latents_that_nobody_judged_and_the_rest_is_looked_at(home: Path) -> None:
    own = _own(home)
    assert own and all(clip.video is None and clip.latents is not None for clip in own)
    keys = {clip.key for clip in own}
    with Run.view(home) as run:
        assert all(clip.video is not None for clip in run.clips.all() if clip.key not in keys)
        asked = {answer.clip_key for answer in run.answers.all()}
        samples = run.read_derived("samples-0", Sample) or []
    assert asked and not asked & keys
    assert {each.clip_key for each in samples if each.source == "own"} == keys
    assert {each.weight for each in samples} == {1.0}
    stages = {stage.stage: stage for stage in read_status(home).stages}
    assert stages["answers"].num_done == stages["answers"].num_total
    assert "were not judged" in (home / "report.html").read_text(encoding="utf-8")


def test_a_later_recipe_decodes_them_and_samples_nothing_anew(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "run"
    assert improve(_plain(model, decode=False), home, until="generate") is None
    assert improve(_plain(model, decode=True), tmp_path / "straight", until="generate") is None

    def refuse(*_: object) -> None:
        raise AssertionError("nothing must be sampled")

    with monkeypatch.context() as patched:
        patched.setattr(Wan, "sample", refuse)
        assert improve(_plain(model, decode=True), home, until="generate", allow_change=True) is None
    straight = {(clip.prompt_key, clip.seed_index): clip for clip in _own(tmp_path / "straight")}
    decoded = [clip for clip in _own(home) if clip.video is not None]
    assert len(decoded) == len(straight)
    for clip in decoded:
        assert clip.content() == straight[clip.prompt_key, clip.seed_index].content()


def test_what_needs_frames_says_how_to_get_them(home: Path, tmp_path: Path) -> None:
    with Run.view(home) as run, pytest.raises(StoreError, match=r"never decoded[\s\S]*generate\.decode=true"):
        export_dataset(run, tmp_path / "data", which="trained", on_clip=lambda *_: None)
    with Run.view(home) as run:
        assert export_dataset(run, tmp_path / "all", which="all", on_clip=lambda *_: None) > 0


@pytest.mark.parametrize(
    "change", [{"weights": {"kind": "raw"}}, {"train": {"objective": {"kind": "nft"}}}, {"generate": {}}]
)
def test_a_recipe_that_needs_the_judge_is_refused(change: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"generate": {"decode": False, "latents": "sampler"}, "weights": {"kind": "uniform"}}
    assert sandbox_recipe(**plain).generate.decode is False
    if "generate" in change:
        change = {"generate": {"decode": False}}
    with pytest.raises(ValidationError, match=r"generate\.decode: false"):
        sandbox_recipe(**{**plain, **change})
