"""Filming: takes and their keys, clips with frames and latents in the store."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.families.load import load_wan
from rushes.families.wan import Wan
from rushes.generate.film import PipelineGenerator, film, takes
from rushes.records import Clip, Prompt, SamplerSettings
from rushes.specs import BaseModelSpec
from rushes.store.blobs import Blobs
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

SAMPLER = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=2.0, scheduler="FlowMatchEulerDiscreteScheduler")
PROMPT = Prompt(
    key="ab" * 32,
    text="a red circle moves up",
    base_text="a red circle moves up",
    dimension="Simple",
    origin="probe",
    index=0,
)


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Wan:
    return load_wan(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


def test_seeds_belong_to_the_prompt_and_keys_to_the_model() -> None:
    of_base = takes([PROMPT], model="base", sampler=SAMPLER, shape=TINY_SHAPE, num_takes=3)
    of_tuned = takes([PROMPT], model="tuned", sampler=SAMPLER, shape=TINY_SHAPE, num_takes=2)
    assert [w.payload.seed for w in of_base[:2]] == [w.payload.seed for w in of_tuned]
    assert len({w.payload.seed for w in of_base}) == 3
    assert not {w.key for w in of_base} & {w.key for w in of_tuned}


def test_a_filmed_clip_can_be_read_back_and_decoded(wan: Wan, tmp_path: Path) -> None:
    work = takes([PROMPT], model=wan.fingerprint, sampler=SAMPLER, shape=TINY_SHAPE, num_takes=2)
    blobs = Blobs(tmp_path / "blobs")
    made = film(PipelineGenerator(wan), work, blobs=blobs, model=wan.fingerprint, sampler=SAMPLER, shape=TINY_SHAPE)
    clips = [clip for clip in made if isinstance(clip, Clip)]
    assert [clip.key for clip in clips] == [piece.key for piece in work]
    latents = torch.stack([blobs.read_tensors(clip.latents)["latents"] for clip in clips if clip.latents is not None])
    for clip, decoded in zip(clips, wan.decode(latents), strict=True):
        np.testing.assert_array_equal(decoded, blobs.read_video(clip.video))
        assert clip.origin == "model" and clip.sampler == SAMPLER and clip.seconds > 0
