"""Clips to train on from another model than the one that is tuned: through the whole run, killed, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rushes.errors import RecipeChanged
from rushes.families.folder import fingerprint_of
from rushes.families.load import load_family
from rushes.findings import Unready
from rushes.pipeline import improve
from rushes.preflight import check
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.generate import GenerateLoraSpec
from rushes.recipe.objectives import NftSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Clip
from rushes.store.identity import content_hash
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("tuned"))


def changed_copy(folder: Path, part: str, tmp: Path) -> Path:
    """A model with other weights in one part."""
    made = make_tiny_wan(tmp)
    (file,) = (made / part).glob("*.safetensors")
    weights = load_file(file)
    save_file({name: value * 1.1 for name, value in weights.items()}, file, metadata={"format": "pt"})
    return made


@pytest.fixture(scope="module")
def teacher(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_copy(tuned, "transformer", tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def lora(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of the query layers, in diffusers' format."""
    torch.manual_seed(1)
    transformer = load_family(BaseModelSpec(model=str(tuned), max_tokens=16)).transformer
    state = {}
    for name, layer in transformer.named_modules():
        if name.endswith("to_q"):
            state[f"transformer.{name}.lora_A.weight"] = torch.randn(2, layer.in_features)
            state[f"transformer.{name}.lora_B.weight"] = torch.randn(layer.out_features, 2)
    file = tmp_path_factory.mktemp("lora") / "distilled.safetensors"
    save_file(state, file)
    return file


def with_generate(recipe: Recipe, **changes: object) -> Recipe:
    return recipe.model_copy(update={"generate": recipe.generate.model_copy(update=changes)})


def few_steps(recipe: Recipe) -> dict[str, object]:
    """A sampler of its own: one step, no guidance."""
    return {"sampler": recipe.generate.sampler.model_copy(update={"num_steps": 1, "guidance_scale": 1.0})}


def taught(tuned: Path, teacher: Path) -> Recipe:
    recipe = tiny_recipe(tuned)
    other = BaseModelSpec(model=str(teacher), max_tokens=16)
    return with_generate(recipe, model=other, latents="sampler", **few_steps(recipe))


def clips_in(home: Path) -> list[Clip]:
    with Run.view(home) as run:
        return run.clips.all()


