"""What is wrong with a `base.model` is said so that the user knows what to do."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from huggingface_hub import errors

from rushes.errors import InputError, RecipeError
from rushes.families.folder import family_of, hub_error
from rushes.families.load import channels_last, load_family
from rushes.recipe.base import BaseModelSpec
from tests.support.sandbox_recipe import MODEL
from tests.support.tiny_families import TINY
from tests.support.tiny_wan import make_tiny_wan

HTTP: Any = sys.modules[errors.Response.__module__.split(".")[0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("wan"))


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def test_the_folder_says_its_family(folder: Path, tmp_path: Path) -> None:
    assert family_of(BaseModelSpec(model=str(folder))) == "wan"
    assert family_of(BaseModelSpec(model=MODEL)) == "wan"
    broken = copied(folder, tmp_path / "model")
    (broken / "model_index.json").write_text(json.dumps({"_class_name": "CogVideoXPipeline"}))
    assert family_of(BaseModelSpec(model=str(broken))) == "cogvideox"
    with pytest.raises(RecipeError, match=r"family does not match[\s\S]*cogvideox[\s\S]*base.family=auto"):
        family_of(BaseModelSpec(model=str(broken), family="ltx"))


def test_a_faster_layout_changes_no_value() -> None:
    vae = load_family(BaseModelSpec(model=MODEL)).pipeline.vae  # laid out so
    plain = AutoencoderKLWan.from_config(dict(vae.config))
    plain.load_state_dict({name: value.contiguous() for name, value in vae.state_dict().items()})
    latents = torch.randn(2, 16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = plain.decode(latents).sample
        assert torch.allclose(vae.decode(latents).sample, expected, atol=1e-5)
        channels_last(plain)
        assert torch.equal(plain.decode(latents).sample, vae.decode(latents).sample)


@pytest.mark.parametrize("name", ["MochiPipeline", "WanImageToVideoPipeline", 7])
def test_an_unknown_pipeline_names_those_that_are_known(name: object, folder: Path, tmp_path: Path) -> None:
    broken = copied(folder, tmp_path / "model")
    (broken / "model_index.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(InputError, match=rf"HunyuanVideoPipeline[\s\S]*{name!r}"):
        load_family(BaseModelSpec(model=str(broken)))


@pytest.mark.parametrize("text", ["", "{half", "[]"])
def test_an_index_that_is_no_index(text: str, folder: Path, tmp_path: Path) -> None:
    broken = copied(folder, tmp_path / "model")
    (broken / "model_index.json").write_text(text)
    with pytest.raises(InputError, match=r"model_index\.json"):
        load_family(BaseModelSpec(model=str(broken)))


def test_a_folder_without_an_index_or_without_weights(folder: Path, tmp_path: Path) -> None:
    broken = copied(folder, tmp_path / "model")
    next((broken / "vae").glob("*.safetensors")).unlink()
    with pytest.raises(InputError, match=r"cannot be loaded"):
        load_family(BaseModelSpec(model=str(broken)))
    (broken / "model_index.json").unlink()
    with pytest.raises(InputError, match=r"has no model_index.json"):
        load_family(BaseModelSpec(model=str(broken)))


def test_truncated_weights_are_named(folder: Path, tmp_path: Path) -> None:
    broken = copied(folder, tmp_path / "model")
    weights = next((broken / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cannot be loaded"):
        load_family(BaseModelSpec(model=str(broken)))


@pytest.mark.parametrize("model", ["./no/such/folder", "/no/such", "a/b/c", "nothing"])
def test_a_path_that_is_not_there_is_no_hub_id(model: str) -> None:
    with pytest.raises(InputError, match="names no folder that exists"):
        load_family(BaseModelSpec(model=model))


def test_without_a_network_a_hub_id_is_an_error_that_says_so() -> None:
    with pytest.raises(InputError, match=r"the Hub cannot be reached[\s\S]*copy the model here"):
        load_family(BaseModelSpec(model="someone/some-model"))


def _response(status: int) -> Any:
    """A reply of whichever HTTP library the Hub's client uses, which has changed before."""
    request = HTTP.Request("GET", "https://example.org/x")
    return errors.Response(status, request=request)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.RepositoryNotFoundError("404", response=_response(404)), "neither a local folder nor a model"),
        (errors.GatedRepoError("403", response=_response(403)), "accept its terms"),
        (errors.RevisionNotFoundError("404", response=_response(404)), "no such revision"),
        (errors.EntryNotFoundError("404"), "not a diffusers pipeline"),
        (errors.HfHubHTTPError("500 Server Error", response=_response(500)), "cannot be reached: 500"),
        (HTTP.ConnectTimeout("timed out"), "cannot be reached: timed out"),
        (ConnectionError("no route"), "cannot be reached: no route"),
    ],
)
def test_what_the_hub_answers_is_translated(error: Exception, said: str) -> None:
    found = hub_error(BaseModelSpec(model="someone/some-model", revision="v9"), error)
    assert isinstance(found, InputError) and said in str(found) and found.next_step


