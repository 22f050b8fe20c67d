"""The Wan adapter against the stock pipeline: same text states, same latents, same pixels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.errors import RecipeError
from rushes.families import loaded
from rushes.families.folder import as_loaded, fingerprint_of
from rushes.families.load import load_family
from rushes.families.texts import TextStates
from rushes.families.wan import Wan, latent_size, make_scheduler
from rushes.families.weights import hash_model
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.records import SamplerSettings
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

SAMPLER = SamplerSettings(num_steps=2, guidance_scale=3.0, shift=2.0, scheduler="UniPCMultistepScheduler")
TEXTS = ["a red circle moves up", "a blue square"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def wan(folder: Path) -> Wan:
    family = load_family(BaseModelSpec(model=str(folder), max_tokens=8))
    assert isinstance(family, Wan)
    return family


def test_kept_latents_decode_to_the_pipelines_own_video(wan: Wan) -> None:
    latents = wan.sample(TEXTS, [5, 6], SAMPLER, TINY_SHAPE)
    noise = wan.noise((5, 6), wan.latent_shape(TINY_SHAPE))
    wan.pipeline.scheduler = make_scheduler(SAMPLER)
    stock = wan.pipeline(
        prompt=TEXTS,
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=2,
        guidance_scale=3.0,
        latents=noise,
        output_type="np",
        max_sequence_length=8,
    ).frames
    ours = np.stack(wan.decode(latents))
    assert ours.shape == (2, 5, 32, 32, 3) and ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, (np.asarray(stock) * 255).round().astype(np.uint8))


def test_a_clip_depends_on_its_own_seed_alone(wan: Wan) -> None:
    together = wan.sample(TEXTS, [5, 6], SAMPLER, TINY_SHAPE)
    alone = wan.sample(TEXTS[1:], [6], SAMPLER, TINY_SHAPE)
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)
    assert float((together[1:] - wan.sample(TEXTS[1:], [7], SAMPLER, TINY_SHAPE)).abs().max()) > 0.1


def test_text_is_padded_with_zeros_and_encoded_once_per_text(wan: Wan) -> None:
    states = wan.encode_text(["a red circle", "", "a red circle"]).states_BLD
    assert states.shape == (3, 8, 16)
    assert torch.equal(states[0], states[2])
    assert float(states[0, 4:].abs().max()) == 0.0 and float(states[1, 1:].abs().max()) == 0.0


def read_by(wan: Wan, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the text encoder reads from now on, call by call; nothing is remembered yet."""
    calls: list[list[str]] = []
    read = Wan.read_texts

    def noted(self: Wan, texts: list[str]) -> TextStates:
        calls.append(texts)
        return read(self, texts)

    monkeypatch.setattr(Wan, "read_texts", noted)
    wan.remembered.clear()
    return calls


def test_takes_of_a_prompt_are_generated_from_one_reading_to_the_same_bits(
    wan: Wan, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = read_by(wan, monkeypatch)
    anew = []
    for seed in (5, 6, 7):
        wan.remembered.clear()
        anew.append(wan.sample(TEXTS[:1], [seed], SAMPLER, TINY_SHAPE))
    assert len(calls) == 6  # the prompt and the negative one, each time
    wan.remembered.clear()
    calls.clear()
    once = [wan.sample(TEXTS[:1], [seed], SAMPLER, TINY_SHAPE) for seed in (5, 6, 7)]
    assert sorted(calls) == [[SAMPLER.negative_prompt], TEXTS[:1]]
    assert all(torch.equal(one, other) for one, other in zip(once, anew, strict=True))


def test_a_batch_is_read_as_if_nothing_had_been_read_before(wan: Wan, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = read_by(wan, monkeypatch)
    wan.encode_text(TEXTS[:1])
    wan.encode_text([TEXTS[1], TEXTS[0], TEXTS[1]])
    assert calls == [TEXTS[:1], TEXTS[::-1]], "beside others the last bits of a text may differ"
    states = wan.encode_text(TEXTS[::-1])
    assert len(calls) == 2 and states.states_BLD.is_contiguous()
    states.states_BLD.zero_()
    assert float(wan.encode_text(TEXTS[::-1]).states_BLD.abs().max()) > 0, "what is handed out is a copy"


def test_what_was_not_asked_for_longest_is_forgotten_first(wan: Wan, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = read_by(wan, monkeypatch)
    size = wan.encode_text(["a"]).states_BLD.nbytes
    monkeypatch.setattr(loaded, "MAX_REMEMBERED_BYTES", 2 * size)
    for text in ("b", "a", "c", "a", "b"):
        wan.encode_text([text])
    assert calls == [["a"], ["b"], ["c"], ["b"]]
    assert list(wan.remembered) == [("a",), ("b",)]
    monkeypatch.setattr(loaded, "MAX_REMEMBERED_BYTES", 0)
    wan.encode_text(["d"])
    assert list(wan.remembered) == [("d",)], "what is in use stays"


def test_kept_texts_are_not_held_twice(wan: Wan, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = read_by(wan, monkeypatch)
    wan.encode_text(["e"])
    assert wan.keep_texts(["e", "f"]) == ["e", "f"]
    assert list(wan.remembered) == [("e",)] and calls == [["e"], ["e", "f"]]
    wan.encode_text(["f", "e"])
    assert len(calls) == 2
    wan.forget_texts(["e", "f"])


def test_encode_gives_normalised_latents_of_the_right_size(wan: Wan) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    assert wan.encode([frames, frames]).shape == (2, 4, 2, 4, 4)


@pytest.mark.parametrize(
    ("frames", "height", "nearest"),
    [(16, 64, "num_frames=17.*height_px=64.*width_px=64"), (17, 70, "num_frames=17.*height_px=64")],
)
def test_an_impossible_shape_names_the_nearest_legal_one(frames: int, height: int, nearest: str) -> None:
    with pytest.raises(RecipeError, match=nearest):
        latent_size(ShapeSpec(num_frames=frames, height_px=height))


def test_the_papers_shape_is_legal() -> None:
    assert latent_size(ShapeSpec(num_frames=81, height_px=480, width_px=832)) == (21, 60, 104)


def test_an_unknown_scheduler_is_refused() -> None:
    with pytest.raises(RecipeError, match="DDIMScheduler"):
        make_scheduler(SAMPLER.model_copy(update={"scheduler": "DDIMScheduler"}))


def test_the_fingerprint_follows_the_weights(folder: Path, wan: Wan, tmp_path: Path) -> None:
    spec = BaseModelSpec(model=str(folder), max_tokens=8)
    assert wan.fingerprint == fingerprint_of(spec) == as_loaded(spec, hash_model(folder))
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"other")
    assert hash_model(other) != wan.fingerprint
