"""The whole loop on every family in tiny: write, generate, judge, weigh, train in full and by adapter, measure."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rushes.families.family import Conditions
from rushes.families.hunyuan import Hunyuan
from rushes.families.load import load_family
from rushes.pipeline import improve
from rushes.recipe.train import LoraSpec
from rushes.records import BlobRef
from rushes.store.run import Run
from rushes.train.stage import _own_guidance
from tests.support.tiny_families import TINY, TinyFamily
from tests.support.tiny_recipe import small

FAMILIES = ("wan-ti2v", "cogvideox-2b", "cogvideox-1.5", "hunyuan", "ltx", "sana-video", "hunyuan-1.5", "ltx-2")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_whole_loop_in_full_and_by_adapter(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    folder = tiny.save(tmp_path / "model")
    recipe = small(tiny, folder)
    assert improve(recipe, tmp_path / "run") is not None
    adapter = recipe.train.model_copy(update={"lora": LoraSpec(rank=2, alpha=2)})
    assert improve(recipe.model_copy(update={"train": adapter}), tmp_path / "run", allow_change=True) is not None
    family = load_family(tiny.base(folder))
    with Run.view(tmp_path / "run") as run:
        checkpoints = {each.kind: each for each in run.checkpoints.all()}
        assert set(checkpoints) == {"full", "lora"}
        generated = [clip for clip in run.clips.all() if clip.origin == "model"]
        models = {clip.model for clip in generated}
        assert models == {family.fingerprint, *(each.key for each in checkpoints.values())}
        for clip in generated:
            assert clip.sampler == tiny.sampler and clip.latents is not None
            latents = run.blobs.read_tensors(clip.latents)["latents"]
            assert latents.shape == family.latent_shape(tiny.shape)
        clip = generated[0]
        assert clip.latents is not None
        again = family.decode(run.blobs.read_tensors(clip.latents)["latents"][None])[0]
        gap = np.abs(again.astype(int) - run.blobs.read_video(clip.video).astype(int))
        assert gap.max() <= 1, "decoded alone rather than in its batch: rounding"
        for checkpoint in checkpoints.values():
            terms = {loss.term for loss in checkpoint.losses}
            assert {
                "weighted_flow",
                "real_flow",
                "held_out_own",
                "held_out_real",
            } <= terms and checkpoint.num_skipped_steps == 0
            assert isinstance(checkpoint.weights, BlobRef)
            weights = run.blobs.read_tensors(checkpoint.weights)
            _reloads(tiny, folder, weights, tmp_path / checkpoint.kind)
            if name == "ltx-2":
                changed = {
                    each for each, value in family.transformer.state_dict().items() if (value != weights[each]).any()
                }
                assert any(".attn1.to_q" in each for each in changed)
                assert not [each for each in changed if re.search("audio|a2v|v2a|av_cross", each)], "sound is not tuned"


def _reloads(tiny: TinyFamily, folder: Path, weights: dict[str, torch.Tensor], target: Path) -> None:
    """Tuned weights in an ordinary pipeline folder sample as they do in the pipeline they were trained in."""
    family = load_family(tiny.base(folder))
    base = family.sample(["a red circle"], [3], tiny.sampler, tiny.shape)
    family.load_weights(weights)
    tuned = family.sample(["a red circle"], [3], tiny.sampler, tiny.shape)
    family.pipeline.save_pretrained(str(target))
    again = load_family(tiny.base(target))
    assert torch.equal(again.sample(["a red circle"], [3], tiny.sampler, tiny.shape), tuned)
    assert not torch.equal(base, tuned)
    assert again.fingerprint != family.fingerprint


def test_a_distilled_model_is_trained_at_a_guidance_scale_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips are generated at 6."""
    tiny, seen = TINY["hunyuan"], set[float]()
    recipe, predict = small(tiny, tiny.save(tmp_path / "model")), Hunyuan.predict

    def watched(*args: Any) -> torch.Tensor:
        seen.add(args[-1].guidance)
        return predict(*args)

    monkeypatch.setattr(Hunyuan, "predict", watched)
    keys = []
    for guidance, expected in ((1.0, 1.0), ("sampler", 6.0)):
        train = recipe.train.model_copy(update={"guidance": guidance})
        improve(recipe.model_copy(update={"train": train}), tmp_path / "run", until="train", allow_change=True)
        assert seen == {expected}
        seen.clear()
        with Run.view(tmp_path / "run") as run:
            keys.append({each.key for each in run.checkpoints.all()})
    assert len(keys[1] - keys[0]) == 1, "another training"


@pytest.mark.parametrize(
    ("name", "guidance", "found"), [("hunyuan", 1.0, 1.0), ("hunyuan", 6.0, None), ("ltx", 1.0, None)]
)
def test_a_guidance_scale_enters_the_key_of_training_where_it_is_read_and_another_one(
    name: str, guidance: float, found: float | None, tmp_path: Path
) -> None:
    context: Any = SimpleNamespace(
        recipe=SimpleNamespace(base=TINY[name].base(TINY[name].save(tmp_path))),
        conditions=Conditions(guidance=6.0),
        training_conditions=Conditions(guidance=guidance),
    )
    assert _own_guidance(context) == found
