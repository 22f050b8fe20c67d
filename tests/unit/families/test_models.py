"""The base model and the weights that a stage asks for, in whichever process that is."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.folder import fingerprint_of
from rushes.families.load import load_family
from rushes.families.models import Model, Models
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.store.blobs import Blobs
from tests.support.tiny_recipe import SAMPLER
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

TEXTS = ["", "a red circle moves to the left"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModelSpec:
    return BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=16)


def models(base: BaseModelSpec, folder: Path, **runtime: bool) -> Models:
    return Models(base, RuntimeSpec(num_threads=1, **runtime), [TINY_SHAPE], Blobs(folder / "blobs"))  # type: ignore[arg-type]


@pytest.mark.parametrize("frees", [True, False])
def test_a_worker_frees_the_text_encoder_where_the_recipe_says_so(
    frees: bool, base: BaseModelSpec, tmp_path: Path
) -> None:
    worker = pickle.loads(pickle.dumps(models(base, tmp_path, free_text_encoder=frees)))
    family = worker.with_weights(worker.base, TEXTS)
    assert (family.pipeline.text_encoder is None) == frees
    made = family.sample(TEXTS[1:], [3], SAMPLER, TINY_SHAPE)
    assert (family.pipeline.text_encoder is None) == frees, "the texts of the stage had to be kept"
    assert torch.allclose(made, load_family(base).sample(TEXTS[1:], [3], SAMPLER, TINY_SHAPE), atol=1e-5)


def test_weights_are_swapped_in_one_pipeline_and_the_base_comes_back(base: BaseModelSpec, tmp_path: Path) -> None:
    here = models(base, tmp_path)
    before = {name: value.clone() for name, value in here.family.transformer.state_dict().items()}
    other = {name: value + 1 for name, value in before.items()}
    tuned = Model("tuned", Blobs(tmp_path / "blobs").put_tensors(other))
    for model, expected in ((tuned, other), (here.base, before), (tuned, other)):
        family = here.with_weights(model)
        assert family is here.family
        found = family.transformer.state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_base_is_named_by_its_files_and_nothing_is_loaded_for_that(base: BaseModelSpec, tmp_path: Path) -> None:
    here = models(base, tmp_path)
    assert here.base == Model(fingerprint_of(base) or "", None)
    assert "family" not in vars(here)


def test_what_was_loaded_here_stays_here(base: BaseModelSpec, tmp_path: Path) -> None:
    here = models(base, tmp_path)
    assert here.family
    assert not {"family", "base"} & vars(pickle.loads(pickle.dumps(here))).keys()


def test_a_shape_that_the_model_cannot_make_is_told_when_it_is_loaded(base: BaseModelSpec, tmp_path: Path) -> None:
    shapes = [TINY_SHAPE, TINY_SHAPE.model_copy(update={"num_frames": 4})]
    with pytest.raises(RecipeError, match="num_frames"):
        _ = Models(base, RuntimeSpec(num_threads=1), shapes, Blobs(tmp_path / "blobs")).family
