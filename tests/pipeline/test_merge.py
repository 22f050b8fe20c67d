"""A result that keeps a share of what was trained: which weights it has, what is trained again, what is left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.families.models import Models
from rushes.pipeline import improve
from rushes.plan.counts import trained_steps
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from rushes.recipe.watch import WatchSpec
from rushes.records import Checkpoint
from rushes.store.check import examine, mend
from rushes.store.run import Run
from rushes.train.merge import unmerged_of
from rushes.watch.look import current
from tests.support.forked import forking
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

WATCH = WatchSpec(every=2, num_prompts=2, num_diversity_prompts=0, stop_after=None)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


def _with(recipe: Recipe, **settings: object) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=settings)})


def _results(home: Path) -> dict[float, Checkpoint]:
    with Run.view(home) as run:
        return {each.merge: each for each in run.checkpoints.all()}


def _weights(home: Path, checkpoint: Checkpoint) -> dict[str, Tensor]:
    with Run.view(home) as run:
        return run.blobs.read_tensors(checkpoint.weights)


def _base(recipe: Recipe, home: Path) -> dict[str, Tensor]:
    with Run.view(home) as run:
        models = Models(recipe.base, recipe.runtime, [recipe.shape], run.blobs)
        return models.weights(models.base)


def _num_trained(home: Path) -> int:
    with Run.view(home) as run:
        return sum(event["event"] == "training_set_up" for event in run.log.read())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lora", "ema_decay"), [(None, 0.0), (LoraSpec(rank=2, alpha=4), 0.9)], ids=["full", "lora and average"]
)
def test_every_weight_keeps_the_share_and_no_other_share_trains(
    lora: LoraSpec | None, ema_decay: float, recipe: Recipe, tmp_path: Path
) -> None:
    """Three shares of one training in one folder, the whole of it in the middle."""
    made = _with(recipe, lora=lora, ema_decay=ema_decay)
    for share in (0.3, 1.0, 0.75):
        improve(_with(made, merge=share), tmp_path, until="train", allow_change=True)
    assert _num_trained(tmp_path) == 1 and not list((tmp_path / "scratch").iterdir())
    found, base = _results(tmp_path), _base(made, tmp_path)
    trained = _weights(tmp_path, found[1.0])
    assert found[1.0].unmerged is None and len({each.weights.sha256 for each in found.values()}) == 3
    for share in (0.3, 0.75):
        assert found[share].unmerged == found[1.0].key and found[share].parent == found[1.0].parent
        for name, value in _weights(tmp_path, found[share]).items():
            torch.testing.assert_close(value, base[name] + share * (trained[name] - base[name]), atol=1e-7, rtol=1e-6)
            assert torch.equal(value, base[name]) == torch.equal(trained[name], base[name]), name
    with Run.view(tmp_path) as run:
        assert trained_steps(run) == made.train.steps
        assert run.checkpoints.get(found[1.0].key) == unmerged_of(run).get(found[1.0].key)


def test_the_exported_adapter_is_the_share_of_the_trained_one(recipe: Recipe, tmp_path: Path) -> None:
    made = _with(recipe, lora=LoraSpec(rank=2, alpha=2))
    changes: dict[float, dict[str, Tensor]] = {}
    for share in (1.0, 0.25):
        improve(_with(made, merge=share), tmp_path / "run", until="train", allow_change=True)
        key = _results(tmp_path / "run")[share].key
        with Run.view(tmp_path / "run") as run:
            fit = export_lora(choose(run, key), tmp_path / f"{share}", "diffusers", LoraOptions())
        assert fit.max_rank == 2 and fit.relative_error < 1e-3, "the rank does not grow"
        (path,) = (tmp_path / f"{share}").glob("*.safetensors")
        tensors = load_file(path)
        names = [name.removesuffix("lora_A.weight") for name in tensors if name.endswith("lora_A.weight")]
        changes[share] = {n: tensors[f"{n}lora_B.weight"] @ tensors[f"{n}lora_A.weight"] for n in names}
    assert changes[1.0] and changes[1.0].keys() == changes[0.25].keys()
    for name, change in changes[1.0].items():
        torch.testing.assert_close(changes[0.25][name], 0.25 * change, atol=1e-6, rtol=1e-3)


@pytest.mark.slow
def test_processes_and_rounds(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained by two processes, in two rounds: the second one starts from the first one's result and is merged with
    that."""
    forking(monkeypatch)
    made = _with(recipe, merge=0.5).model_copy(update={"num_rounds": 2})
    train = made.runtime.train.model_copy(update={"num_processes": 2})
    improve(made.model_copy(update={"runtime": made.runtime.model_copy(update={"train": train})}), tmp_path)
    with Run.view(tmp_path) as run:
        second = run.checkpoints.get(run.scorecard().tuned_model)  # type: ignore[union-attr]
        first = run.checkpoints.get(second.parent or "")
        assert run.checkpoints.num_records() == unmerged_of(run).num_records() == 2
        trained = unmerged_of(run).get(second.unmerged or "")
        assert trained.parent == first.key != first.unmerged
        assert len(choose(run).chain) == 2
    start, after = _weights(tmp_path, first), _weights(tmp_path, trained)
    for name, value in _weights(tmp_path, second).items():
        torch.testing.assert_close(value, 0.5 * (start[name] + after[name]), atol=1e-7, rtol=1e-6)
    assert examine(tmp_path).findings == ()


@pytest.mark.slow
def test_a_lost_result_is_merged_again_and_its_trained_weights_are_not_missed(recipe: Recipe, tmp_path: Path) -> None:
    made = _with(recipe, merge=0.5)
    improve(made, tmp_path)
    (result,) = _results(tmp_path).values()
    with Run.view(tmp_path) as run:
        (trained,) = unmerged_of(run).all()
        damaged = [run.blobs.path(each.weights) for each in (result, trained)]
    for path in damaged:
        path.write_bytes(b"damaged")
        mend(tmp_path, examine(tmp_path).findings)
        improve(made, tmp_path)
        assert _results(tmp_path) == {0.5: result} and _num_trained(tmp_path) == 1
    assert examine(tmp_path).findings == ()


@pytest.mark.slow
def test_what_is_watched_is_the_result(recipe: Recipe, tmp_path: Path) -> None:
    """The looks see merged weights; those of other checkpoints go with what they were merged from."""
    made = _with(recipe, merge=0.5).model_copy(update={"watch": WATCH})
    improve(made, tmp_path)
    with Run.view(tmp_path) as run:
        (result,) = run.checkpoints.all()
        (trained,) = unmerged_of(run).all()
        assert result.unmerged == trained.key and result.key in {each.model for each in current(run)}
        assert trained_steps(run) == made.train.steps
        kept = {path.stem for path in run.blobs.folder.glob("??/*.safetensors")}
        clips = {each.latents.sha256 for each in run.clips.all() if each.latents}
        assert {result.weights.sha256, trained.weights.sha256} <= kept
        assert not list((tmp_path / "scratch").iterdir())
        asked = {each.asked for each in current(run)}
    assert clips
    improve(_with(made, merge=1.0), tmp_path, allow_change=True)
    with Run.view(tmp_path) as run:
        looks = current(run)
        assert len(looks) == 4 and not asked & {each.asked for each in looks}, "two shares are two courses"
        assert run.scorecard().tuned_model in {each.model for each in looks}  # type: ignore[union-attr]
