"""Plug-ins of anybody's: what they tell of their chat models is counted, and what they do not tell is not made up."""

from __future__ import annotations

import pytest

from rushes.errors import RecipeError
from rushes.plan.chat_models import chat_models, chat_parameters, chat_price
from rushes.plan.gpus import find_gpu
from rushes.plugins import JUDGE
from rushes.recipe.load import load_recipe
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from tests.support.chatty_plugin import SEVEN

H200 = find_gpu("H200")
TELLING = "tests.support.chatty_plugin:TellingSpec"
SILENT = "tests.support.chatty_plugin:SilentSpec"


def judged_by(judge: str) -> Recipe:
    return load_recipe(
        "wan2.1-1.3b", [f"judge.judge={judge}", "diagnose.dimensions=[Composition, Mechanics, Material, Thermotics]"]
    )


def test_a_judge_that_tells_its_models_is_priced_by_them_and_the_rest_is_named() -> None:
    own = chat_price(judged_by(f"{{kind: plugin, use: '{TELLING}'}}"), "answers", H200)
    plain = chat_price(
        judged_by(f"{{kind: vlm, model: {{kind: transformers, model: {SEVEN.model}}}}}"), "answers", H200
    )
    assert own is not None and plain is not None and plain.seconds > 0
    assert own.seconds == pytest.approx(2 / 4 * plain.seconds)
    assert own.left_out == "the judge's other work and its second" and plain.left_out == ""
    never = judged_by(f"{{kind: plugin, use: '{TELLING}', options: {{half: Human_Clothes}}}}")
    assert chat_price(never, "answers", H200) is None, "a model that is never called gives no price"


def test_a_plug_in_that_tells_nothing_has_no_price_and_the_memory_of_its_fields() -> None:
    silent = judged_by(f"{{kind: plugin, use: '{SILENT}'}}")
    assert chat_price(silent, "answers", H200) is None
    assert chat_parameters(silent, "answers") == 7e9 + 3e9  # a model in two fields is loaded once
    assert chat_parameters(judged_by(f"{{kind: plugin, use: '{TELLING}'}}"), "answers") == 7e9


def test_the_models_of_a_role_are_found_wherever_they_run() -> None:
    server = ServerModelSpec(model="large")
    assert chat_models(VlmJudgeSpec(model=server), JUDGE) == (server,)
    assert [model.model for model in chat_models(PluginSpec(use=SILENT), JUDGE)] == [SEVEN.model, "somebody/pen-3B"]


def test_a_plug_in_that_cannot_be_used_is_an_error_before_a_run() -> None:
    with pytest.raises(RecipeError, match="cannot be imported"):
        chat_price(judged_by("{kind: plugin, use: 'nowhere.at_all:Spec'}"), "answers", H200)
