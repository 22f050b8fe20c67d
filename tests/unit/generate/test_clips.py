"""Takes and their keys, and clips with frames and latents in the store."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.generate.clips import PipelineGenerator, decode_chunk, generate_chunk
from rushes.generate.takes import How, Take, copied, once, takes
from rushes.recipe.base import BaseModelSpec
from rushes.records import Clip, Prompt, SamplerSettings
from rushes.roles import Failed
from rushes.store.advance import Work
from rushes.store.blobs import Blobs
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

SAMPLER = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=2.0, scheduler="FlowMatchEulerDiscreteScheduler")
HOW = How("base", SAMPLER, TINY_SHAPE)
TUNED = replace(HOW, model="tuned")
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
    of_base = takes([PROMPT], 3, HOW)
    of_tuned = takes([PROMPT], 2, TUNED)
    assert [w.payload.seed for w in of_base[:2]] == [w.payload.seed for w in of_tuned]
    assert len({w.payload.seed for w in of_base}) == 3
    assert not {w.key for w in of_base} & {w.key for w in of_tuned}


def shared_takes(num_other: int = 2, how: How = HOW) -> list[list[Work[Take]]]:
    """Three takes of a prompt, and some of another one that shares its clips, and one take of a third."""
    one = PROMPT.model_copy(update={"seed_name": "name"})
    other = one.model_copy(update={"key": "cd" * 32, "dimension": "Other"})
    alone = PROMPT.model_copy(update={"key": "ef" * 32, "text": "a blue square"})
    return [takes([each], num, how) for each, num in ((one, 3), (other, num_other), (alone, 1))]


def test_prompts_that_share_their_clips_have_keys_of_their_own_and_one_output() -> None:
    one, other, alone = shared_takes()
    outputs = [[work.payload.output for work in each] for each in (one, other, alone)]
    assert outputs[0][:2] == outputs[1] and len(set(outputs[0])) == 3 and outputs[2][0] not in outputs[0]
    assert [work.payload.seed for work in one[:2]] == [work.payload.seed for work in other]
    assert len({work.key for each in (one, other, alone) for work in each}) == 6
    [own] = takes([PROMPT], 1, HOW)
    assert own.key != one[0].key and own.payload.seed != one[0].payload.seed
    assert not {work.payload.output for work in shared_takes(how=TUNED)[0]} & set(outputs[0])


def test_each_output_is_generated_once_and_never_again_when_it_is_stored() -> None:
    one, other, alone = shared_takes()
    whole = [*one, *other, *alone]
    assert once(whole, {}, ()) == ([*one, *alone], other)
    assert once(whole, {}, {work.key for work in other}) == ([one[2], *other, *alone], one[:2])
    there = {work.payload.output: object() for work in one}
    assert once([*other, *alone], there, ()) == (alone, other)


def test_a_take_whose_output_is_there_is_the_same_pixels_for_another_prompt(wan: Family, tmp_path: Path) -> None:
    one, other, _ = shared_takes()
    blobs = Blobs(tmp_path / "blobs")
    made = generate_chunk(PipelineGenerator(wan), one[:1], blobs=blobs, how=HOW)
    (clip,) = made
    assert isinstance(clip, Clip)
    same, lacking = copied(other, {one[0].payload.output: clip})
    assert isinstance(same, Clip) and (same.key, same.prompt_key, same.dimension) == (other[0].key, "cd" * 32, "Other")
    assert (same.video, same.latents, same.seed, same.seconds) == (clip.video, clip.latents, clip.seed, 0.0)
    assert isinstance(lacking, Failed) and PROMPT.text in lacking.message


def test_a_generated_clip_can_be_read_back_and_decoded(wan: Family, tmp_path: Path) -> None:
    work = takes([PROMPT], 2, HOW)
    blobs = Blobs(tmp_path / "blobs")
    made = generate_chunk(PipelineGenerator(wan), work, blobs=blobs, how=HOW)
    clips = [clip for clip in made if isinstance(clip, Clip)]
    assert [clip.key for clip in clips] == [piece.key for piece in work]
    latents = torch.stack([blobs.read_tensors(clip.latents)["latents"] for clip in clips if clip.latents is not None])
    for clip, decoded in zip(clips, wan.decode(latents), strict=True):
        np.testing.assert_array_equal(decoded, blobs.read_video(clip.video))
        assert clip.origin == "model" and clip.sampler == SAMPLER and clip.seconds > 0


def test_latents_that_were_kept_alone_are_decoded_to_the_same_clip(wan: Family, tmp_path: Path) -> None:
    blobs, generator = Blobs(tmp_path / "blobs"), PipelineGenerator(wan)
    undecoded = takes([PROMPT], 2, replace(HOW, decode=False))
    kept = generate_chunk(generator, undecoded, blobs=blobs, how=replace(HOW, decode=False))
    assert all(isinstance(clip, Clip) and clip.video is None and clip.latents is not None for clip in kept)
    work = takes([PROMPT], 2, HOW)
    there = {piece.key: clip for piece, clip in zip(work, kept, strict=True) if isinstance(clip, Clip)}
    found = decode_chunk(generator, work, undecoded=there, blobs=blobs, stored_as="lossless")
    for clip, whole in zip(found, generate_chunk(generator, work, blobs=blobs, how=HOW), strict=True):
        assert isinstance(clip, Clip) and isinstance(whole, Clip)
        assert clip.content() == whole.content()