def test_another_model_makes_the_clips_to_train_on_and_only_those(tuned: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = taught(tuned, teacher)
    assert recipe.generate.model is not None
    assert improve(recipe, tmp_path / "run") is not None
    clips = [clip for clip in clips_in(tmp_path / "run") if clip.origin == "model"]
    others = [clip for clip in clips if clip.made_by is not None]
    name = fingerprint_of(recipe.generate.model)
    assert {clip.model for clip in others} == {name}, "the record names the files of the model that made it"
    assert {(clip.made_by.model, clip.made_by.fingerprint) for clip in others if clip.made_by} == {(str(teacher), name)}
    assert len(others) == recipe.generate.num_takes * len({clip.prompt_key for clip in others}) > 0
    assert all(clip.sampler == recipe.generate.sampler and clip.latents is not None for clip in others)
    own = [clip for clip in clips if clip.made_by is None]
    assert own and all(clip.sampler == recipe.measure.sampler for clip in own)
    assert len({clip.model for clip in own}) == 2, "probes and held-out clips are of the base and the tuned model"


def test_the_clips_are_what_the_other_model_makes(tuned: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = taught(tuned, teacher)
    assert recipe.generate.model is not None
    improve(recipe, tmp_path / "run", until="generate")
    with Run.view(tmp_path / "run") as run:
        clip = next(clip for clip in run.clips.all() if clip.made_by is not None)
        text = next(prompt.text for prompt in run.prompts.all() if prompt.key == clip.prompt_key)
        assert clip.latents is not None
        found = torch.from_numpy(run.blobs.read_arrays(clip.latents)["latents"].copy())
    made = load_family(recipe.generate.model).sample([text], [clip.seed], recipe.generate.sampler, recipe.shape)
    assert torch.allclose(found, made[0], atol=1e-4)


def test_latents_of_another_autoencoder_are_not_kept_but_encoded_again(tuned: Path, tmp_path: Path) -> None:
    other = changed_copy(tuned, "vae", tmp_path / "other")
    improve(taught(tuned, other), tmp_path / "run", until="train")
    others = [clip for clip in clips_in(tmp_path / "run") if clip.made_by is not None]
    assert others and all(clip.latents is None and clip.video is not None for clip in others)


def test_latents_alone_of_another_autoencoder_are_refused_before_the_run(tuned: Path, tmp_path: Path) -> None:
    other = changed_copy(tuned, "vae", tmp_path / "other")
    recipe = with_generate(taught(tuned, other), decode=False)
    recipe = recipe.model_copy(update={"weights": recipe.weights.model_copy(update={"kind": "uniform"})})
    with pytest.raises(Unready, match=r"generate\.decode"):
        check(recipe)


def test_a_lora_makes_the_clips_of_a_round_and_its_file_is_in_the_record(
    tuned: Path, lora: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(tuned)
    spec = GenerateLoraSpec(model=str(lora), strength=0.5)
    recipe = with_generate(recipe, lora=spec, **few_steps(recipe))
    assert improve(recipe, tmp_path / "run") is not None
    others = [clip for clip in clips_in(tmp_path / "run") if clip.made_by is not None]
    base = fingerprint_of(recipe.base)
    (made_by,) = {clip.made_by for clip in others if clip.made_by is not None}
    assert (made_by.model, made_by.fingerprint, made_by.lora) == (str(tuned), base, "distilled.safetensors")
    assert made_by.lora_strength == 0.5
    name = content_hash({"model": base, "lora": made_by.lora_sha256, "strength": 0.5})
    assert {clip.model for clip in others} == {name}


def test_killed_and_run_again_nothing_is_made_twice(tuned: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = taught(tuned, teacher)
    improve(recipe, tmp_path / "run", until="generate")
    before = {clip.key: clip.content() for clip in clips_in(tmp_path / "run")}
    improve(recipe, tmp_path / "run")
    improve(recipe, tmp_path / "whole")
    after = {clip.key: clip.content() for clip in clips_in(tmp_path / "run")}
    assert before.items() <= after.items()
    assert after == {clip.key: clip.content() for clip in clips_in(tmp_path / "whole")}


def test_changed_files_of_the_other_model_are_noticed(tuned: Path, tmp_path: Path) -> None:
    other = changed_copy(tuned, "transformer", tmp_path / "other")
    recipe = taught(tuned, other)
    improve(recipe, tmp_path / "run", until="prompts")
    (file,) = (other / "transformer").glob("*.safetensors")
    save_file({name: value * 1.1 for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    with pytest.raises(RecipeChanged, match=r"generate\.model"):
        improve(recipe, tmp_path / "run", until="prompts")


def test_an_objective_for_own_clips_is_warned_about(tuned: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = taught(tuned, teacher)
    assert not any(each.setting == "train.objective" for each in check(recipe))
    train = recipe.train.model_copy(update={"objective": NftSpec(), "num_steps": 2})
    bounded = recipe.model_copy(update={"train": train})
    (said,) = [each for each in check(bounded) if each.setting == "train.objective"]
    assert "off-policy" in said.problem and not said.is_certain
    scorecard = improve(bounded, tmp_path / "run")
    assert scorecard is not None and any("off-policy" in note for note in scorecard.notes)


def test_a_lora_file_that_is_not_there_is_refused_before_the_run(tuned: Path, tmp_path: Path) -> None:
    recipe = with_generate(tiny_recipe(tuned), lora=GenerateLoraSpec(model=str(tmp_path / "none.safetensors")))
    with pytest.raises(Unready, match=r"generate\.lora\.model"):
        check(recipe)


def test_a_lora_on_the_hub_is_looked_for_before_the_run(tuned: Path) -> None:
    """No test reaches the Hub: the check says so, and names the setting."""
    recipe = with_generate(tiny_recipe(tuned), lora=GenerateLoraSpec(model="nobody/nothing"))
    with pytest.raises(Unready, match=r"generate\.lora\.model") as caught:
        check(recipe)
    assert "Hub" in str(caught.value)
