"""The benchmarks at tiny shapes: both sides run, and what they say has the form that results are kept in."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

import rushes_sandbox
from rushes.families.load import load_family
from rushes.plan.models import REAL_MODELS
from rushes.recipe.load import load_recipe
from rushes.recipe.train import LoraSpec
from rushes.records import Question
from rushes.roles import Draft
from rushes.train import setup
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import ask, checks
from rushes_sandbox.render import render
from rushes_sandbox.specs import WriterSpec

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def loaded(name: str) -> ModuleType:
    """The benchmark of that name as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return loaded("real_models")


@pytest.fixture(scope="module")
def sandbox_model() -> ModuleType:
    return loaded("sandbox_model")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_everything_is_measured_beside_the_plain_way(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # A backend that generates no code: seconds instead of minutes, and no C++ compiler.
    monkeypatch.setattr(setup, "compile_blocks", partial(setup.compile_blocks, backend="aot_eager"))
    found = json.loads(json.dumps(script.run(script.TINY, torch.device("cpu"))))
    assert found["is_smoke_test"] and "CPU cores" in found["machine"]
    by_name = {result["what"]: result for result in found["results"]}
    assert len(by_name) == len(found["results"]) == 9
    for name, result in by_name.items():
        assert result["ours_s"] > 0 and result["plain_s"] > 0, name
        assert result["ratio"] == pytest.approx(result["plain_s"] / result["ours_s"])
        assert (result["compile_s"] is not None) == ("compiled" in name), name
    compiled = [result for name, result in by_name.items() if "compiled" in name]
    assert len(compiled) == 2
    for result in compiled:
        assert result["compile_s"] > result["ours_s"], "compiling is told apart from the steps, which are far shorter"


def test_a_measurement_that_runs_out_of_memory_is_no_number(script: ModuleType) -> None:
    def greedy() -> None:
        raise torch.OutOfMemoryError("no")

    device = torch.device("cpu")
    ours, plain = script.measured(greedy, 1, device), script.measured(lambda: None, 1, device)
    result = script.beside("x", "s", ours, plain)
    assert result.ours_s is None and result.ratio is None and result.plain_s is not None


def test_the_sandboxs_setup_is_its_model_at_its_recipes_shape_and_batch(script: ModuleType) -> None:
    recipe = load_recipe("sandbox")
    assert script.SANDBOX.shape == recipe.shape
    assert script.SANDBOX.batch_size == recipe.train.batch_size and recipe.train.num_accumulation == 1
    assert (recipe.train.precision, recipe.train.lora) == ("bfloat16", None)
    folder = Path(rushes_sandbox.__file__).parent / "weights" / "base"
    parts = ("transformer", WanTransformer3DModel), ("vae", AutoencoderKLWan)
    for (name, model), settings in zip(parts, (script.SANDBOX.transformer, script.SANDBOX.autoencoder), strict=True):
        kept = json.loads((folder / name / "config.json").read_text(encoding="utf-8"))
        with torch.device("meta"):
            ours, shipped = model(**settings), model.from_config(kept)
        assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in shipped.named_parameters()}
    states = json.loads((folder / "text_encoder" / "config.json").read_text(encoding="utf-8"))
    assert script.SANDBOX.text == (recipe.base.max_tokens, states["d_model"])
    only = script.run(script.SANDBOX, torch.device("cpu"), ())
    assert only["results"] == [] and not only["is_smoke_test"]


def test_the_real_setup_is_wan_at_its_true_shape(script: ModuleType) -> None:
    model = REAL_MODELS["Wan-AI/Wan2.1-T2V-1.3B-Diffusers"].size
    with torch.device("meta"):
        transformer = WanTransformer3DModel(**script.REAL.transformer)
        autoencoder = AutoencoderKLWan(**script.REAL.autoencoder)
    assert sum(p.numel() for p in transformer.parameters()) == pytest.approx(model.num_transformer, rel=0.001)
    assert sum(p.numel() for p in autoencoder.parameters()) == pytest.approx(model.num_autoencoder, rel=0.01)
    shape = script.REAL.shape
    assert (shape.width_px, shape.height_px, shape.num_frames) == (832, 480, 81)


def test_the_real_judge_has_seven_billion_parameters(script: ModuleType, tmp_path: Path) -> None:
    judge = script.random_judge(script.REAL, torch.device("meta"), tmp_path)
    # 7.07e9 without the tables of its 152,064 words, which random weights have no use for.
    assert sum(p.numel() for p in judge.parameters()) == pytest.approx(7.2e9, rel=0.03)


