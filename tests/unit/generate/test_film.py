"""Filming: takes and their keys, clips with frames and latents in the store."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.generate.film import PipelineGenerator, copied, film, once, takes
from rushes.recipe.base import BaseModelSpec
from rushes.records import Clip, Prompt, SamplerSettings
from rushes.roles import Failed
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
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


def test_seeds_belong_to_the_prompt_and_keys_to_the_model() -> None:
    of_base = takes([PROMPT], model="base", sampler=SAMPLER, shape=TINY_SHAPE, num_takes=3)
    of_tuned = takes([PROMPT], model="tuned", sampler=SAMPLER, shape=TINY_SHAPE, num_takes=2)
    assert [w.payload.seed for w in of_base[:2]] == [w.payload.seed for w in of_tuned]
    assert len({w.payload.seed for w in of_base}) == 3
    assert not {w.key for w in of_base} & {w.key for w in of_tuned}


def shared_takes(num_other: int = 2, model: str = "base"):
    """Three takes of a prompt, and some of another one that shares its clips, and one take of a third."""
    other = PROMPT.model_copy(update={"key": "cd" * 32, "dimension": "Other"})
    alone = PROMPT.model_copy(update={"key": "ef" * 32, "text": "a blue square"})
    names = {PROMPT.key: "name", other.key: "name"}
    settings = {"model": model, "sampler": SAMPLER, "shape": TINY_SHAPE, "filmed_as": names}
    return [takes([each], num_takes=num, **settings) for each, num in ((PROMPT, 3), (other, num_other), (alone, 1))]


def test_prompts_that_share_their_clips_have_keys_of_their_own_and_one_film() -> None:
    one, other, alone = shared_takes()
    films = [[work.payload.film for work in each] for each in (one, other, alone)]
    assert films[0][:2] == films[1] and len(set(films[0])) == 3 and films[2][0] not in films[0]
    assert [work.payload.seed for work in one[:2]] == [work.payload.seed for work in other]
    assert len({work.key for each in (one, other, alone) for work in each}) == 6
    own = takes([PROMPT], model="base", sampler=SAMPLER, shape=TINY_SHAPE, num_takes=1)[0]
    assert own.key != one[0].key and own.payload.seed != one[0].payload.seed
    assert not {work.payload.film for work in shared_takes(model="tuned")[0]} & set(films[0])


def test_each_film_is_filmed_once_and_what_is_stored_is_never_filmed_again() -> None:
    one, other, alone = shared_takes()
    whole = [*one, *other, *alone]
    assert once(whole, {}, ()) == ([*one, *alone], other)
    assert once(whole, {}, {work.key for work in other}) == ([one[2], *other, *alone], one[:2])
    filmed = {work.payload.film: object() for work in one}
    assert once([*other, *alone], filmed, ()) == (alone, other)


def test_a_take_of_a_film_that_is_there_is_the_same_pixels_for_another_prompt(wan: Family, tmp_path: Path) -> None:
    one, other, _ = shared_takes()
    blobs = Blobs(tmp_path / "blobs")
    made = film(PipelineGenerator(wan), one[:1], blobs=blobs, model="base", sampler=SAMPLER, shape=TINY_SHAPE)
    (clip,) = made
    assert isinstance(clip, Clip)
    same, lacking = copied(other, {one[0].payload.film: clip})
    assert isinstance(same, Clip) and (same.key, same.prompt_key, same.dimension) == (other[0].key, "cd" * 32, "Other")
    assert (same.video, same.latents, same.seed, same.seconds) == (clip.video, clip.latents, clip.seed, 0.0)
    assert isinstance(lacking, Failed) and PROMPT.text in lacking.message


def test_a_filmed_clip_can_be_read_back_and_decoded(wan: Family, tmp_path: Path) -> None:
    work = takes([PROMPT], model=wan.fingerprint, sampler=SAMPLER, shape=TINY_SHAPE, num_takes=2)
    blobs = Blobs(tmp_path / "blobs")
    made = film(PipelineGenerator(wan), work, blobs=blobs, model=wan.fingerprint, sampler=SAMPLER, shape=TINY_SHAPE)
    clips = [clip for clip in made if isinstance(clip, Clip)]
    assert [clip.key for clip in clips] == [piece.key for piece in work]
    latents = torch.stack([blobs.read_tensors(clip.latents)["latents"] for clip in clips if clip.latents is not None])
    for clip, decoded in zip(clips, wan.decode(latents), strict=True):
        np.testing.assert_array_equal(decoded, blobs.read_video(clip.video))
        assert clip.origin == "model" and clip.sampler == SAMPLER and clip.seconds > 0
