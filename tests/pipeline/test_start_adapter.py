"""A run that begins with an adapter: tuned on top of it, or that itself continued; killed in between; exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rushes.errors import TrainingError
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.families.load import load_family
from rushes.pipeline import improve
from rushes.recipe.base import StartAdapterSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from rushes.records import Checkpoint
from rushes.store.run import Run
from rushes.train import loop
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import small

WAN = TINY["wan-2.1"]
TARGETS = ("to_q", "to_v")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WAN.save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of rank 2 on queries and values."""
    generator, tensors = torch.Generator().manual_seed(1), dict[str, torch.Tensor]()
    for name, module in load_family(WAN.base(folder)).transformer.named_modules():
        if name.endswith(TARGETS):
            rows, columns = module.weight.shape
            tensors[f"transformer.{name}.lora_A.weight"] = torch.randn(2, columns, generator=generator) * 0.2
            tensors[f"transformer.{name}.lora_B.weight"] = torch.randn(rows, 2, generator=generator) * 0.2
    path = tmp_path_factory.mktemp("adapter") / "own.safetensors"
    save_file(tensors, path, {"format": "pt"})
    return path


def recipe_of(folder: Path, file: Path | None, lora: LoraSpec) -> Recipe:
    recipe = small(WAN, folder)
    base = recipe.base.model_copy(update={"lora": None if file is None else StartAdapterSpec(file=str(file))})
    return recipe.model_copy(update={"base": base, "train": recipe.train.model_copy(update={"lora": lora})})


def checkpoints(home: Path) -> list[Checkpoint]:
    with Run.view(home) as run:
        return list(run.checkpoints.all())


def changes(home: Path, folder: Path) -> dict[str, torch.Tensor]:
    """What the only checkpoint has changed of the model without any adapter, by layer."""
    before = load_family(WAN.base(folder)).weights()
    with Run.view(home) as run:
        (made,) = run.checkpoints.all()
        after = run.blobs.read_tensors(made.weights)
    return {n: after[n] - before[n] for n in before if not torch.allclose(after[n], before[n], atol=1e-7)}


def rank_of(delta: torch.Tensor) -> int:
    singular = torch.linalg.svdvals(delta.double())
    return int((singular > 1e-4 * singular[0]).sum())


@pytest.mark.parametrize(("continues", "rank"), [(True, 2), (False, 4)])
def test_on_top_of_it_ranks_add_up_and_continued_it_keeps_its_own(
    continues: bool, rank: int, folder: Path, file: Path, tmp_path: Path
) -> None:
    lora = LoraSpec(rank=2, alpha=2, targets=TARGETS, continues=continues)
    assert improve(recipe_of(folder, file, lora), tmp_path / "run") is not None
    with_it = load_family(recipe_of(folder, file, lora).base)
    with Run.view(tmp_path / "run") as run:
        (made,) = run.checkpoints.all()
        assert made.parent == with_it.fingerprint
        assert {clip.model for clip in run.clips.all() if clip.origin == "model"} == {with_it.fingerprint, made.key}
        after = run.blobs.read_tensors(made.weights)
        fit = export_lora(choose(run), tmp_path / "lora", "diffusers", LoraOptions())
    assert fit.relative_error < 1e-3 and fit.max_rank == rank, "of the plain base: the adapter is in the file"
    found = changes(tmp_path / "run", folder)
    assert found and all(name.removesuffix(".weight").endswith(TARGETS) for name in found)
    assert max(map(rank_of, found.values())) == rank
    moved = [n for n, value in with_it.weights().items() if float((after[n] - value).abs().max()) > 1e-4]
    assert moved and set(moved) <= set(found), "tuning goes on from the base with its adapter"
    far = max(float((after[n] - value).abs().max()) for n, value in with_it.weights().items())
    assert far < 0.05, "three small steps do not undo it"


def test_a_killed_run_goes_on_with_the_same_dropout(
    folder: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(folder, file, LoraSpec(rank=2, alpha=2, targets=TARGETS, continues=True, dropout=0.5))
    backward, done = loop._backward, list[int]()

    def killed(job: loop.Job, step: object, number: int) -> object:
        done.append(number)
        if number == 2 and done.count(2) == 1:
            raise KeyboardInterrupt
        return backward(job, step, number)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_backward", killed)
    with pytest.raises(KeyboardInterrupt):
        improve(recipe, tmp_path / "run", until="train")
    improve(recipe, tmp_path / "run", until="train")
    assert done == [0, 1, 2, 2]
    improve(recipe, tmp_path / "at once", until="train")
    (resumed,), (at_once,) = checkpoints(tmp_path / "run"), checkpoints(tmp_path / "at once")
    assert resumed.content() == at_once.content()
    plain = recipe_of(folder, file, LoraSpec(rank=2, alpha=2, targets=TARGETS, continues=True))
    improve(plain, tmp_path / "at once", until="train", allow_change=True)
    assert len({json.dumps(each.weights.sha256) for each in checkpoints(tmp_path / "at once")}) == 2


@pytest.mark.parametrize(
    ("lora", "has_file", "problem", "step"),
    [
        (LoraSpec(rank=4, alpha=4, targets=TARGETS, continues=True), True, "does not fit", "train.lora.rank=2"),
        (LoraSpec(rank=2, alpha=2, continues=True), False, "does not fit", "continues=false"),
        (LoraSpec(rank=2, alpha=2, targets=("to_q", "nowhere")), False, "none of the layers", "train.lora.targets"),
    ],
)
def test_what_cannot_be_continued_is_refused(
    lora: LoraSpec, has_file: bool, problem: str, step: str, folder: Path, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=problem) as refused:
        improve(recipe_of(folder, file if has_file else None, lora), tmp_path / "run", until="train", check_first=False)
    assert step in str(refused.value)
