"""Two small finished things to export: a whole run that trained an adapter, and a checkpoint of all weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline
from torch import Tensor

from rushes.export.base import Base, find_base
from rushes.export.source import Source, choose
from rushes.families.folder import fingerprint_of
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from rushes.records import Checkpoint
from rushes.store.run import Run
from tests.support.judged import key
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

RANK = 4


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model."""
    return make_tiny_wan(tmp_path_factory.mktemp("base") / "wan")


@pytest.fixture(scope="session")
def lora_home(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two rounds that trained adapters of rank 4 with alpha 8."""
    recipe = tiny_recipe(model_folder, num_rounds=2)
    train = recipe.train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=2 * RANK), "learning_rate": 0.05})
    home = tmp_path_factory.mktemp("runs") / "lora"
    improve(recipe.model_copy(update={"train": train, "name": "Night <shoot> | `one`"}), home)
    return home


@pytest.fixture(scope="session")
def full_home(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unfinished run with one checkpoint in which every weight moved."""
    home = tmp_path_factory.mktemp("runs") / "full"
    add_checkpoint(home, tiny_recipe(model_folder), moved(model_folder))
    return home


def moved(model_folder: Path) -> dict[str, Tensor]:
    """The base's weights, each moved a little in every direction."""
    generator = torch.Generator().manual_seed(3)
    before = WanPipeline.from_pretrained(str(model_folder)).transformer.state_dict()
    return {name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in sorted(before.items())}


def add_checkpoint(home: Path, recipe: Recipe, weights: dict[str, Tensor], *, parent: str | None = None) -> Checkpoint:
    """Land a checkpoint in a run folder; its parent is the base unless another is named."""
    with Run.open(home, recipe) as run:
        (home / "recipe.yaml").exists() or (home / "recipe.yaml").write_text(json.dumps(recipe.model_dump(mode="json")))
        checkpoint = Checkpoint(
            key=key("checkpoint", str(home), parent, len(run.checkpoints.all())),
            step=1,
            kind="full" if recipe.train.lora is None else "lora",
            ema=False,
            parent=parent or fingerprint_of(recipe.base),
            weights=run.blobs.put_tensors(weights),
            seconds=1.0,
        )
        run.checkpoints.land([checkpoint])
    return checkpoint


@pytest.fixture
def lora(lora_home: Path) -> Iterator[Source]:
    with Run.view(lora_home) as run:
        yield choose(run)


@pytest.fixture
def full(full_home: Path) -> Iterator[Source]:
    with Run.view(full_home) as run:
        yield choose(run)


@pytest.fixture
def base(lora: Source) -> Base:
    return find_base(lora)


def load(model_folder: Path) -> WanPipeline:
    pipeline = WanPipeline.from_pretrained(str(model_folder))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tuned_pipeline(source: Source, model_folder: Path) -> WanPipeline:
    """The pipeline as the run itself measured it."""
    pipeline = load(model_folder)
    pipeline.transformer.load_state_dict(source.run.blobs.read_tensors(source.weights))
    return pipeline


def generate(pipeline: WanPipeline) -> Tensor:
    """Latents of one clip, always from the same noise."""
    noise = torch.randn((1, 4, 2, 4, 4), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return pipeline(
            prompt="a red circle moves to the left",
            negative_prompt="",
            height=32,
            width=32,
            num_frames=5,
            num_inference_steps=2,
            guidance_scale=2.0,
            latents=noise,
            output_type="latent",
            max_sequence_length=16,
        ).frames
