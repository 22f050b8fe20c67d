"""Two transformers by noise level in every form of export: a file or folder for each that was tuned, read by others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from rushes.export.base import Base
from rushes.export.dialects import Dialect
from rushes.export.full import export_merged, export_pipeline, export_transformer
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.snippet import make_snippet
from rushes.export.source import choose
from rushes.families.experts import PARTS, Expert, named
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.recipe.train import LoraSpec
from rushes.store.run import Run
from tests.support.sandbox_recipe import measure_spec, sandbox_recipe
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint
from tests.unit.export.test_families import RANK, generate, tuned_weights

A14B = TINY["wan-a14b"]
EITHER: Sequence[tuple[Expert, ...]] = [("high", "low"), ("low",), ("high",)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return A14B.save(tmp_path_factory.mktemp("model"))


def tuned(folder: Path, home: Path, experts: Sequence[Expert]) -> tuple[Family, Tensor, Tensor]:
    """A run that has tuned these experts by adapters; a fresh model, its clip, and the tuned one's."""
    family, recipe = load_family(A14B.base(folder)), tiny_recipe(folder)
    plain = generate(family, A14B)
    parts = [named(tuned_weights(family.tuning(each)), PARTS[each]) for each in experts]
    train = recipe.train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=3)})
    one = sandbox_recipe(name="a", base=A14B.base(folder), train=train)
    made = add_checkpoint(home, one, parts[0])
    if len(parts) > 1:
        with Run.open(home, one) as run:
            run.checkpoints.drop([made.key])
            run.checkpoints.land([made.model_copy(update={"weights_2": run.blobs.put_tensors(parts[1])})])
    for part in parts:
        family.load_weights(part)
    return load_family(A14B.base(folder)), plain, generate(family, A14B)


def is_near(found: Tensor, wanted: Tensor, plain: Tensor) -> bool:
    assert (wanted - plain).norm() > 0.01
    return bool((found - wanted).norm() < 1e-3 * (wanted - plain).norm())


@pytest.mark.parametrize("experts", EITHER)
@pytest.mark.parametrize("dialect", ["diffusers", "comfyui", "kohya"])
def test_an_adapter_is_a_file_for_each(
    dialect: Dialect, experts: tuple[Expert, ...], folder: Path, tmp_path: Path
) -> None:
    family, plain, wanted = tuned(folder, tmp_path / "run", experts)
    with Run.view(tmp_path / "run") as run:
        fit = export_lora(choose(run), tmp_path / "lora", dialect, LoraOptions())
    assert fit.relative_error < 1e-3 and fit.energy > 0
    stem = "pytorch_lora_weights" if dialect == "diffusers" else f"a-{dialect}"
    files = {each: f"{stem}_{each}_noise.safetensors" for each in experts}
    assert {path.name for path in (tmp_path / "lora").iterdir()} == set(files.values())
    for each, name in files.items():
        into: dict[str, Any] = {"load_into_transformer_2": True} if each == "low" else {}
        family.pipeline.load_lora_weights(str(tmp_path / "lora"), weight_name=name, adapter_name=each, **into)
    assert is_near(generate(family, A14B), wanted, plain)


@pytest.mark.parametrize("experts", EITHER)
def test_all_weights_are_a_folder_or_a_file_for_each(experts: tuple[Expert, ...], folder: Path, tmp_path: Path) -> None:
    family, plain, wanted = tuned(folder, tmp_path / "run", experts)
    with Run.view(tmp_path / "run") as run:
        source = choose(run)
        export_transformer(source, tmp_path / "transformer", 1.0, torch.float32)
        export_pipeline(source, tmp_path / "pipeline", 1.0, torch.float32)
        export_merged(source, tmp_path / "merged", 1.0, torch.float32)
    assert is_near(generate(load_family(A14B.base(tmp_path / "pipeline")), A14B), wanted, plain)
    cls = type(family.transformer)
    assert {path.name for path in (tmp_path / "transformer").iterdir()} == {PARTS[each] for each in experts}
    for each in experts:
        part, file = PARTS[each], tmp_path / "merged" / f"a-merged_{each}_noise.safetensors"
        loaded = cls.from_pretrained(str(tmp_path / "transformer"), subfolder=part).state_dict()
        single = cls.from_single_file(str(file), config=str(folder), subfolder=part).state_dict()
        assert all(torch.equal(value, loaded[name]) for name, value in single.items())
        family.load_weights(named(loaded, part))
    assert is_near(generate(family, A14B), wanted, plain)


@pytest.mark.parametrize("form", ["lora", "transformer"])
def test_the_code_of_a_card_loads_both(
    form: Literal["lora", "transformer"], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plain, wanted = tuned(folder, tmp_path / "run", ("high", "low"))
    place = tmp_path / "made"
    with Run.view(tmp_path / "run") as run:
        if form == "lora":
            export_lora(choose(run), place, "diffusers", LoraOptions())
        else:
            export_transformer(choose(run), place, 1.0, torch.float32)
        found = tuple(choose(run).tuned)
    sampler = A14B.sampler.model_copy(update={"guidance_scale_2": A14B.sampler.guidance_scale})
    recipe = sandbox_recipe(base=A14B.base(folder), shape=A14B.shape, measure=measure_spec(sampler=sampler))
    base = Base(folder, str(folder), is_on_hub=True)
    code = make_snippet(recipe, base, form, str(place), "a red circle moves up", 7, found).code
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    made = code.split("export_to_video(frames")[0].replace("pipeline(\n", 'pipeline(\n    output_type="latent",\n')
    exec(compile(made, "card", "exec"), names)
    assert "guidance_scale_2=" in code
    latents = torch.as_tensor(names["frames"])[None]
    assert is_near(latents, wanted, plain)
