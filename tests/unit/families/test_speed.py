"""Settings of sampling reach the loaded model: compiled blocks, the choice of guidance, the event log."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rushes.families import speed
from rushes.families.attention import attention_for_sampling
from rushes.families.load import load_family
from rushes.families.model_size import decoding_bytes, loaded_model_size
from rushes.families.models import Models
from rushes.families.speed import Speed, compile_blocks
from rushes.recipe.runtime import RuntimeSpec, SamplingRuntime
from rushes.store.blobs import Blobs
from rushes.store.events import EventLog
from rushes.store.identity import canonical_json
from tests.support.tiny_families import TINY

TEXTS, SEEDS = ["a red circle"], [1]


def test_blocks_are_compiled_and_make_the_same_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def backend(graph: Any, _: Any) -> Any:
        compiled.append("a block")
        return graph.forward

    monkeypatch.setattr(speed, "compile_blocks", partial(compile_blocks, backend=backend))
    tiny = TINY["wan-2.1"]
    base = tiny.base(tiny.save(tmp_path / "model"))
    runtime = RuntimeSpec(sampling=SamplingRuntime(compile_blocks=True))
    family = Models(base, runtime, [tiny.shape], Blobs(tmp_path / "blobs")).family
    plain = load_family(base)
    expected = plain.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape)
    torch.testing.assert_close(family.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape), expected)
    blocks = family.transformer.blocks
    assert compiled and all(block._compiled_call_impl is not None for block in blocks)
    assert family.transformer._compiled_call_impl is None, "the blocks alone"
    assert set(family.weights()) == set(plain.weights()), "names of weights stay"
    with attention_for_sampling("math"):
        torch.testing.assert_close(family.sample(TEXTS, SEEDS, tiny.sampler, tiny.shape), expected)
    assert all(block._compiled_call_impl is None for block in copy.deepcopy(family.transformer).blocks), "what is tuned"


def test_without_the_setting_nothing_is_compiled(tmp_path: Path) -> None:
    tiny = TINY["wan-2.1"]
    base = tiny.base(tiny.save(tmp_path / "model"))
    family = Models(base, RuntimeSpec(), [tiny.shape], Blobs(tmp_path / "blobs")).family
    assert all(block._compiled_call_impl is None for block in family.transformer.blocks)


def family_on_gpu(free: int, offload: str = "none") -> tuple[Any, Any]:
    """A model of 100 bytes of activations a clip, as far as the choice of guidance looks."""
    tiny = TINY["wan-2.1"]
    family = SimpleNamespace(
        device=torch.device("cuda"),
        guides_twice=True,
        placement=SimpleNamespace(offload=offload),
        pipeline=None,
        free=free,
    )
    return family, tiny


@pytest.mark.parametrize(
    ("free", "offload", "is_one"), [(1000, "none", True), (400, "none", False), (1000, "model", False)]
)
def test_guidance_is_one_call_where_both_passes_fit(
    free: int, offload: str, is_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, tiny = family_on_gpu(free, offload)
    monkeypatch.setattr(speed, "free_bytes", lambda _: free)
    monkeypatch.setattr(speed, "loaded_model_size", lambda _: "size")
    monkeypatch.setattr(speed, "replace", lambda size, **_: size)
    monkeypatch.setattr(speed, "sampling_bytes", lambda size, shape, num: 100.0 * num)
    log = EventLog(tmp_path / "events.jsonl")
    chosen = Speed(SamplingRuntime(), log=log)
    guided = tiny.sampler.model_copy(update={"guidance_scale": 3.0})
    assert chosen._is_one_call(family, guided, tiny.shape, 2) is is_one
    free = 1000 - free
    assert chosen._is_one_call(family, guided, tiny.shape, 2) is is_one, "as the first clips of this shape"
    assert [(each["one_call"], each["num_clips"]) for each in log.read()] == [(is_one, 2)]
    free = 1000
    if offload == "none":
        assert not chosen._is_one_call(family, guided, tiny.shape, 5), "twice five do not fit into 85 % of 1000"


def test_workers_get_the_settings_without_the_log(tmp_path: Path) -> None:
    import pickle

    tiny = TINY["wan-2.1"]
    runtime = RuntimeSpec(sampling=SamplingRuntime(guidance="one_call"))
    base, log = tiny.base(tiny.save(tmp_path / "model")), EventLog(tmp_path / "events.jsonl")
    models = Models(base, runtime, [tiny.shape], Blobs(tmp_path / "blobs"), log)
    assert models.family.speed.log is log  # type: ignore[attr-defined]
    there = pickle.loads(pickle.dumps(models)).family.speed
    assert there.settings.guidance == "one_call" and there.log is None


def test_clips_are_decoded_a_few_at_a_time_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = TINY["wan-2.1"]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    latents = torch.randn(5, *family.latent_shape(tiny.shape), generator=torch.Generator().manual_seed(0))
    parts: list[int] = []
    whole = type(family).decoded
    monkeypatch.setattr(type(family), "decoded", lambda self, z: parts.append(len(z)) or whole(self, z))  # type: ignore[func-returns-value]
    size = loaded_model_size(family.pipeline)
    assert size is not None
    shape = tiny.shape
    one = decoding_bytes(size, shape.num_frames, shape.height_px * shape.width_px)
    made = {}
    for free in (None, 100 * one, 2.5 * one / 0.85, 1.0):
        monkeypatch.setattr(speed, "free_bytes", lambda _, free=free: free)
        parts.clear()
        made[free] = family.decode(latents)
        assert parts == {None: [5], 100 * one: [5], 1.0: [1] * 5}.get(free, [2, 2, 1])
    for frames in made.values():
        for found, expected in zip(frames, made[None], strict=True):
            assert abs(found.astype(int) - expected.astype(int)).max() <= 1, "but for rounding"


def test_tiles_are_another_model_for_work_keys(tmp_path: Path) -> None:
    tiny = TINY["wan-2.1"]
    whole = tiny.base(tiny.save(tmp_path))
    tiled = whole.model_copy(update={"autoencoder_tiles": True})
    families = [load_family(each) for each in (whole, tiled)]
    assert [each.pipeline.vae.use_tiling for each in families] == [False, True]
    assert families[0].fingerprint != families[1].fingerprint
    assert "autoencoder_tiles" not in canonical_json(whole), "runs from before this setting keep their recipe"
