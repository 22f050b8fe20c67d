"""What training reads, mapped from disk: the bits of clips and texts encoded in memory, and the same training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.train import TrainSpec
from rushes.records import Clip, Prompt, Sample, SamplerSettings
from rushes.store.blobs import Blobs
from rushes.train import material
from rushes.train.data import TrainingSet, step_batch
from rushes.train.job import Job
from rushes.train.lesson import Lesson
from rushes.train.loop import optimise
from rushes.train.material import latents, training_set
from rushes.train.network import make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from rushes.train.state import Trained
from tests.support.tiny_wan import make_tiny_wan

SPEC = TrainSpec(num_steps=3, batch_size=4, learning_rate=1e-2, warmup_steps=1, checkpoint_every=2, precision="float32")
SAMPLER = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=2.0, scheduler="FlowMatchEulerDiscreteScheduler")
TEXTS = ["a red circle moves up", "a blue square", "a ball"]


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("run") / "blobs")


@pytest.fixture(scope="module")
def prompts() -> dict[str, Prompt]:
    made = [
        Prompt(key=f"{i:064x}", text=text, base_text=text, dimension="x", origin="weakness", index=i)
        for i, text in enumerate(TEXTS)
    ]
    return {prompt.key: prompt for prompt in made}


@pytest.fixture(scope="module")
def clips(blobs: Blobs) -> dict[str, Clip]:
    """Six own clips with the sampler's latents, two of each prompt, and one real clip without."""
    random = np.random.default_rng(0)
    made = []
    for i in range(7):
        z = random.standard_normal((4, 2, 4, 4), dtype=np.float32)
        made.append(
            Clip(
                key=f"{100 + i:064x}", prompt_key=f"{i % 3:064x}", dimension="x", seed=0, seed_index=i // 3,
                model="real" if i == 6 else "base", origin="real" if i == 6 else "model",
                sampler=None if i == 6 else SAMPLER, height_px=32, width_px=32, num_frames=5, fps=8, seconds=0,
                video=blobs.put_video(random.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)),
                latents=None if i == 6 else blobs.put_arrays({"latents": z}),
            )
        )  # fmt: skip
    return {clip.key: clip for clip in made}


def lesson_of(clips: dict[str, Clip], *, reencode: bool = False) -> Lesson:
    samples = tuple(
        Sample(
            clip_key=clip.key,
            prompt_key=clip.prompt_key,
            weight=1.0,
            dimension="x",
            source="real" if clip.origin == "real" else "own",
        )
        for clip in clips.values()
    )
    return Lesson(samples=samples, parent="ab" * 32, start=None, spec=SPEC, reencode=reencode)


def train(wan: Family, data: TrainingSet, scratch: Path) -> Trained:
    scratch.mkdir()
    network = make_network(wan, None, None, autocast=False)
    objective = TrainingLoss(SPEC, build_objective(SPEC), None, torch.zeros(0), torch.zeros(0))
    return optimise(Job(network, data, objective, SPEC, seed=3), scratch)


@pytest.mark.parametrize("reencode", [False, True])
def test_mapped_is_what_memory_held_and_trains_to_the_same_bits(
    reencode: bool, wan: Family, blobs: Blobs, prompts: dict[str, Prompt], clips: dict[str, Clip], tmp_path: Path
) -> None:
    lesson = lesson_of(clips, reencode=reencode)
    shelf = tmp_path / "shelf"
    mapped = training_set(lesson, wan, blobs, clips, prompts, shelf)
    held = TrainingSet(  # as it was made before: everything in memory, a text for every sample
        z_0_NCThw=latents(list(clips.values()), wan, blobs, reencode),
        text=wan.encode_text([prompts[clip.prompt_key].text for clip in clips.values()]).float(),
        empty=mapped.empty,
        weight_N=mapped.weight_N,
        preference_N=mapped.preference_N,
        is_real_N=mapped.is_real_N,
    )
    assert torch.equal(mapped.z_0_NCThw, held.z_0_NCThw)
    assert len(mapped.text) == 3 and len(held.text) == 7
    assert torch.equal(mapped.texts(torch.arange(7)).states_BLD, held.text.states_BLD)
    for step in range(3):
        one, other = step_batch(mapped, SPEC, step, 1).batch, step_batch(held, SPEC, step, 1).batch
        assert torch.equal(one.z_0_BCTHW, other.z_0_BCTHW)
        assert torch.equal(one.text.states_BLD, other.text.states_BLD)
    if not reencode:
        from_map, from_memory = train(wan, mapped, tmp_path / "a"), train(wan, held, tmp_path / "b")
        assert from_map.progress.curves == from_memory.progress.curves
        assert all(torch.equal(value, from_memory.average[name]) for name, value in from_map.average.items())


def test_what_was_encoded_before_a_kill_is_not_encoded_again(
    wan: Family,
    blobs: Blobs,
    prompts: dict[str, Prompt],
    clips: dict[str, Clip],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lesson = lesson_of(clips, reencode=True)
    first = training_set(lesson, wan, blobs, clips, prompts, tmp_path)

    def refuse(*args: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(material, "_latents", refuse)
    again = training_set(lesson, wan, blobs, clips, prompts, tmp_path)
    assert torch.equal(first.z_0_NCThw, again.z_0_NCThw)


def test_large_clips_go_through_the_autoencoder_alone(
    wan: Family, blobs: Blobs, clips: dict[str, Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    encode = type(wan).encode
    monkeypatch.setattr(type(wan), "encode", lambda self, frames: sizes.append(len(frames)) or encode(self, frames))
    monkeypatch.setattr(material, "MAX_PIXELS", 2 * 5 * 32 * 32)
    latents(list(clips.values()), wan, blobs, True)
    monkeypatch.setattr(material, "MAX_PIXELS", 100)
    latents(list(clips.values())[:2], wan, blobs, True)
    assert sizes == [2, 2, 2, 1, 1, 1]


def test_what_is_not_known_of_a_clip_is_missing_and_partners_are_rows(
    wan: Family, blobs: Blobs, prompts: dict[str, Prompt], clips: dict[str, Clip], tmp_path: Path
) -> None:
    lesson = lesson_of(clips)
    first, second, *rest = lesson.samples
    known = {"score": 0.25, "preference": 0.75, "advantage": -1.5}
    first = first.model_copy(update={**known, "partner": second.clip_key})
    second = second.model_copy(update={"preference": None, "partner": "ff" * 32})
    data = training_set(replace(lesson, samples=(first, second, *rest)), wan, blobs, clips, prompts, tmp_path / "shelf")
    for name, value in known.items():
        found = data.column(name)  # type: ignore[arg-type]
        assert float(found[0]) == value and bool(found[1].isnan()), name
    assert data.partners.tolist() == [1, *[-1] * 6], "a take that is not trained on is no partner"
    assert data.groups.tolist() == [int(sample.prompt_key, 16) for sample in lesson.samples]
