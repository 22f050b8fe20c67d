"""Caches of sampling on the real classes: blocks are skipped, a clip does not depend on its batch, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.records import SamplerSettings
from rushes.records.caches import (
    FirstBlockCache,
    MagCache,
    PyramidCache,
    SamplerCache,
    SeaCache,
    TaylorSeerCache,
)
from rushes.store.identity import canonical_json
from tests.support.tiny_families import TINY, TinyFamily

NUM_STEPS = 8
CACHES: dict[str, SamplerCache] = {
    "first_block": FirstBlockCache(threshold=0.5),
    "taylorseer": TaylorSeerCache(interval=2, num_first=2),
    "magcache": MagCache(ratios=(1.0, 1.01)),
    "pyramid": PyramidCache(timesteps=(0.0, 1001.0)),
    "seacache": SeaCache(threshold=5.0),
}
FAMILIES = ("wan-2.1", "cogvideox-5b", "hunyuan", "ltx")
TEXTS, SEEDS = ["a red circle", "a blue square moves up"], [1, 2]


def loaded(name: str, folder: Path) -> tuple[Family, TinyFamily]:
    """With three blocks: what skips blocks needs some to skip."""
    tiny = TINY[name]
    torch.manual_seed(0)
    pipeline = tiny.make()
    config = {key: value for key, value in pipeline.transformer.config.items() if not key.startswith("_")}
    pipeline.register_modules(transformer=type(pipeline.transformer).from_config({**config, "num_layers": 3}))
    pipeline.save_pretrained(str(folder))
    return load_family(tiny.base(folder)), tiny


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Family, TinyFamily]:
    return loaded(request.param, tmp_path_factory.mktemp(request.param))


def sampler_of(tiny: TinyFamily, cache: SamplerCache | None) -> SamplerSettings:
    guidance = 1.0 if tiny.family == "wan" else tiny.sampler.guidance_scale
    return tiny.sampler.model_copy(update={"num_steps": NUM_STEPS, "guidance_scale": guidance, "cache": cache})


@contextmanager
def counted(family: Family) -> Iterator[list[str]]:
    """Names of the attention layers that computed their queries, in order."""
    calls: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, module in family.transformer.named_modules()
        if name.endswith("to_q")
    ]
    yield calls
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("kind", list(CACHES))
def test_a_cache_skips_work_and_leaves_nothing_behind(model: tuple[Family, TinyFamily], kind: str) -> None:
    family, tiny = model
    if kind == "seacache" and tiny.family != "wan":
        pytest.skip("for Wan alone, see the test below")
    plain = sampler_of(tiny, None)
    with counted(family) as before:
        expected = family.sample(TEXTS[:1], SEEDS[:1], plain, tiny.shape)
    with counted(family) as calls:
        made = family.sample(TEXTS[:1], SEEDS[:1], sampler_of(tiny, CACHES[kind]), tiny.shape)
    assert len(calls) < len(before), "some layers were not computed in some steps"
    assert torch.isfinite(made).all() and not torch.equal(made, expected)
    with counted(family) as after:
        again = family.sample(TEXTS[:1], SEEDS[:1], plain, tiny.shape)
    assert torch.equal(again, expected) and after == before, "without a cache all is as it was, to the bit"


@pytest.mark.parametrize("kind", list(CACHES))
def test_a_clip_does_not_depend_on_its_batch(model: tuple[Family, TinyFamily], kind: str) -> None:
    family, tiny = model
    if kind == "seacache" and tiny.family != "wan":
        pytest.skip("for Wan alone, see the test below")
    sampler = sampler_of(tiny, CACHES[kind])
    together = family.sample(TEXTS, SEEDS, sampler, tiny.shape)
    alone = [family.sample([text], [seed], sampler, tiny.shape)[0] for text, seed in zip(TEXTS, SEEDS, strict=True)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-4)


def test_caches_that_a_family_cannot_use_are_refused(model: tuple[Family, TinyFamily]) -> None:
    family, tiny = model
    if tiny.family == "wan":
        guided = tiny.sampler.model_copy(update={"guidance_scale": 3.0, "cache": PyramidCache()})
    else:
        guided = sampler_of(tiny, SeaCache())
    with pytest.raises(RecipeError, match=r"generate\.sampler\.cache=null"):
        family.sample(TEXTS[:1], SEEDS[:1], guided, tiny.shape)


def test_a_cache_is_part_of_keys_and_no_cache_is_as_before_there_were_any() -> None:
    plain = TINY["wan-2.1"].sampler
    assert "cache" not in canonical_json(plain)
    keys = {canonical_json(plain.model_copy(update={"cache": each})) for each in (None, *CACHES.values())}
    assert len(keys) == 1 + len(CACHES)
    assert canonical_json(plain.model_copy(update={"cache": FirstBlockCache(threshold=0.1)})) not in keys


def test_a_cache_is_read_from_a_recipe() -> None:
    from tests.support.sandbox_recipe import sandbox_with

    recipe = sandbox_with("generate.sampler.cache={kind: taylorseer, interval: 4}")
    assert recipe.generate.sampler.cache == TaylorSeerCache(interval=4)
    assert recipe.measure.sampler.cache is None
