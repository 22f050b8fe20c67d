"""Names of settings that people bring from other training tools lead to ours, in a recipe and on the command line."""

from __future__ import annotations

import pytest

from rushes.cli import main
from rushes.errors import RecipeError
from rushes.recipe.brought_names import _OURS, as_option, done_here_by, settings_for
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.schema import all_settings

SETTINGS = {setting.path for setting in all_settings(Recipe)}


def test_every_name_leads_to_settings_that_exist_and_is_none_of_that_section() -> None:
    for word in _OURS:
        paths = settings_for(word)
        assert paths and set(paths) <= SETTINGS, word
        assert word not in {path[-1] for path in paths}, f"{word} is the name that we have ourselves"


MEANT = [
    ("lr", "train.learning_rate"),
    ("epochs", "train.num_epochs"),
    ("cfg", "generate.sampler.guidance_scale or measure.sampler.guidance_scale"),
    ("train.num_inference_steps", "generate.sampler.num_steps or measure.sampler.num_steps"),
    ("measure.sampler.num-inference-steps", "measure.sampler.num_steps"),
    ("save_every", "train.checkpoint_every"),
    ("gradient_checkpointing", "runtime.train.recompute"),
    ("train.Gradient_Accumulation_Steps", "train.num_accumulation"),
    ("generate.steps", "train.num_steps"),
    ("generate.sampler.steps", "generate.sampler.num_steps"),
    ("lora_rank", "train.lora.rank"),
    ("report_to", "runtime.train.tracker"),
]


@pytest.mark.parametrize(("word", "meant"), MEANT)
def test_another_tools_name_leads_to_ours(word: str, meant: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [f"{word}=1"])
    assert caught.value.next_step == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("word", "words"),
    [("resume", "the same command"), ("train.output_dir", "--home"), ("push_to_hub", "rushes export hub HOME")],
)
def test_what_is_no_setting_is_told_with_what_to_do_in_its_place(word: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", [f"{word}=1"])
    assert words in (caught.value.next_step or "")


@pytest.mark.parametrize(
    ("option", "step"),
    [
        ("--lr", "--set train.learning_rate=VALUE"),
        ("--num-inference-steps", "--set generate.sampler.num_steps=VALUE --set measure.sampler.num_steps=VALUE"),
        ("--resume", "leave it out: the same command, typed again, continues the run"),
        ("--output_dir", "leave it out: the run folder is named on the command line, --home runs/x"),
    ],
)
def test_another_tools_option_is_answered_with_ours(option: str, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", option, "1"]) == 2
    assert capsys.readouterr().err.endswith(f"No such option: {option}\n  next:     {step}\n")


def test_a_misspelt_option_keeps_its_own_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--hom", "x"]) == 2
    assert "--home" in capsys.readouterr().err
    assert main(["status", "--lr", "1"]) == 2
    assert "--set" not in capsys.readouterr().err


def test_a_name_that_nobody_has_is_nothing() -> None:
    assert settings_for("flux_capacitor") == []
    assert done_here_by("flux_capacitor") is None
    assert as_option("--flux-capacitor") is None
