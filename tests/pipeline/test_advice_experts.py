"""The next steps of errors about two transformers and about adapters, followed until nothing is wrong any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline
from torch import ones

from rushes.errors import InputError, RecipeError, TrainingError
from rushes.families.adapter import Factors, read_adapters
from rushes.families.trainable import add_adapter
from rushes.preflight.model import check_adapter, check_experts
from rushes.recipe.base import BaseModelSpec, StartAdapterSpec
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec, expert_problem
from rushes.train.adapter import continue_adapter
from rushes.train.stage import _experts
from tests.support.tiny_families import make_wan


def a_model(folder: Path, *, two: bool) -> Path:
    """The index alone: whether there are two transformers, and their boundary."""
    part = ["diffusers", "WanTransformer3DModel"]
    index = {"_class_name": "WanPipeline", "transformer": part, "transformer_2": part if two else [None, None]}
    (folder / "model_index.json").write_text(json.dumps({**index, "boundary_ratio": 0.875 if two else None}))
    return folder


def recipe_of(folder: Path, *overrides: str) -> Recipe:
    return load_recipe("tiny", [f"base.model={folder}", *overrides])


def step_of(text: str | None) -> str:
    """What follows `--set`, without quotes."""
    assert text is not None
    return text.partition("--set ")[2].partition(" takes ")[0].strip("'")


def test_tune_the_transformers_that_there_are(tmp_path: Path) -> None:
    folder = a_model(tmp_path, two=False)
    with pytest.raises(RecipeError) as refused:
        _experts(recipe_of(folder, "train.experts=low"))
    (found,) = check_experts(recipe_of(folder, "train.experts=low"))
    assert found.next_step == refused.value.next_step
    followed = recipe_of(folder, "train.experts=low", step_of(found.next_step))
    assert not list(check_experts(followed)) and _experts(followed) == ()


def test_tune_the_transformer_that_can_learn_the_objective(tmp_path: Path) -> None:
    folder, objective = a_model(tmp_path, two=True), "train.objective={kind: reward_gradient}"
    (found,) = check_experts(recipe_of(folder, objective))
    followed = recipe_of(folder, objective, step_of(found.next_step))
    assert not list(check_experts(followed)) and _experts(followed) == ("low",)
    spec, needs = followed.train, followed.train.objective.needs()  # type: ignore[union-attr]
    assert expert_problem(spec, needs, (0.875, 1.0)) and expert_problem(spec, needs, (0.0, 0.875)) is None


def test_take_a_rank_and_layers_that_fit() -> None:
    lora, factors = LoraSpec(rank=4, alpha=4, continues=True), Factors(ones(2, 24), ones(24, 2))
    adapter = {"blocks.0.attn1.to_q": factors}
    model = make_wan().transformer
    weights = dict(model.state_dict())
    add_adapter(model, lora, ["to_q"], autocast=False)
    with pytest.raises(TrainingError) as refused:
        continue_adapter(model, adapter, lora, weights)
    step = step_of(refused.value.next_step)
    assert step == "train.lora.rank=2"
    followed = load_recipe("tiny", ["train.lora={rank: 4, alpha: 4, continues: true}", step]).train.lora
    assert followed is not None
    model = make_wan().transformer
    add_adapter(model, followed, ["to_q"], autocast=False)
    assert continue_adapter(model, adapter, followed, weights) == {"blocks.0.attn1.to_q"}
    with pytest.raises(TrainingError) as refused:
        add_adapter(make_wan().transformer, LoraSpec(targets=("nowhere",)), ["nowhere"], autocast=False)
    usual = load_recipe("tiny", ["train.lora={targets: [nowhere]}", step_of(refused.value.next_step)]).train.lora
    assert usual is not None and usual.targets == ()


def test_do_without_an_adapter(tmp_path: Path) -> None:
    (found,) = check_adapter(recipe_of(tmp_path, "train.lora={continues: true}"))
    assert not list(check_adapter(recipe_of(tmp_path, "train.lora={continues: true}", step_of(found.next_step))))
    from safetensors.torch import save_file

    save_file({"blocks.9.lora_A.weight": torch.ones(2, 2)}, tmp_path / "it.safetensors")
    networks, base = {"transformer": make_wan().transformer}, BaseModelSpec(model=str(tmp_path))
    for name in ("file", "file_2"):
        given = base.model_copy(update={"lora": StartAdapterSpec(**{name: str(tmp_path / "it.safetensors")})})
        with pytest.raises(InputError) as refused:
            read_adapters(given, WanPipeline, networks)  # type: ignore[arg-type]
        step = step_of(refused.value.next_step)
        file = "" if name == "file" else f"base.lora.file={tmp_path}/it.safetensors"
        followed = recipe_of(tmp_path, f"base.lora.{name}={tmp_path}/it.safetensors", *filter(None, [file]), step)
        assert followed.base.lora is None or followed.base.lora.file_2 is None