def test_the_sandbox_models_are_measured(sandbox_model: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    sandbox_model.main(["--clips", "8", "--simple", "3", "--prompts", "2", "--batch", "2", "--out", str(out)])
    found = json.loads(out.read_text())
    assert found["is_smoke_test"] and "CPU cores" in found["machine"]
    pictures, *kinds = found["results"]
    assert pictures["unit"] == "dB" and 20 < pictures["low"] <= pictures["mean"] <= pictures["high"] < 50
    assert pictures["num"] == 8 and pictures["low"] < pictures["high"]
    assert [kind["what"] for kind in kinds] == list(DIMENSIONS)
    for kind in kinds:
        assert kind["num"] + kind["num_unscored"] == (3 if kind["what"] == "Simple" else 2)
        assert 0 <= kind["low"] <= kind["mean"] <= kind["high"] <= 1 and kind["low"] < kind["high"]


def test_the_prompts_of_the_sandbox_models_are_different_and_always_the_same(sandbox_model: ModuleType) -> None:
    spec = WriterSpec()
    drafts = sandbox_model.draw_prompts("Simple", 20, spec)
    assert len({draft.text for draft in drafts}) == 20 and all(draft.questions for draft in drafts)
    assert drafts[:5] == sandbox_model.draw_prompts("Simple", 5, spec)


def test_a_clip_is_right_only_when_it_shows_its_own_prompt(sandbox_model: ModuleType) -> None:
    """Rendered clips in the model's place: those of the prompts are right, those of other prompts are not."""
    recipe = load_recipe("sandbox")
    rng = np.random.default_rng(0)
    scenes = [draw_scene(rng, "Simple") for _ in range(6)]
    questions = [
        tuple(
            Question(text=ask(check), expected="yes" if truth else "no", dimension="Simple", about=check.kind)
            for check, truth in checks(scene, rng)
        )
        for scene in scenes
    ]
    drafts = [Draft(str(n), str(n), questions=asked) for n, asked in enumerate(questions)]

    @dataclass
    class Renderer:
        """A family that shows scene number `text`, or the one after it."""

        away: int

        def sample(self, texts: list[str], *_: object) -> list[int]:
            return [int(text) for text in texts]

        def decode(self, latents: list[int]) -> list[np.ndarray]:
            return [render(scenes[(number + self.away) % len(scenes)]) for number in latents]

    def right(away: int) -> list[float]:
        outcomes = sandbox_model.measured_takes(Renderer(away), recipe, "Simple", drafts, 4)
        return [outcome.value for outcome in outcomes]

    assert right(away=0) == [1.0] * 6
    assert sum(right(away=1)) < 3


def test_sizes_that_give_no_interval_are_refused(sandbox_model: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--clips", "12"], ["--prompts", "1"], ["--simple", "0"]):
        with pytest.raises(SystemExit):
            sandbox_model.main(arguments)
        assert "at least 2" in capsys.readouterr().err


def test_ways_of_speed_are_compared_in_turn_with_the_way_before_them() -> None:
    module, recipe = loaded("cpu_speed"), load_recipe("sandbox", ["generate.sampler.num_steps=1"])
    family = load_family(recipe.base)
    sampling, guidance, layout, decode, encode = module.generating(recipe, family, 1, 1)
    assert [each.what for each in (sampling, guidance, layout, decode, encode)] == [
        "sampling", "guidance", "layout", "decode", "encode",
    ]  # fmt: skip
    assert guidance.difference < 1e-4 and layout.difference < 0.01
    assert 0 < decode.difference < 0.05 and 0 < encode.difference < 0.05 and sampling.difference < 0.05
    assert module.training(recipe, family, 1).difference == pytest.approx(0, abs=1e-6)


def test_the_overhead_of_every_stage_is_measured_beside_the_plain_loop() -> None:
    small = ["generate.sampler.num_steps=1", "train.batch_size=4", "train.realism.kind=none"]
    module, recipe = loaded("overhead"), load_recipe("sandbox", small)
    family = load_family(recipe.base)
    found = module.generating(recipe, family, 1, 1)  # raises if both ways make other latents
    found.append(module.judging(recipe, family, 1, 1))
    found += [module.training(recipe, family, 2, 1, lora) for lora in (None, LoraSpec(rank=2))]
    assert [each.what for each in found] == [
        "sampling", "decoding", "generating", "judging", "training in full", "training by adapter",
    ]  # fmt: skip
    for each in found:
        assert each.ours_s > 0 and each.plain_s > 0 and each.lowest <= each.ratio <= each.highest


def test_the_plain_loop_does_what_ours_does() -> None:
    """The same pixels, and a loss of the same size on the same noise level: else the ratio says nothing."""
    module, recipe = loaded("overhead"), load_recipe("sandbox", ["generate.sampler.num_steps=2"])
    family = load_family(recipe.base)
    latents = module.plain_latents(recipe, family, [1])
    found = family.sample([module.TEXT], [1], recipe.generate.sampler, recipe.shape)
    torch.testing.assert_close(found, latents.float(), atol=1e-4, rtol=1e-3)
    assert np.array_equal(np.stack(family.decode(latents)), module.plain_frames(family, latents))