def test_other_errors_stay_what_they_are() -> None:
    assert hub_error(BaseModelSpec(model=MODEL), TypeError("a bug")) is None


def test_only_text_encoders_may_be_halved(tmp_path: Path) -> None:
    tiny = TINY["hunyuan"]
    base = tiny.base(tiny.save(tmp_path))
    half = load_family(base.model_copy(update={"text_precision": "bfloat16"}))
    pipe = half.pipeline
    halved = {part.dtype for part in (pipe.text_encoder, pipe.text_encoder_2)}
    whole = {part.dtype for part in (pipe.transformer, pipe.vae)}
    assert halved == {torch.bfloat16} and whole == {torch.float32}
    states = half.encode_text(["a red circle"]).states_BLD
    full = load_family(base).encode_text(["a red circle"]).states_BLD
    assert states.dtype == torch.float32 and not torch.equal(states, full)
    torch.testing.assert_close(states, full, atol=0.05, rtol=0.05)
    half.drop_text_encoder()
    assert half.encode_text(["a blue square"]).states_BLD.dtype == torch.float32
    assert pipe.text_encoder.dtype == torch.bfloat16


@pytest.mark.parametrize("name", TINY)
def test_the_autoencoder_may_be_halved(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    base = tiny.base(tiny.save(tmp_path))
    whole, half = (load_family(base.model_copy(update={"autoencoder_precision": each})) for each in (None, "bfloat16"))
    assert (half.pipeline.vae.dtype, half.pipeline.transformer.dtype) == (torch.bfloat16, torch.float32)
    assert whole.pipeline.vae.dtype == torch.float32 and whole.fingerprint != half.fingerprint
    latents = torch.randn((1, *whole.latent_shape(tiny.shape)), generator=torch.Generator().manual_seed(0))
    frames = whole.decode(latents)
    assert np.abs(half.decode(latents)[0].astype(int) - frames[0]).mean() < 3
    encoded, exact = half.encode(frames), whole.encode(frames)
    assert encoded.dtype == torch.float32 and not torch.equal(encoded, exact)
    assert float((encoded - exact).square().mean()) < 0.01 * float(exact.square().mean())


def test_cogvideox_reads_texts_of_one_length_only(tmp_path: Path) -> None:
    tiny = TINY["cogvideox-2b"]
    base = tiny.base(tiny.save(tmp_path)).model_copy(update={"max_tokens": 32})
    with pytest.raises(RecipeError, match=r"base\.max_tokens=16"):
        load_family(base)


@pytest.mark.parametrize(("name", "is_last"), [("wan-2.1", True), ("cogvideox-2b", False)])
def test_only_an_autoencoder_that_gains_by_it_is_in_channels_last_layout(
    name: str, is_last: bool, tmp_path: Path
) -> None:
    vae = load_family(TINY[name].base(TINY[name].save(tmp_path))).pipeline.vae
    kernels = [each.weight for each in vae.modules() if isinstance(each, torch.nn.Conv3d) and each.weight.shape[1] > 1]
    assert kernels
    large = [each for each in kernels if each.shape[2:] != (1, 1, 1)]
    assert all(each.is_contiguous(memory_format=torch.channels_last_3d) is is_last for each in large)
