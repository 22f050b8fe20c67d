"""The code of a model card, executed: it generates the clip that the run measured, in every family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.export.base import Base
from rushes.export.snippet import make_snippet
from rushes.families.load import load_family
from rushes.store.video import read_video
from tests.support.sandbox_recipe import measure_spec, sandbox_recipe
from tests.support.tiny_families import TINY

PROMPT = 'a "red" circle `moves` \\ up\n'


@pytest.mark.parametrize("name", ["wan-ti2v", "hunyuan", "ltx", "cogvideox-5b", "sana-video", "hunyuan-1.5", "ltx-2"])
def test_code_generates_what_was_measured(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = TINY[name]
    base = tiny.base(tiny.save(tmp_path / "base"))
    recipe = sandbox_recipe(base=base, shape=tiny.shape, measure=measure_spec(sampler=tiny.sampler))
    place = str(tmp_path / "base")
    snippet = make_snippet(recipe, Base(tmp_path / "base", place, is_on_hub=False), "pipeline", place, PROMPT, 7)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(snippet.code, "card", "exec"), names)
    assert read_video(tmp_path / "clip.mp4").frames_THWC.shape == (tiny.shape.num_frames, 32, 32, 3)

    family = load_family(base)
    measured = family.decode(family.sample([PROMPT], [7], tiny.sampler, tiny.shape))[0]
    frames = np.stack([np.asarray(frame) for frame in names["frames"]])  # type: ignore[attr-defined]
    # Some pipelines give pictures, some give numbers from 0 to 1.
    made = frames.astype(np.float64) if frames.dtype == np.uint8 else np.round(frames * 255.0)
    if name == "cogvideox-5b":  # its noise is laid out in another order, so the same seed is another clip
        assert made.shape == measured.shape
    else:
        assert np.abs(made - measured).max() <= 1


def test_an_adapter_is_loaded_by_what_the_pipeline_has(tmp_path: Path) -> None:
    for name, wanted in (("ltx", "pipeline.load_lora_weights("), ("hunyuan-1.5", "transformer.load_lora_adapter(")):
        tiny, place = TINY[name], str(tmp_path / name)
        recipe = sandbox_recipe(base=tiny.base(tiny.save(tmp_path / name)), shape=tiny.shape)
        code = make_snippet(recipe, Base(tmp_path / name, place, is_on_hub=False), "lora", "user/name", PROMPT, 7).code
        assert wanted in code
