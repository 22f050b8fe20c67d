"""What a worker builds for itself."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from rushes.elsewhere import generator_builder
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.store.blobs import Blobs
from tests.support.tiny_recipe import SAMPLER
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

TEXTS = ["", "a red circle moves to the left"]


@pytest.mark.parametrize("frees", [True, False])
def test_a_worker_frees_the_text_encoder_where_the_recipe_says_so(frees: bool, tmp_path: Path) -> None:
    base = BaseModelSpec(model=str(make_tiny_wan(tmp_path / "model")), max_tokens=16)
    runtime = RuntimeSpec(free_text_encoder=frees, num_threads=1)
    builder = generator_builder(base, runtime, None, Blobs(tmp_path / "blobs"), TEXTS, TINY_SHAPE)
    family = pickle.loads(pickle.dumps(builder))().family
    assert (family.pipeline.text_encoder is None) == frees
    filmed = family.sample(TEXTS[1:], [3], SAMPLER, TINY_SHAPE)
    assert (family.pipeline.text_encoder is None) == frees, "the texts of the stage had to be kept"
    assert torch.allclose(filmed, load_family(base).sample(TEXTS[1:], [3], SAMPLER, TINY_SHAPE), atol=1e-5)
