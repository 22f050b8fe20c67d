"""What a recipe can say about models, as its documentation says it, and what comes back when it says it wrongly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rushes.errors import RecipeError
from rushes.plugins import MEASURER, plugin
from rushes.recipe.load import parse_recipe
from rushes.recipe.models import CriticSpec, LlmQuestionsSpec, LlmWriterSpec, ServerModelSpec, VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.template import recipe_yaml
from rushes.store.identity import spec_part
from tests.support.sandbox_recipe import sandbox_recipe


def documented(root: Path) -> str:
    text = (root / "docs" / "judges_and_writers.md").read_text(encoding="utf-8")
    return str(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])


def test_every_documented_recipe_can_be_read(root: Path) -> None:
    names = ("judges_and_writers", "vbench_metrics", "vbench", "vbench_score")
    pages = [root / "docs" / f"{name}.md" for name in names]
    for page in pages:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            recipe = parse_recipe(block, source=page.name)
            if isinstance(recipe.measure.measurer, PluginSpec):
                plugin(recipe.measure.measurer, MEASURER)


def test_the_documented_recipe_is_one(root: Path) -> None:
    recipe = parse_recipe(documented(root), source="docs")
    assert isinstance(recipe.prompts.writer, LlmWriterSpec) and isinstance(recipe.prompts.questions, LlmQuestionsSpec)
    assert isinstance(recipe.prompts.screen.critic, CriticSpec) and isinstance(recipe.judge.judge, VlmJudgeSpec)
    assert recipe.judge.judge.model == ServerModelSpec(server="eyes", model="Qwen/Qwen2.5-VL-7B-Instruct")
    assert recipe.runtime.servers["main"].max_cost_usd == 5
    assert parse_recipe(recipe_yaml(recipe), source="written") == recipe


def test_a_server_may_move_without_losing_work(root: Path) -> None:
    here = parse_recipe(documented(root), source="docs")
    there = parse_recipe(
        documented(root), source="docs", overrides=["runtime.servers.eyes.url=http://10.0.0.7:9000/v1"]
    )
    assert here != there and spec_part(here) == spec_part(there)


def test_a_server_can_be_named_on_the_command_line() -> None:
    recipe = parse_recipe("from: sandbox", source="r", overrides=["runtime.servers.main.url=http://localhost:8000/v1/"])
    assert recipe.runtime.servers["main"].url == "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("prompts.writer={kind: lmm}", ["prompts.writer.kind", "llm"]),
        ("prompts.writer={kind: llm, model: {kind: server}}", ["prompts.writer.model.model"]),
        ("judge.judge={kind: vlm}", ["judge.judge.model"]),
        ("judge.judge={kind: vlm, model: {kind: server, model: m}, min_mas: 0.1}", ["min_mas", "min_mass"]),
        ("prompts.screen.critic={kind: llm, template: critic}", ["prompts.screen.critic.template"]),
        ("runtime.servers={main: {}}", ["runtime.servers.main.url"]),
    ],
)
def test_mistakes_name_the_place(override: str, names: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe("from: sandbox", source="r", overrides=[override])
    assert all(name in str(caught.value) for name in names), str(caught.value)


def test_a_template_that_is_not_there() -> None:
    from rushes.llm.templates import render

    with pytest.raises(RecipeError, match="no such template") as caught:
        render("rushes.prompts", "base.v99")
    assert "base.v1" in str(caught.value)


def test_nothing_is_asked_by_default() -> None:
    recipe = sandbox_recipe()
    assert recipe.runtime.servers == {} and recipe.prompts.questions is None and recipe.prompts.screen.critic is None
    assert not recipe.runtime.allow_remote_code
