"""Two transformers by noise level: which one predicts where, whose weights are whose, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rushes.errors import InputError, RecipeError
from rushes.families.experts import named, of_part, velocity_at
from rushes.families.family import PLAIN, Family
from rushes.families.folder import fingerprint_of
from rushes.families.load import load_family
from rushes.records import SamplerSettings
from rushes.store.identity import content_hash
from tests.support.tiny_families import TINY, make_a14b

TINY_A14B = TINY["wan-a14b"]
BOUNDARY = 0.875


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY_A14B.save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def family(folder: Path) -> Family:
    return load_family(TINY_A14B.base(folder))


def timesteps_seen(family: Family, sampler: SamplerSettings) -> dict[str, list[float]]:
    """The timesteps at which each transformer was called."""
    seen: dict[str, list[float]] = {name: [] for name in family.transformers}
    hooks = [
        part.register_forward_pre_hook(
            lambda module, args, named, to=seen[name]: to.append(float(named["timestep"][0])), with_kwargs=True
        )
        for name, part in family.transformers.items()
    ]
    family.sample(["a red circle"], [3], sampler, TINY_A14B.shape)
    for hook in hooks:
        hook.remove()
    return seen


def test_each_transformer_samples_at_its_own_noise_levels(family: Family) -> None:
    sampler = TINY_A14B.sampler.model_copy(update={"num_steps": 8, "shift": 5.0, "guidance_scale": 1.0})
    seen = timesteps_seen(family, sampler)
    assert min(seen["transformer"]) >= 1000 * BOUNDARY > max(seen["transformer_2"])
    assert len(seen["transformer"]) + len(seen["transformer_2"]) == 8 and len(seen["transformer"]) > 1
    assert family.levels == (BOUNDARY, 1.0) and family.tuning("low").levels == (0.0, BOUNDARY)


def test_the_second_guidance_scale_is_that_of_low_noise(family: Family) -> None:
    """As the pipeline itself has it; without one both have the first."""
    plain, options = TINY_A14B.sampler, {"text": ["a red circle"], "seed": [3]}

    def sampled(scale: float | None) -> torch.Tensor:
        sampler = plain.model_copy(update={"guidance_scale_2": scale})
        return family.sample(options["text"], options["seed"], sampler, TINY_A14B.shape)  # type: ignore[arg-type]

    assert torch.equal(sampled(None), sampled(plain.guidance_scale))
    assert not torch.equal(sampled(None), sampled(1.5))
    shape = TINY_A14B.shape
    theirs = family.pipeline(
        prompt="a red circle",
        height=shape.height_px,
        width=shape.width_px,
        num_frames=shape.num_frames,
        num_inference_steps=plain.num_steps,
        guidance_scale=plain.guidance_scale,
        guidance_scale_2=1.5,
        latents=family.noise([3], family.latent_shape(shape)),  # type: ignore[attr-defined]
        output_type="latent",
        max_sequence_length=TINY_A14B.max_tokens,
    ).frames
    torch.testing.assert_close(sampled(1.5), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "change"),
    [("wan-2.1", {}), ("ltx", {}), ("wan-a14b", {"guidance_scale": 1.0})],
)
def test_a_second_guidance_scale_that_would_be_ignored_is_refused(
    name: str, change: dict[str, Any], tmp_path: Path
) -> None:
    tiny = TINY[name]
    loaded = load_family(tiny.base(tiny.save(tmp_path)))
    sampler = tiny.sampler.model_copy(update={"guidance_scale_2": 4.0, **change})
    with pytest.raises(RecipeError, match="guidance_scale_2"):
        loaded.sample(["a red circle"], [3], sampler, tiny.shape)


def test_a_sampler_without_a_second_scale_is_what_it_was_in_earlier_releases() -> None:
    sampler = TINY_A14B.sampler
    given = {name: value for name, value in sampler.model_dump().items() if name not in sampler.added_later}
    assert content_hash(sampler) == content_hash(given)
    assert content_hash(sampler.model_copy(update={"guidance_scale_2": 3.0})) != content_hash(given)


def test_the_velocity_of_each_item_is_that_of_its_transformer(family: Family) -> None:
    sigma_B = torch.tensor([0.9, 0.1, 0.875, 0.8, 1.0, 0.0])
    z_t = torch.randn((6, *family.latent_shape(TINY_A14B.shape)), generator=torch.Generator().manual_seed(1))
    text = family.encode_text(["a red circle"] * 6)
    with torch.no_grad():
        found = velocity_at(family, z_t, sigma_B, text, PLAIN)
        for part, rows in (("transformer", [0, 2, 4]), ("transformer_2", [1, 3, 5])):
            network = family.transformers[part]  # type: ignore[index]
            own = family.predict(network, z_t[rows], sigma_B[rows] * 1000, text[rows], PLAIN)
            torch.testing.assert_close(found[rows], own)
            alone = velocity_at(family, z_t[rows], sigma_B[rows], text[rows], PLAIN)
            assert torch.equal(alone, own)


def test_names_tell_whose_the_weights_are(family: Family) -> None:
    weights = family.weights()
    first, second = of_part(weights, "transformer"), of_part(weights, "transformer_2")
    assert set(first) == set(second) == set(family.transformer.state_dict())
    assert len(weights) == 2 * len(first)
    assert named(first, "transformer") | named(second, "transformer_2") == weights
    before = {name: value.clone() for name, value in weights.items()}
    try:
        family.load_weights(named({name: value + 1 for name, value in second.items()}, "transformer_2"))
        after = family.weights()
        assert all(torch.equal(after[name], before[name]) for name in first), "the other one is left alone"
        assert all(torch.equal(after[f"transformer_2.{n}"], before[f"transformer_2.{n}"] + 1) for n in second)
    finally:
        family.load_weights(before)
    low = family.tuning("low")
    assert low.transformer is family.pipeline.transformer_2 and low.part == "transformer_2"
    assert family.tuning(None) is family


def test_a_change_of_the_second_transformer_is_another_model(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (file,) = (copy / "transformer_2").glob("*.safetensors")
    save_file({name: value + 1 for name, value in load_file(file).items()}, file)
    assert fingerprint_of(TINY_A14B.base(copy)) != fingerprint_of(TINY_A14B.base(folder))


@pytest.mark.parametrize("what", ["no boundary", "no second"])
def test_two_transformers_go_with_a_boundary(what: str, tmp_path: Path) -> None:
    pipeline = make_a14b()
    if what == "no boundary":
        pipeline.register_to_config(boundary_ratio=None)
    else:
        pipeline.register_modules(transformer_2=None)
    pipeline.save_pretrained(str(tmp_path))
    with pytest.raises(InputError, match="neither one with one transformer nor one with two"):
        load_family(TINY_A14B.base(tmp_path))
